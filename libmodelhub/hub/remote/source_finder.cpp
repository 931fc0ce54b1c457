// SPDX-License-Identifier: Apache-2.0
#include "remote/source_finder.h"

#include <utility>

#include "library_transport.h"

namespace mhub::hub {

SourceFinder::SourceFinder(const HubConfig& config, const HubTarget& target, std::vector<Repository> others,
                           std::string revision, std::vector<RemoteFile> wanted, std::function<void()> on_found)
    : config_(config),
      target_(target),
      others_(std::move(others)),
      revision_(std::move(revision)),
      wanted_(std::move(wanted)),
      on_found_(std::move(on_found)),
      transport_(curl_config(config)),
      thread_([this](std::stop_token stop) { look(std::move(stop)); }) {}

std::vector<TransferSource> SourceFinder::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(found_, {});
}

Result<Snapshot> SourceFinder::list(HubApi& api, std::stop_token stop) const {
  MHUB_TRY(const std::string commit, api.find_commit(revision_, stop));
  return api.list(revision_, commit, stop);
}

void SourceFinder::look(std::stop_token stop) {
  for (const Repository& other : others_) {
    HubTarget target = target_;
    target.repository = other;
    auto api = open_hub(target, transport_, RetryPolicy{.retries = 0}, stop);
    if (!api) continue;
    const auto snapshot = list(**api, stop);
    if (!snapshot) continue;
    std::map<std::string_view, const RemoteFile*> listed;
    for (const RemoteFile& file : snapshot->files) listed[file.path] = &file;
    TransferSource source{other.endpoint, *std::move(api), {}};
    for (const RemoteFile& want : wanted_) {
      const auto found = listed.find(want.path);
      if (found == listed.end() || want.sha256.empty() || found->second->sha256 != want.sha256) continue;
      if (found->second->bytes == want.bytes) source.files.emplace(want.path, *found->second);
    }
    if (source.files.empty()) continue;
    {
      const std::lock_guard lock(mutex_);
      found_.push_back(std::move(source));
    }
    on_found_();
  }
}

}  // namespace mhub::hub
