// SPDX-License-Identifier: Apache-2.0
// ModelLibrary::download: resolve, plan, lock, transfer, register.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "library_state.h"
#include "library_transport.h"
#include "model_facts.h"
#include "net/curl_library.h"
#include "net/curl_transport.h"
#include "remote/api_client.h"
#include "remote/hub_target.h"
#include "remote/source_finder.h"
#include "store/file_tree.h"
#include "store/known_content.h"
#include "store/layout.h"
#include "store/manifest.h"
#include "store/open_beneath.h"
#include "store/sha256.h"
#include "transfer/downloader.h"
#include "transfer/plan.h"
#include "transfer/work_directory.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

using registry::FileRecord;
using registry::ModelRecord;

constexpr int kMaxMovingReads = 3;
// Smaller files and downloads are not worth asking further endpoints for.
constexpr uint64_t kSharedFileBytes = 32u << 20;

// A row that was rebuilt from the disk does not say so itself.
bool has_all(const ModelRecord& row, const Snapshot& snapshot) {
  std::set<std::string_view> paths;
  for (const FileRecord& file : row.files) paths.insert(file.path);
  return std::all_of(snapshot.files.begin(), snapshot.files.end(),
                     [&](const RemoteFile& file) { return paths.contains(file.path); });
}

// ModelScope's two public sites are alternatives: nobody asked for both.
bool endpoints_are_chosen(const DownloadOptions& options, const HubConfig& config, const HubTarget& target) {
  if (!options.endpoints.empty() || target.dialect != Source::kModelScope) return true;
  const std::set<std::string_view> public_sites = {"https://modelscope.cn", "https://www.modelscope.ai"};
  return !public_sites.contains(config.modelscope_endpoint) ||
         std::any_of(config.more_modelscope_endpoints.begin(), config.more_modelscope_endpoints.end(),
                     [&](const std::string& endpoint) { return !public_sites.contains(endpoint); });
}

// One download, from the reference to the row.
class Download {
 public:
  Download(const HubConfig& config, registry::Registry& registry, const DownloadOptions& options,
           ProgressSink& progress, std::stop_token stop)
      : config_(config),
        registry_(registry),
        options_(options),
        progress_(progress),
        stop_(std::move(stop)),
        transport_(curl_config(config, options.bytes_per_second)) {}

  Result<DownloadSummary> run(const ModelRef& ref);

 private:
  Result<DownloadSummary> run_at_endpoint();
  Result<std::optional<DownloadSummary>> answer_from_registry(const std::string& commit);
  Result<void> check_hashes() const;
  Result<void> check_lock() const;
  Result<DownloadSummary> fetch();
  Result<DownloadSummary> fetch_locked(WorkDirectory& work);
  Result<std::optional<ModelRecord>> find_row() const {
    return registry_.find_exact(target_.source, name_, commit_, directory_.string());
  }
  Result<std::vector<RemoteFile>> still_missing(const std::optional<ModelRecord>& row);
  Result<void> place_known(std::vector<RemoteFile>& missing, int work_fd, int target_fd,
                           std::vector<FileRecord>& files);
  Result<void> register_model(const std::optional<ModelRecord>& row, std::vector<FileRecord> files);
  std::unique_ptr<SourceFinder> find_more_sources(const std::vector<RemoteFile>& missing);
  void set_commit(const std::string& commit);
  void tell_plan(const std::set<std::string>& present, uint64_t to_fetch);
  DownloadSummary summary() const;

  const HubConfig& config_;
  registry::Registry& registry_;
  const DownloadOptions& options_;
  ProgressSink& progress_;
  const std::stop_token stop_;
  CurlTransport transport_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();

  HubTarget target_;
  std::vector<Repository> further_;  // endpoints after the one that is being asked
  std::unique_ptr<HubApi> api_;
  std::string name_;  // in the registry
  std::string revision_, commit_;
  fs::path directory_;
  Snapshot snapshot_;
  std::vector<RemoteFile> wanted_;
  uint64_t bytes_network_ = 0, bytes_reused_ = 0;
  size_t num_files_ = 0;
};

Result<DownloadSummary> Download::run(const ModelRef& ref) {
  MHUB_TRY(const std::vector<ModelRecord> rows, registry_.list_models(false));
  MHUB_TRY(target_, choose_target(ref, options_, config_, rows));
  MHUB_CHECK_OK(add_stored_tokens(target_, config_));
  name_ = registry_name(target_.repository);
  std::vector<Repository> endpoints = std::exchange(target_.others, {});
  endpoints.insert(endpoints.begin(), target_.repository);
  std::optional<Error> first_error;
  for (size_t i = 0;; ++i) {
    target_.repository = endpoints[i];
    further_.assign(endpoints.begin() + static_cast<ptrdiff_t>(i) + 1, endpoints.end());
    auto done = run_at_endpoint();
    if (done) return done;
    if (!first_error) first_error = done.error();
    if (!another_endpoint_may_help(done.error())) return done;
    if (i + 1 == endpoints.size()) break;
    // Partial files belong to the commit, not to an endpoint: the next one goes on from what is there.
    progress_.on_retry(
        "", fmt::format("{}: {}; trying {}", endpoints[i].endpoint, done.error().message, endpoints[i + 1].endpoint));
  }
  if (endpoints.size() > 1)
    first_error->message += fmt::format(" (and {} more endpoints failed)", endpoints.size() - 1);
  return *first_error;
}

