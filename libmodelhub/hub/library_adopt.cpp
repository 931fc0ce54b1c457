// SPDX-License-Identifier: Apache-2.0
// adopt: models of other programs' caches into the store. expose: the other way round.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "mhub/base/error.h"
#include "mhub/hub/store_exchange.h"
#include "model_facts.h"
#include "store/file_tree.h"
#include "store/foreign_cache.h"
#include "store/known_content.h"
#include "store/layout.h"
#include "store/manifest.h"
#include "store/open_beneath.h"
#include "store/place_file.h"
#include "store/safe_path.h"
#include "store/staging.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

using registry::FileRecord;
using registry::ModelRecord;

Result<std::string> git_sha1_of(int fd, uint64_t bytes, const std::string& what) {
  GitBlobSha1 git(bytes);
  std::vector<std::byte> buffer(1u << 20);
  for (uint64_t at = 0;;) {
    const ssize_t n = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return disk_error("read", what, errno);
    if (n == 0) return git.finish();
    git.update(std::span<const std::byte>(buffer).first(static_cast<size_t>(n)));
    at += static_cast<uint64_t>(n);
  }
}

class Adoption {
 public:
  Adoption(ModelLibrary& library, std::stop_token stop)
      : library_(library), layout_(library.config().home), stop_(std::move(stop)) {}

  Result<AdoptReport> run(const fs::path& root) {
    MHUB_TRY(const std::vector<ForeignModel> found, scan_foreign_cache(root));
    if (found.empty()) {
      return Error{
          ErrorCode::kUsage,
          fmt::format("adopt {}: no cache of Hugging Face, ModelScope or Ollama there", printable(root.string(), 1024)),
          "give the cache's root, for example ~/.cache/huggingface/hub; `mhub import` takes one model", ""};
    }
    for (const ForeignModel& foreign : found) {
      auto taken = take(foreign);
      if (!taken && taken.error().code == ErrorCode::kInterrupted) return taken.error();
      if (!taken) report_.refused.push_back(fmt::format("{}: {}", foreign.place.string(), taken.error().message));
    }
    return std::move(report_);
  }

 private:
  Result<void> take(const ForeignModel& foreign);
  // False: the registry had it. `files` are what was linked and hashed, whatever became of it.
  Result<bool> take_into_store(const ForeignModel& foreign, std::vector<FileRecord>& files);
  Result<FileRecord> take_file(const ForeignModel::File& file, int staging_fd, std::atomic<uint64_t>& copied);

  ModelLibrary& library_;
  const StoreLayout layout_;
  const std::stop_token stop_;
  AdoptReport report_;
};

Result<FileRecord> Adoption::take_file(const ForeignModel::File& file, int staging_fd, std::atomic<uint64_t>& copied) {
  MHUB_TRY(const UniqueFd from, open_source(file.location));
  MHUB_TRY(const ParentDirectory parent, make_parents_beneath(staging_fd, file.path));
  struct stat before {
  }, after{};
  if (fstat(from.get(), &before) != 0) return disk_error("stat", file.location.string(), errno);
  MHUB_TRY(const PlacedFile placed,
           place_file(from.get(), file.location.string(), parent.fd.get(), parent.leaf, stop_));
  MHUB_TRY(std::vector<FileRecord> hashed, hash_files(staging_fd, std::span(&file.path, 1), false, stop_));
  FileRecord record = std::move(hashed.front());
  if (placed.how == Placement::kCopy) copied += record.bytes;
  if (placed.how == Placement::kHardlink && fstat(from.get(), &after) == 0) {
    MHUB_CHECK_OK(refresh_linked_rows(library_.registry(), record.sha256, before, after));
  }
  const auto differs = [&](const std::string& kind, const std::string& is, const std::string& should) {
    return Error{ErrorCode::kIntegrity, fmt::format("{} has {} {}, its cache says {}", file.path, kind, is, should), "",
                 ""};
  };
  if (!file.sha256.empty() && record.sha256 != file.sha256) return differs("sha256", record.sha256, file.sha256);
  if (!file.git_sha1.empty()) {
    MHUB_TRY(record.git_sha1, git_sha1_of(from.get(), record.bytes, file.path));
    if (record.git_sha1 != file.git_sha1) return differs("git sha1", record.git_sha1, file.git_sha1);
  }
  return record;
}

