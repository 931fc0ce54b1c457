// SPDX-License-Identifier: Apache-2.0
#include "mirror/upstream.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "mhub/base/error.h"
#include "mirror/catalog.h"
#include "net/curl_library.h"
#include "net/curl_transport.h"
#include "remote/hub_target.h"
#include "store/file_tree.h"
#include "store/layout.h"
#include "store/open_beneath.h"
#include "store/safe_path.h"

namespace mhub::hub {
namespace {

using registry::FileRecord;
using registry::ModelRecord;

constexpr size_t kMaxListings = 256;
constexpr size_t kMaxTransfers = 64;

class Silent final : public ProgressSink {};

}  // namespace

Upstream::Upstream(ModelLibrary& library, UpstreamConfig config) : library_(library), config_(std::move(config)) {}

Upstream::~Upstream() {
  stop_.request_stop();
  std::map<std::string, std::shared_ptr<Transfer>> running;
  {
    const std::lock_guard lock(mutex_);
    running.swap(transfers_by_file_);
  }
  for (auto& [key, transfer] : running) transfer->thread.join();
}

DownloadOptions Upstream::options() const {
  DownloadOptions options;
  options.source = config_.source;
  if (config_.source && !config_.endpoint.empty()) options.endpoints = {config_.endpoint};
  options.token = config_.token;
  return options;
}

ModelRef Upstream::ref(const std::string& repo_id) const {
  ModelRef ref;
  ref.repo_id = repo_id;
  if (!config_.source) ref.endpoint = config_.endpoint;
  return ref;
}

Result<ModelRecord> Upstream::read_listing(const std::string& repo_id, const std::string& revision) {
  // What a client typed becomes part of URLs: the grammar of MODEL is its check.
  MHUB_TRY(const ModelRef checked, ModelRef::parse(revision.empty() ? repo_id : repo_id + "@" + revision));
  DownloadOptions asked = options();
  // Either hub's clients ask for their own default branch.
  if (revision != "master" && revision != "main") asked.revision = checked.revision.value_or("");
  const HubConfig& hub = library_.config();
  MHUB_TRY(const HubTarget target, choose_target(ref(repo_id), asked, hub, {}));
  MHUB_CHECK_OK(load_curl());
  CurlTransport transport({hub.connect_timeout_seconds, hub.stall_timeout_seconds, hub.ca_file, hub.ca_directory});
  const RetryPolicy policy{std::min(hub.retries, 2), hub.retry_delay_seconds};
  MHUB_TRY(const std::unique_ptr<HubApi> api, open_hub(target, transport, policy, stop_.get_token()));
  const std::string name = asked.revision.empty() ? api->default_revision() : asked.revision;
  MHUB_TRY(const std::string commit, api->find_commit(name, stop_.get_token()));
  MHUB_TRY(const Snapshot snapshot, api->list(name, commit, stop_.get_token()));
  ModelRecord model;
  model.name = repo_id;
  model.source = target.source;
  model.endpoint = target.repository.endpoint;
  model.revision = name;
  model.created_at = timestamp_now();
  std::vector<std::string> paths;
  for (const RemoteFile& remote : snapshot.files) {
    FileRecord& file = model.files.emplace_back();
    file.path = remote.path;
    file.bytes = remote.bytes;
    file.sha256 = remote.sha256;
    file.git_sha1 = remote.git_sha1;
    paths.push_back(remote.path);
  }
  MHUB_CHECK_OK(check_listing_names(paths));
  if (commit.empty()) {
    std::vector<FileRecord> files = model.files;
    for (FileRecord& file : files) file.sha256 = file.sha256.empty() ? file.git_sha1 : file.sha256;
    model.commit = listing_digest(files);
  } else {
    model.commit = commit;
  }
  return model;
}

Result<ModelRecord> Upstream::describe(const std::string& repo_id, const std::string& revision) {
  const std::string key = repo_id + "@" + (revision == "main" || revision == "master" ? "" : revision);
  const auto fresh = std::chrono::duration<double>(config_.listing_seconds);
  {
    const std::lock_guard lock(mutex_);
    const auto known = listings_.find(key);
    if (known != listings_.end() && Clock::now() - known->second.read_at < fresh) return known->second.model;
  }
  MHUB_TRY(ModelRecord model, read_listing(repo_id, revision));
  const std::lock_guard lock(mutex_);
  if (listings_.size() >= kMaxListings) listings_.erase(listings_.begin());
  listings_.insert_or_assign(key, Listing{model, Clock::now()});
  listings_.insert_or_assign(repo_id + "@" + model.commit, Listing{model, Clock::now()});
  return model;
}

Result<std::optional<ModelRecord>> Upstream::registered(const ModelRecord& described, const std::string& path) {
  const std::string directory =
      StoreLayout(library_.config().home).model_directory(described.source, described.name, described.commit).string();
  MHUB_TRY(auto row, library_.registry().find_exact(described.source, described.name, described.commit, directory));
  if (!row) return row;
  const FileRecord* file = find_file(*row, path);
  const auto fd = open_directory(row->path, false);
  if (!file || !fd || !looks_unchanged(*file, fd->get())) row.reset();
  return row;
}

void Upstream::run(std::shared_ptr<Transfer> transfer, ModelRecord described, std::string path) {
  DownloadOptions asked = options();
  asked.revision = described.revision;
  asked.files = {path};
  Silent silent;
  ++transfers_;
  auto result = library_.download(ref(described.name), asked, silent, stop_.get_token());
  const std::lock_guard lock(mutex_);
  transfer->done = true;
  if (!result) transfer->error = std::move(result).error();
  if (result && result->commit != described.commit) {
    transfer->error = Error{ErrorCode::kUnavailable,
                            fmt::format("{} has moved on to {}", described.name, result->commit), "ask again", ""};
  }
  ended_.notify_all();
}

Result<ModelRecord> Upstream::fetch(const ModelRecord& described, const std::string& path) {
  MHUB_TRY(auto row, registered(described, path));
  if (row) return *std::move(row);
  const std::string key = fmt::format("{}\n{}\n{}", described.name, described.commit, path);
  std::unique_lock lock(mutex_);
  for (auto it = transfers_by_file_.begin(); it != transfers_by_file_.end();) {
    if (!it->second->done || it->first == key) {
      ++it;
      continue;
    }
    it->second->thread.join();
    it = transfers_by_file_.erase(it);
  }
  std::shared_ptr<Transfer>& slot = transfers_by_file_[key];
  if (slot && slot->done) {  // an earlier try: it failed, or its file has gone since
    slot->thread.join();
    slot.reset();
  }
  if (!slot) {
    if (transfers_by_file_.size() > kMaxTransfers || stop_.stop_requested()) {
      transfers_by_file_.erase(key);
      return Error{ErrorCode::kUnavailable, fmt::format("fetch {}: too many transfers", path), "ask again later", ""};
    }
    slot = std::make_shared<Transfer>();
    slot->thread = std::thread([this, transfer = slot, described, path] { run(transfer, described, path); });
  }
  const std::shared_ptr<Transfer> transfer = slot;
  const auto patience = std::chrono::duration<double>(config_.patience_seconds);
  if (!ended_.wait_for(lock, patience, [&] { return transfer->done; })) {
    return Error{ErrorCode::kUnavailable, fmt::format("fetch {} from upstream: still under way", path),
                 "ask again in a few seconds", ""};
  }
  if (transfer->error) return *transfer->error;
  lock.unlock();
  MHUB_TRY(row, registered(described, path));
  if (row) return *std::move(row);
  return Error{ErrorCode::kUnavailable, fmt::format("fetch {} from upstream: it changed on disk", path), "ask again",
               ""};
}

}  // namespace mhub::hub