Result<DownloadSummary> Download::run_at_endpoint() {
  revision_ = target_.revision;
  if (is_hex(revision_, 40)) {
    MHUB_TRY(auto known, answer_from_registry(hex_or_empty(revision_, 40)));
    if (known) return *std::move(known);
  }
  RetryPolicy policy = retry_policy(config_);
  policy.on_wait = [this](const std::string& what) { progress_.on_retry("", what); };
  MHUB_TRY(api_, open_hub(target_, transport_, policy, stop_));
  if (revision_.empty()) revision_ = api_->default_revision();
  for (int reads = 1;; ++reads) {
    MHUB_TRY(const std::string commit, api_->find_commit(revision_, stop_));
    if (!commit.empty()) {
      MHUB_TRY(auto known, answer_from_registry(commit));
      if (known) return *std::move(known);
    }
    MHUB_TRY(snapshot_, api_->list(revision_, commit, stop_));
    set_commit(commit.empty() ? commit_of_listing(snapshot_) : commit);
    MHUB_TRY(wanted_, select_files(snapshot_, options_, directory_));
    MHUB_CHECK_OK(check_hashes());
    MHUB_CHECK_OK(check_lock());
    MHUB_TRY(const auto row, find_row());
    MHUB_TRY(const std::vector<RemoteFile> missing, still_missing(row));
    if (options_.dry_run) return summary();
    if (missing.empty() && row && (row->complete || !has_all(*row, snapshot_))) return summary();
    // The listing and the commit were two requests: a push between them would give a row that names the wrong commit.
    if (!commit.empty() && api_->source() == Source::kModelScope) {
      MHUB_TRY(const std::string now, api_->find_commit(revision_, stop_));
      if (now != commit && reads < kMaxMovingReads) continue;
      if (now != commit) {
        return Error{ErrorCode::kIntegrity,
                     fmt::format("list {}@{}: it changed during each of {} readings", name_, revision_, reads),
                     "somebody is pushing to it: try again later or name a commit with @", ""};
      }
    }
    return fetch();
  }
}

Result<void> Download::check_hashes() const {
  if (!options_.require_hash) return {};
  for (const RemoteFile& file : wanted_) {
    if (!file.sha256.empty() || !file.git_sha1.empty()) continue;
    return Error{ErrorCode::kPolicy,
                 fmt::format("download {}: the hub gives no hash for '{}', and --require-hash is set", name_,
                             printable(file.path)),
                 "exclude that file, use another hub, or do without --require-hash", ""};
  }
  return {};
}

Result<void> Download::check_lock() const {
  if (!options_.locked) return {};
  const auto drift = [&](const std::string& what) {
    return Error{ErrorCode::kPolicy, fmt::format("download {}: {}, and the lock file says otherwise", name_, what),
                 "look at what changed on the hub; `mhub lock` accepts it", ""};
  };
  if (commit_ != options_.locked->commit) return drift(fmt::format("the commit is {}", commit_));
  std::map<std::string_view, const LockedFile*> locked;
  for (const LockedFile& file : options_.locked->files) locked[file.path] = &file;
  for (const RemoteFile& file : wanted_) {
    const auto found = locked.find(file.path);
    if (found == locked.end()) return drift(fmt::format("'{}' is new", printable(file.path)));
    const LockedFile& known = *found->second;
    const bool same_hash =
        known.sha256.empty() || file.sha256.empty() ? known.git_sha1 == file.git_sha1 : known.sha256 == file.sha256;
    if (known.bytes != file.bytes) return drift(fmt::format("'{}' has {} bytes", printable(file.path), file.bytes));
    if (!same_hash) return drift(fmt::format("'{}' has another hash", printable(file.path)));
    locked.erase(found);
  }
  if (!locked.empty()) return drift(fmt::format("'{}' is gone", printable(locked.begin()->first)));
  return {};
}

void Download::set_commit(const std::string& commit) {
  commit_ = commit;
  directory_ = options_.local_dir.empty() ? StoreLayout(config_.home).model_directory(target_.source, name_, commit)
                                          : options_.local_dir;
  std::error_code error;
  directory_ = fs::absolute(directory_, error).lexically_normal();
  if (!directory_.has_filename()) directory_ = directory_.parent_path();
}