Result<void> Adoption::take(const ForeignModel& foreign) {
  std::vector<FileRecord> files;
  const auto taken = take_into_store(foreign, files);
  if (taken && *taken) return {};
  // The staging directory's links are gone again, which moved the ctime of files that rows may know.
  for (const FileRecord& file : files) {
    if (!file.sha256.empty()) MHUB_CHECK_OK(refresh_rows_of_inode(library_.registry(), file));
  }
  if (!taken) return taken.error();
  return {};
}

Result<bool> Adoption::take_into_store(const ForeignModel& foreign, std::vector<FileRecord>& files) {
  std::vector<std::string> names;
  for (const auto& file : foreign.files) names.push_back(file.path);
  MHUB_CHECK_OK(check_listing_names(names));
  MHUB_CHECK_OK(check_distinct_on_disk(names, layout_.home()));
  MHUB_CHECK_OK(check_listing_name(foreign.name));
  ModelRecord model;
  model.source = foreign.source;
  model.name = foreign.name;
  model.revision = foreign.revision;
  model.complete = foreign.complete;
  if (foreign.source == "huggingface") model.endpoint = library_.config().huggingface_endpoint;
  if (foreign.source == "modelscope") model.endpoint = library_.config().modelscope_endpoint;

  MHUB_TRY(StagingDirectory staging, StagingDirectory::create(layout_, "adopt"));
  std::atomic<uint64_t> copied{0};
  files.resize(foreign.files.size());
  MHUB_CHECK_OK(run_parallel(foreign.files.size(), [&](size_t i) -> Result<void> {
    MHUB_TRY(files[i], take_file(foreign.files[i], staging.fd(), copied));
    return {};
  }));
  model.files = files;
  model.commit = foreign.commit.empty() ? listing_digest(model.files) : foreign.commit;
  const fs::path target = layout_.model_directory(model.source, model.name, model.commit);
  model.path = target.string();
  MHUB_TRY(const auto row, library_.registry().find_exact(model.source, model.name, model.commit, model.path));
  if (row && row->files.size() >= model.files.size()) {
    report_.already.push_back(fmt::format("{}: {}", model.name, foreign.place.string()));
    return false;
  }
  const ModelFacts facts = describe_directory(staging.path());
  model.format = facts.format;
  model.quantization = facts.quantization;
  model.architecture = facts.architecture;
  model.created_at = timestamp_now();
  MHUB_CHECK_OK(record_model(library_.registry(), layout_, model, [&] { return staging.publish(target); }));
  report_.bytes += model.total_bytes();
  report_.bytes_copied += copied;
  model.num_bytes = model.total_bytes();
  model.num_files = model.files.size();
  model.files.clear();
  report_.adopted.push_back(std::move(model));
  return true;
}

// Files of a model under other names in another tree. One descriptor each for where drafts and files go.
class Exposure {
 public:
  Exposure(ModelLibrary& library, const ModelRecord& model, std::stop_token stop)
      : library_(library), model_(model), stop_(std::move(stop)) {}

