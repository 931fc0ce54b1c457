// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/model_ref.h"
#include "mhub/registry/registry.h"

namespace mhub::hub {

struct HubConfig {
  std::filesystem::path home;  // $MHUB_HOME or ${XDG_DATA_HOME:-~/.local/share}/mhub
  Source default_source = Source::kModelScope;
  std::string modelscope_endpoint = "https://modelscope.cn";
  std::string huggingface_endpoint = "https://huggingface.co";
  // Asked in this order when the one above does not answer or does not have the model.
  std::vector<std::string> more_modelscope_endpoints, more_huggingface_endpoints;
  std::string modelscope_token, huggingface_token;  // sent to that endpoint only
  int max_workers = 8;                              // connections over all files together
  double connect_timeout_seconds = 15;
  double stall_timeout_seconds = 30;
  int retries = 8;                       // per extent without progress
  double retry_delay_seconds = 0.5;      // first back-off; doubles up to 30 s
  std::string ca_file, ca_directory;     // certificates to trust; "" = the system's
  std::string http_proxy, https_proxy;   // URLs; "" = none
  std::string no_proxy;                  // names, addresses and ranges reached without
  bool source_is_chosen = false;         // default_source was asked for, so it goes before what is registered
  double registry_timeout_seconds = 15;  // how long to wait for another process's registry transaction
};

// What a lock file records of one model: exactly these files, byte for byte.
struct LockedFile {
  std::string path;
  uint64_t bytes = 0;
  std::string sha256, git_sha1;
};
struct LockedModel {
  std::string commit;
  std::vector<LockedFile> files;
};

struct DownloadOptions {
  std::string revision;            // "" = from the ref, else master / main
  std::vector<std::string> files;  // exact paths; empty = all
  std::vector<std::string> include, exclude;
  std::filesystem::path local_dir;  // "" = the store
  std::optional<Source> source;
  RepoType repo_type = RepoType::kModel;
  std::vector<std::string> endpoints;         // override the source's; tried in this order
  std::string token;
  bool dry_run = false;
  bool force = false;                         // fetch again what is already there
  std::shared_ptr<const LockedModel> locked;  // anything else is kPolicy
  bool require_hash = false;                  // refuse files for which the hub gives no hash
  uint64_t bytes_per_second = 0;              // limit over all connections; 0 = none
};

struct PlannedFile {
  std::string path;
  uint64_t bytes = 0;
  bool present = false;  // already verified
};
struct DownloadPlan {
  std::string name, source, revision, commit;
  std::filesystem::path directory;
  std::vector<PlannedFile> files;
  uint64_t bytes_to_fetch = 0;
};
// Calls come from the transfer thread.
class ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  virtual void on_plan(const DownloadPlan&) {}
  virtual void on_progress(const std::string& path, uint64_t done, uint64_t total) {
    (void)path, (void)done, (void)total;
  }
  virtual void on_retry(const std::string& path, const std::string& reason) { (void)path, (void)reason; }
  virtual void on_file_done(const std::string& path, const std::string& sha256, uint64_t bytes) {
    (void)path, (void)sha256, (void)bytes;
  }
};
struct DownloadSummary {
  std::filesystem::path path;
  std::string commit;
  uint64_t bytes_network = 0, bytes_reused = 0;
  size_t files = 0;
  double seconds = 0;
};
struct VerifyReport {
  struct Problem {
    std::string path, what;
  };
  size_t files = 0;
  uint64_t bytes = 0;
  std::vector<Problem> problems;
};

// The hub side as its users see it: resolve, fetch, list, find, verify, remove, import.
class ModelLibrary {
 public:
  static Result<std::unique_ptr<ModelLibrary>> open(const HubConfig& config);
  ~ModelLibrary();
  Result<DownloadSummary> download(const ModelRef& ref, const DownloadOptions& options, ProgressSink& progress,
                                   std::stop_token stop);
  Result<std::vector<registry::ModelRecord>> list();
  // MODEL as typed: registered name or alias, a ref whose name is registered (the organisation may be left out where
  // that is unique), or a directory or GGUF path. A path without a row gives id 0, no files, and `path` is what
  // formats::locate_model found there. kModelNotFound.
  Result<registry::ModelRecord> find(const std::string& model);
  // Hashes every file of the row. Damage is in the report, not an error; files found good get their row refreshed.
  Result<VerifyReport> verify(const std::string& model, std::stop_token stop);
  struct Removed {
    registry::ModelRecord model;
    bool files_deleted = false;
  };
  // Row and, for a model in the store, its files. kPolicy while a process has one of them open or leases the model.
  Result<Removed> remove(const std::string& model);
  Result<Removed> remove_row(const registry::ModelRecord& model);  // the same for a row that was read
  // A directory of safetensors or a GGUF file (all its parts), by hardlink, else reflink, else copy, into the store
  // under "local/NAME". name "" = from the path. kBadModel before anything is written when the headers are not valid.
  Result<registry::ModelRecord> import(const std::filesystem::path& path, const std::string& name,
                                       std::stop_token stop = {});
  // An empty directory on the store's file system, to write a model into before register_directory.
  Result<std::filesystem::path> make_staging_directory();
  // Adds a directory that mhub itself just wrote (quantize), hashing its files. `model` has at least a name (rules of
  // import). With model.in_store `dir` is moved to its place in the store, else it stays. Empty fields (source, commit,
  // format, quantization, architecture) are filled in.
  Result<registry::ModelRecord> register_directory(const std::filesystem::path& dir, registry::ModelRecord model,
                                                   std::stop_token stop = {});
  registry::Registry& registry();
  const HubConfig& config() const;

 private:
  struct State;
  explicit ModelLibrary(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mhub::hub
