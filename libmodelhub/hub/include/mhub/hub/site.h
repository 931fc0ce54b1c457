// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"

namespace mhub::hub {

// site.yaml (docs/provisioning.md): what a machine should have.
struct SiteQuantize {
  int bits = 4;
  std::optional<int64_t> group_size;
  std::string method = "rtn", name;
  bool symmetric = false;
};
struct SiteModel {
  std::string model;  // as typed
  ModelRef ref;
  std::vector<std::string> endpoints, include, exclude;
  RepoType repo_type = RepoType::kModel;
  std::string alias;
  std::filesystem::path local_dir;
  std::optional<SiteQuantize> quantize;
};
struct SiteService {
  std::string model, unit, host = "127.0.0.1";
  int port = 8000;
  std::vector<std::string> options;  // more of `mhub serve`
};
struct Site {
  std::vector<SiteModel> models;
  std::vector<SiteService> services;
};
// kUsage names the line, the key and what is wrong; unknown keys too. `file` only names it.
Result<Site> parse_site(std::string_view yaml, const std::filesystem::path& file);

// How a download of this entry is asked for.
DownloadOptions download_options(const SiteModel& model);

// mhub.lock: every file of every model, by digest. Models are found by their text in site.yaml.
struct SiteLock {
  struct Entry {
    std::string model, source, name, revision;
    LockedModel locked;
  };
  std::vector<Entry> entries;
  const Entry* find(const SiteModel& model) const;
};
Result<SiteLock> read_lock(const std::filesystem::path& file);  // kUsage when absent, kPolicy when it is none
Result<SiteLock> parse_lock(std::string_view text, const std::filesystem::path& file);  // `file` only names it
std::string lock_text(const SiteLock& lock);
Result<void> write_lock(const SiteLock& lock, const std::filesystem::path& file);  // by rename
// Asks the hubs what the models are now.
Result<SiteLock> resolve_lock(ModelLibrary& library, const Site& site, std::stop_token stop);

// What earlier runs of apply installed for one site, so that --prune removes only that.
struct SiteState {
  struct Quantized {
    std::string name, made_of, settings;  // commit of the source; bits, group...
  };
  std::vector<std::string> models;  // "source\nname\ncommit"
  std::vector<Quantized> quantized;
  std::vector<std::string> units;   // paths
  std::vector<std::string> aliases;
};
Result<SiteState> read_site_state(const std::filesystem::path& home, const std::filesystem::path& site);
Result<void> write_site_state(const std::filesystem::path& home, const std::filesystem::path& site, const SiteState& state);

// The systemd unit of a service; `program` and `home` absolute. kUsage for values that a unit cannot hold.
Result<std::string> service_unit(const SiteService& service, const std::filesystem::path& program,
                                 const std::filesystem::path& home);

}  // namespace mhub::hub