DownloadSummary Download::summary() const {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  return {directory_, commit_, bytes_network_, bytes_reused_, num_files_, seconds};
}

void Download::tell_plan(const std::set<std::string>& present, uint64_t to_fetch) {
  DownloadPlan plan{name_, target_.source, revision_, commit_, directory_, {}, to_fetch};
  for (const RemoteFile& file : wanted_) plan.files.push_back({file.path, file.bytes, present.contains(file.path)});
  num_files_ = wanted_.size();
  progress_.on_plan(plan);
}

// The warm run: a row that is complete at this commit and unchanged on disk needs no listing.
Result<std::optional<DownloadSummary>> Download::answer_from_registry(const std::string& commit) {
  std::optional<DownloadSummary> none;
  if (options_.force) return none;
  set_commit(commit);
  MHUB_TRY(const auto row, find_row());
  if (!row || !row->complete) return none;
  MHUB_TRY(const std::vector<FileRecord> wanted, select_records(*row, options_));
  const auto directory = open_directory(row->path, false);
  if (!directory) return none;
  wanted_.clear();
  std::set<std::string> present;
  for (const FileRecord& file : wanted) {
    if (!looks_unchanged(file, directory->get())) return none;
    wanted_.push_back({file.path, file.bytes, file.sha256, file.git_sha1, commit});
    present.insert(file.path);
    bytes_reused_ += file.bytes;
  }
  MHUB_CHECK_OK(check_lock());
  tell_plan(present, 0);
  return std::optional(summary());
}

Result<std::vector<RemoteFile>> Download::still_missing(const std::optional<ModelRecord>& row) {
  std::set<std::string> present;
  bytes_reused_ = 0;
  if (!options_.force) {
    for (const FileRecord& file : present_files(row, wanted_)) {
      present.insert(file.path);
      bytes_reused_ += file.bytes;
    }
  }
  std::vector<RemoteFile> missing;
  uint64_t to_fetch = 0;
  for (const RemoteFile& file : wanted_) {
    if (present.contains(file.path)) continue;
    missing.push_back(file);
    to_fetch += file.bytes;
  }
  tell_plan(present, to_fetch);
  return missing;
}

Result<DownloadSummary> Download::fetch() {
  const fs::path root = options_.local_dir.empty()
                            ? StoreLayout(config_.home).download_root(target_.source, name_, commit_)
                            : directory_ / ".mhub";
  // Missing parents are made with the usual permissions; the store itself was made private when it was opened.
  std::error_code error;
  fs::create_directories(root.parent_path(), error);
  if (error) return disk_error("create directory", root.parent_path().string(), error.value());
  MHUB_TRY(WorkDirectory work, WorkDirectory::acquire(root, stop_, [&](const std::string& holder) {
             progress_.on_retry("", fmt::format("waiting for {}, which downloads the same model", holder));
           }));
  auto done = fetch_locked(work);
  if (done) {
    work.remove();
    return done;
  }
  if (options_.local_dir.empty()) {
    const StoreLayout layout(config_.home);
    for (fs::path empty = directory_; layout.in_models(empty) && fs::remove(empty, error);) empty = empty.parent_path();
  }
  done.error().message = fmt::format("download {}@{}: {}", name_, revision_, done.error().message);
  if (done.error().code == ErrorCode::kInterrupted) {
    done.error().hint = "run the same command again: it goes on from here";
  }
  return done;
}

Result<DownloadSummary> Download::fetch_locked(WorkDirectory& work) {
  MHUB_TRY(const UniqueFd target_fd, open_directory(directory_, true));
  MHUB_TRY(const auto row, find_row());  // read again: whoever held the lock may have finished it
  std::vector<FileRecord> files;
  if (!options_.force || work.waited()) files = present_files(row, wanted_);
  std::set<std::string> present;
  for (const FileRecord& file : files) present.insert(file.path);
  std::vector<RemoteFile> missing;
  for (const RemoteFile& file : wanted_) {
    if (!present.contains(file.path)) missing.push_back(file);
  }
  if (!options_.force) {
    MHUB_TRY(const std::vector<FileRecord> adopted, adopt_files(missing, work.fd(), target_fd.get(), stop_));
    for (const FileRecord& file : adopted) {
      present.insert(file.path);
      files.push_back(file);
      progress_.on_file_done(file.path, file.sha256, file.bytes);
    }
    std::erase_if(missing, [&](const RemoteFile& file) { return present.contains(file.path); });
    MHUB_CHECK_OK(place_known(missing, work.fd(), target_fd.get(), files));
  }
  bytes_reused_ = 0;
  for (const FileRecord& file : files) bytes_reused_ += file.bytes;
  MHUB_CHECK_OK(check_free_space(missing, work.fd()));

  TransferConfig transfer;
  transfer.max_workers = config_.max_workers;
  transfer.retry = retry_policy(config_);
  const std::unique_ptr<SourceFinder> finder = find_more_sources(missing);
  Downloader downloader(transport_, *api_, transfer, progress_,
                        finder ? SourceSupply([&] { return finder->take(); }) : SourceSupply());
  MHUB_TRY(const TransferResult fetched, downloader.run(missing, work.fd(), target_fd.get(), stop_));
  bytes_network_ = fetched.bytes_network;
  bytes_reused_ += fetched.bytes_reused;
  files.insert(files.end(), fetched.files.begin(), fetched.files.end());
  MHUB_CHECK_OK(sync_directory(target_fd.get(), directory_.string()));
  MHUB_CHECK_OK(sync_directory(directory_.parent_path()));
  MHUB_CHECK_OK(register_model(row, std::move(files)));
  return summary();
}