  Result<void> put(const FileRecord& file, int root_fd, const std::string& path) {
    struct stat there {};
    MHUB_TRY(const ParentDirectory parent, make_parents_beneath(root_fd, path));
    if (fstatat(parent.fd.get(), parent.leaf.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) {
      if (there.st_ino == file.inode && static_cast<uint64_t>(there.st_size) == file.bytes) return {};
      if (unlinkat(parent.fd.get(), parent.leaf.c_str(), 0) != 0) return disk_error("replace", path, errno);
    }
    MHUB_TRY(const auto placed, place_known_content(library_.registry(), {path, file.sha256, file.bytes}, root_fd,
                                                    root_fd, Placement::kHardlink, stop_));
    if (placed) return {};
    return Error{ErrorCode::kIntegrity, fmt::format("expose {}: {} has changed on disk", model_.name, file.path),
                 "run `mhub verify --repair`", ""};
  }

 private:
  ModelLibrary& library_;
  const ModelRecord& model_;
  const std::stop_token stop_;
};

// As the readers of both caches write them: a draft and a rename.
Result<void> write_note(int root_fd, const std::string& path, const std::string& text) {
  MHUB_TRY(const ParentDirectory parent, make_parents_beneath(root_fd, path));
  const std::string draft = parent.leaf + ".mhub-draft";
  const UniqueFd fd(
      openat(parent.fd.get(), draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  const bool written = fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       fsync(fd.get()) == 0 &&
                       renameat(parent.fd.get(), draft.c_str(), parent.fd.get(), parent.leaf.c_str()) == 0;
  if (!written) return disk_error("write", path, errno);
  return sync_directory(parent.fd.get(), path);
}

std::string folded(std::string name) {
  if (const size_t slash = name.find('/'); slash != std::string::npos) name.replace(slash, 1, "--");
  return name;
}

// models--org--name/: blobs/<etag>, snapshots/<commit>/<path> -> ../../blobs/<etag>, refs/<revision> last.
Result<fs::path> expose_huggingface(Exposure& exposure, const ModelRecord& model, const fs::path& root) {
  const fs::path repository = root / ("models--" + folded(model.name));
  MHUB_TRY(const UniqueFd fd, open_directory(repository, true));
  const std::string commit = model.commit.size() == 40 ? model.commit : listing_digest(model.files);
  const std::string snapshot = "snapshots/" + commit;
  for (const FileRecord& file : model.files) {
    const std::string etag = file.git_sha1.empty() ? file.sha256 : file.git_sha1;
    MHUB_CHECK_OK(exposure.put(file, fd.get(), "blobs/" + etag));
    MHUB_TRY(const ParentDirectory parent, make_parents_beneath(fd.get(), snapshot + "/" + file.path));
    std::string up = "../../";
    for (const char c : file.path) up += c == '/' ? "../" : "";
    unlinkat(parent.fd.get(), parent.leaf.c_str(), 0);
    if (symlinkat((up + "blobs/" + etag).c_str(), parent.fd.get(), parent.leaf.c_str()) != 0) {
      return disk_error("link", file.path, errno);
    }
  }
  std::vector<std::string> refs{"main"};
  if (model.revision != "master" && model.revision != commit && check_listing_name(model.revision)) {
    refs.push_back(model.revision);
  }
  for (const std::string& ref : refs) MHUB_CHECK_OK(write_note(fd.get(), "refs/" + ref, commit));
  return repository / snapshot;
}

// models/org--name/snapshots/<revision>/<path>; "master" is what a client without a revision asks for.
Result<fs::path> expose_modelscope(Exposure& exposure, const ModelRecord& model, const fs::path& root) {
  const fs::path snapshots = root / "models" / folded(model.name) / "snapshots";
  MHUB_TRY(const UniqueFd fd, open_directory(snapshots, true));
  std::vector<std::string> revisions{"master"};
  if (model.revision != "main" && model.revision != "master" && model.revision.find('/') == std::string::npos &&
      check_listing_name(model.revision)) {
    revisions.push_back(model.revision);
  }
  for (const std::string& revision : revisions) {
    for (const FileRecord& file : model.files) {
      MHUB_CHECK_OK(exposure.put(file, fd.get(), revision + "/" + file.path));
    }
  }
  return snapshots / "master";
}

}  // namespace

Result<AdoptReport> adopt(ModelLibrary& library, const fs::path& root, std::stop_token stop) {
  return Adoption(library, std::move(stop)).run(root);
}

Result<fs::path> expose(ModelLibrary& library, const ModelRecord& model, CacheLayout layout, const fs::path& root,
                        std::stop_token stop) {
  Exposure exposure(library, model, std::move(stop));
  std::error_code error;
  const fs::path absolute = fs::absolute(root, error).lexically_normal();
  fs::create_directories(absolute, error);
  if (error) return disk_error("create directory", absolute.string(), error.value());
  return layout == CacheLayout::kHuggingFace ? expose_huggingface(exposure, model, absolute)
                                             : expose_modelscope(exposure, model, absolute);
}

}  // namespace mhub::hub