// Ranges of large files may come from every endpoint that the user named, where their digests agree.
std::unique_ptr<SourceFinder> Download::find_more_sources(const std::vector<RemoteFile>& missing) {
  std::vector<RemoteFile> large;
  for (const RemoteFile& file : missing) {
    if (file.bytes >= kSharedFileBytes && !file.sha256.empty()) large.push_back(file);
  }
  if (!endpoints_are_chosen(options_, config_, target_) || further_.empty() || large.empty()) return nullptr;
  return std::make_unique<SourceFinder>(config_, target_, further_, revision_, std::move(large),
                                        [this] { transport_.wake(); });
}

// What another revision or another hub's model has already is linked, not fetched (a --local-dir gets its own copy of
// the blocks: its files are the user's).
Result<void> Download::place_known(std::vector<RemoteFile>& missing, int work_fd, int target_fd,
                                   std::vector<FileRecord>& files) {
  const Placement cheapest = options_.local_dir.empty() ? Placement::kHardlink : Placement::kReflink;
  std::vector<RemoteFile> unknown;
  for (RemoteFile& file : missing) {
    std::optional<FileRecord> placed;
    if (!file.sha256.empty() && file.bytes > 0) {
      MHUB_TRY(placed, place_known_content(registry_, {file.path, file.sha256, file.bytes}, work_fd, target_fd,
                                           cheapest, stop_));
    }
    if (!placed) {
      unknown.push_back(std::move(file));
      continue;
    }
    placed->git_sha1 = file.git_sha1;
    progress_.on_file_done(file.path, placed->sha256, placed->bytes);
    files.push_back(*std::move(placed));
  }
  missing = std::move(unknown);
  return {};
}

// The one transaction, last: before it nobody sees the model, after it every byte is verified and synced.
Result<void> Download::register_model(const std::optional<ModelRecord>& row, std::vector<FileRecord> files) {
  ModelRecord model;
  std::set<std::string> got;
  for (const FileRecord& file : files) got.insert(file.path);
  if (row) {  // files of this commit that earlier runs fetched stay
    model.aliases = row->aliases;
    for (const FileRecord& file : row->files) {
      if (!got.contains(file.path)) files.push_back(file);
    }
  }
  std::set<std::string> all;
  for (const FileRecord& file : files) all.insert(file.path);
  model.complete = std::all_of(snapshot_.files.begin(), snapshot_.files.end(),
                               [&](const RemoteFile& file) { return all.contains(file.path); });
  std::sort(files.begin(), files.end(), [](const FileRecord& a, const FileRecord& b) { return a.path < b.path; });
  const ModelFacts facts = describe_directory(directory_);
  model.name = name_;
  model.source = target_.source;
  model.endpoint = target_.repository.endpoint;
  model.revision = revision_;
  model.commit = commit_;
  model.path = directory_.string();
  model.in_store = options_.local_dir.empty();
  model.format = facts.format;
  model.quantization = facts.quantization;
  model.architecture = facts.architecture;
  model.created_at = timestamp_now();
  model.files = std::move(files);
  MHUB_TRY(const int64_t id, record_model(registry_, StoreLayout(config_.home), model));
  // Another commit that was in the same directory is no longer what lies there.
  MHUB_TRY(const std::vector<ModelRecord> rows, registry_.list_models(false));
  for (const ModelRecord& other : rows) {
    if (other.id != id && other.path == model.path && other.name == model.name) {
      MHUB_CHECK_OK(registry_.remove_model(other.id));
    }
  }
  return {};
}

}  // namespace

Result<DownloadSummary> ModelLibrary::download(const ModelRef& ref, const DownloadOptions& options,
                                               ProgressSink& progress, std::stop_token stop) {
  MHUB_CHECK_OK(load_curl());
  return Download(state_->config, *state_->registry, options, progress, std::move(stop)).run(ref);
}

}  // namespace mhub::hub
