// SPDX-License-Identifier: Apache-2.0
// export_bundle, import_bundle: mhub-bundle.json {"format":1,"models":[manifest...]}, then files/<sha256> each once.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "mhub/base/bytes.h"
#include "mhub/base/error.h"
#include "mhub/base/json.h"
#include "mhub/hub/store_exchange.h"
#include "store/extent_hash.h"
#include "store/file_tree.h"
#include "store/layout.h"
#include "store/manifest.h"
#include "store/open_beneath.h"
#include "store/place_file.h"
#include "store/safe_path.h"
#include "store/sha256.h"
#include "store/staging.h"
#include "store/tar.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

using registry::FileRecord;
using registry::ModelRecord;

constexpr const char* kIndexName = "mhub-bundle.json";
constexpr const char* kContentPrefix = "files/";
constexpr int kFormat = 1;
constexpr uint64_t kMaxIndexBytes = 1u << 30;

Error interrupted(const std::string& what) {
  return {ErrorCode::kInterrupted, what + ": interrupted", "run the same command again", ""};
}

Error damaged(const fs::path& file, const std::string& why) {
  return {ErrorCode::kIntegrity, fmt::format("import bundle {}: {}", printable(file.string(), 1024), why),
          "copy it again, and compare its sha256 with the original's", ""};
}

// Sequential bytes of one file with a position for messages.
class Writer {
 public:
  Writer(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  Result<void> write(std::span<const char> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return disk_error("write", name_, errno);
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
    return {};
  }

 private:
  int fd_;
  std::string name_;
};

Result<void> pad(Writer& out, const TarEntry& entry) {
  static constexpr TarBlock kZeros{};
  return out.write(std::span(kZeros).first(static_cast<size_t>(entry.padded_bytes() - entry.bytes)));
}

Result<void> write_content(Writer& out, const ModelRecord& model, const FileRecord& file, std::stop_token stop) {
  MHUB_TRY(const UniqueFd directory, open_directory(model.path, false));
  MHUB_TRY(const UniqueFd fd, open_beneath(directory.get(), file.path, O_RDONLY));
  const TarEntry entry{kContentPrefix + file.sha256, file.bytes};
  MHUB_CHECK_OK(out.write(tar_header(entry)));
  Sha256 hash;
  std::vector<char> buffer(1u << 20);
  uint64_t at = 0;
  while (at < file.bytes) {
    if (stop.stop_requested()) return interrupted("export");
    const size_t want = static_cast<size_t>(std::min<uint64_t>(buffer.size(), file.bytes - at));
    const ssize_t n = pread(fd.get(), buffer.data(), want, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return disk_error("read", file.path, errno);
    if (n == 0) break;
    const auto bytes = std::span<const char>(buffer).first(static_cast<size_t>(n));
    hash.update(std::as_bytes(bytes));
    MHUB_CHECK_OK(out.write(bytes));
    at += bytes.size();
  }
  if (at != file.bytes || hash.finish() != file.sha256) {
    return Error{ErrorCode::kIntegrity, fmt::format("export {}: {} is not what was verified", model.name, file.path),
                 "run `mhub verify --repair` first", ""};
  }
  return pad(out, entry);
}

// Bytes of the bundle in order.
class Reader {
 public:
  Reader(UniqueFd fd, fs::path file) : fd_(std::move(fd)), file_(std::move(file)) {}
  // Exactly so many, or kIntegrity.
  Result<void> read(std::span<char> to) {
    while (!to.empty()) {
      const ssize_t n = ::read(fd_.get(), to.data(), to.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return disk_error("read", file_.string(), errno);
      if (n == 0) return damaged(file_, "it ends too early");
      to = to.subspan(static_cast<size_t>(n));
    }
    return {};
  }
  Result<std::optional<TarEntry>> next() {
    TarBlock block;
    MHUB_CHECK_OK(read(block));
    auto entry = parse_tar_header(block);
    if (!entry) return damaged(file_, entry.error().message);
    return entry;
  }
  Result<void> skip_padding(const TarEntry& entry) {
    TarBlock rest;
    return read(std::span(rest).first(static_cast<size_t>(entry.padded_bytes() - entry.bytes)));
  }

 private:
  UniqueFd fd_;
  fs::path file_;
};

class BundleImport {
 public:
  BundleImport(ModelLibrary& library, fs::path file, std::stop_token stop)
      : library_(library), layout_(library.config().home), file_(std::move(file)), stop_(std::move(stop)) {}

  Result<BundleReport> run() {
    MHUB_TRY(UniqueFd fd, open_source(file_));
    Reader reader(std::move(fd), file_);
    MHUB_CHECK_OK(read_index(reader));
    MHUB_CHECK_OK(check_space());
    MHUB_TRY(const StagingDirectory contents, StagingDirectory::create(layout_, "bundle"));
    while (!wanted_.empty()) {
      MHUB_TRY(const auto entry, reader.next());
      if (!entry) return damaged(file_, fmt::format("{} contents are missing", wanted_.size()));
      MHUB_CHECK_OK(read_content(reader, *entry, contents.fd()));
      MHUB_CHECK_OK(reader.skip_padding(*entry));
    }
    for (ModelRecord& model : models_) MHUB_CHECK_OK(put(model, contents.fd()));
    return std::move(report_);
  }

 private:
  Result<void> read_index(Reader& reader);
  Result<void> check_model(const ModelRecord& model) const;
  Result<void> check_space() const;
  Result<void> read_content(Reader& reader, const TarEntry& entry, int contents_fd);
  Result<void> put(ModelRecord& model, int contents_fd);

  ModelLibrary& library_;
  const StoreLayout layout_;
  const fs::path file_;
  const std::stop_token stop_;
  std::vector<ModelRecord> models_;
  std::map<std::string, uint64_t> wanted_;      // sha256 -> bytes, not read yet
  std::map<std::string, std::string> extents_;  // by sha256
  BundleReport report_;
};

Result<void> BundleImport::check_model(const ModelRecord& model) const {
  // They become directories below models/.
  MHUB_CHECK_OK(check_listing_name(model.source));
  MHUB_CHECK_OK(check_listing_name(model.name));
  MHUB_CHECK_OK(check_listing_name(model.commit));
  const bool one_component = model.source.find('/') == std::string::npos && model.commit.find('/') == std::string::npos;
  if (one_component && std::count(model.name.begin(), model.name.end(), '/') <= 1) {
    std::vector<std::string> names;
    for (const FileRecord& file : model.files) names.push_back(file.path);
    return check_distinct_on_disk(names, layout_.home());
  }
  return Error{ErrorCode::kPolicy, fmt::format("import bundle: '{}' is no place in the store", printable(model.name)),
               "export it again with mhub", ""};
}

Result<void> BundleImport::read_index(Reader& reader) {
  MHUB_TRY(const auto entry, reader.next());
  if (!entry || entry->name != kIndexName || entry->bytes > kMaxIndexBytes) return damaged(file_, "it has no index");
  std::string text(entry->bytes, '\0');
  MHUB_CHECK_OK(reader.read(text));
  MHUB_CHECK_OK(reader.skip_padding(*entry));
  const auto index = parse_json(text, {.max_bytes = kMaxIndexBytes, .max_values = 20'000'000});
  if (!index || !index->is_object() || index->value("format", 0) != kFormat || !index->contains("models") ||
      !(*index)["models"].is_array()) {
    return damaged(file_, "its index is not of a format that this mhub knows");
  }
  for (const Json& manifest : (*index)["models"]) {
    auto model = manifest.is_string() ? parse_manifest(manifest.get<std::string>()) : std::nullopt;
    if (!model) {
      return Error{ErrorCode::kPolicy, "import bundle: a model of its index is malformed or has unsafe names",
                   "export it again with mhub", ""};
    }
    MHUB_CHECK_OK(check_model(*model));
    for (const FileRecord& file : model->files) {
      const auto [known, added] = wanted_.emplace(file.sha256, file.bytes);
      if (!added && known->second != file.bytes) return damaged(file_, "its index contradicts itself");
    }
    models_.push_back(*std::move(model));
  }
  report_.contents = wanted_.size();
  return {};
}

Result<void> BundleImport::check_space() const {
  uint64_t need = 0;
  for (const auto& [sha256, bytes] : wanted_) {
    const auto sum = checked_add(need, bytes);
    if (!sum) return damaged(file_, "its sizes overflow");
    need = *sum;
  }
  MHUB_TRY(const UniqueFd partial, open_directory(layout_.partial(), true));
  struct statvfs space {};
  if (fstatvfs(partial.get(), &space) != 0) return disk_error("look for free space at", layout_.home().string(), errno);
  const uint64_t free = static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
  if (need <= free) return {};
  return Error{ErrorCode::kDisk,
               fmt::format("import bundle: {} needed, {} free in {}", human_bytes(need), human_bytes(free),
                           layout_.home().string()),
               "free space there, or set MHUB_HOME to another place", ""};
}

Result<void> BundleImport::read_content(Reader& reader, const TarEntry& entry, int contents_fd) {
  const std::string sha256 = entry.name.starts_with(kContentPrefix) ? entry.name.substr(6) : "";
  const auto wanted = wanted_.find(sha256);
  if (wanted == wanted_.end() || wanted->second != entry.bytes) {
    return damaged(file_, fmt::format("'{}' is not of its index", printable(entry.name)));
  }
  UniqueFd fd(openat(contents_fd, sha256.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd) return disk_error("create", sha256, errno);
  Writer out(fd.get(), sha256);
  Sha256 hash;
  ExtentHasher extents;
  std::vector<char> buffer(1u << 20);
  for (uint64_t left = entry.bytes; left > 0;) {
    if (stop_.stop_requested()) return interrupted("import bundle");
    const auto part = std::span(buffer).first(static_cast<size_t>(std::min<uint64_t>(buffer.size(), left)));
    MHUB_CHECK_OK(reader.read(part));
    hash.update(std::as_bytes(part));
    extents.update(std::as_bytes(part));
    MHUB_CHECK_OK(out.write(part));
    left -= part.size();
  }
  if (hash.finish() != sha256) return damaged(file_, fmt::format("content {} has another hash", sha256));
  if (fsync(fd.get()) != 0) return disk_error("sync", sha256, errno);
  extents_[sha256] = extents.finish();
  report_.bytes += entry.bytes;
  wanted_.erase(wanted);
  return {};
}

Result<void> BundleImport::put(ModelRecord& model, int contents_fd) {
  MHUB_TRY(StagingDirectory staging, StagingDirectory::create(layout_, "import"));
  for (FileRecord& file : model.files) {
    MHUB_TRY(const UniqueFd content, open_beneath(contents_fd, file.sha256, O_RDONLY));
    MHUB_TRY(const ParentDirectory parent, make_parents_beneath(staging.fd(), file.path));
    MHUB_TRY(const PlacedFile placed, place_file(content.get(), file.path, parent.fd.get(), parent.leaf, stop_));
  }
  // One content may have several names: their stat counts once all are made and the content's own name is gone.
  model.path = layout_.model_directory(model.source, model.name, model.commit).string();
  model.in_store = true;
  model.created_at = timestamp_now();
  for (FileRecord& file : model.files) {
    file.extents = extents_[file.sha256];
    file.verified_at = model.created_at;
  }
  MHUB_TRY(model.id, record_model(library_.registry(), layout_, model, [&] { return staging.publish(model.path); }));
  report_.models.push_back(model);
  report_.models.back().files.clear();
  report_.models.back().num_files = model.files.size();
  report_.models.back().num_bytes = model.total_bytes();
  return {};
}

// The stat of every file, once nothing is linked or unlinked any more.
Result<void> refresh_stats(ModelLibrary& library, const ModelRecord& imported) {
  MHUB_TRY(const auto row,
           library.registry().find_exact(imported.source, imported.name, imported.commit, imported.path));
  if (!row) return {};
  MHUB_TRY(const UniqueFd directory, open_directory(row->path, false));
  std::vector<FileRecord> files = row->files;
  for (FileRecord& file : files) {
    struct stat info {};
    if (fstatat(directory.get(), file.path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return disk_error("stat", file.path, errno);
    }
    set_stat(file, info);
  }
  return library.registry().update_file_stats(row->id, files);
}

}  // namespace

Result<BundleReport> export_bundle(ModelLibrary& library, const std::vector<std::string>& models, const fs::path& file,
                                   std::stop_token stop) {
  BundleReport report;
  Json manifests = Json::array();
  std::map<std::string, std::pair<size_t, size_t>> contents;  // sha256 -> model, file
  std::vector<ModelRecord> rows;
  for (const std::string& name : models) {
    MHUB_TRY(ModelRecord row, library.find(name));
    if (row.id == 0) {
      return Error{ErrorCode::kModelNotFound, fmt::format("export {}: it is not registered", printable(name, 1024)),
                   "register it with `mhub import`", ""};
    }
    manifests.push_back(manifest_text(row));
    for (size_t f = 0; f < row.files.size(); ++f) contents.try_emplace(row.files[f].sha256, rows.size(), f);
    rows.push_back(std::move(row));
  }
  std::error_code error;
  const fs::path absolute = fs::absolute(file, error).lexically_normal();
  const fs::path draft = absolute.string() + fmt::format(".mhub-{}", getpid());
  UniqueFd fd(open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) return disk_error("create", draft.string(), errno);
  const auto write_all = [&]() -> Result<void> {
    Writer out(fd.get(), file.string());
    const std::string index = dump_json(Json{{"format", kFormat}, {"models", std::move(manifests)}});
    const TarEntry entry{kIndexName, index.size()};
    MHUB_CHECK_OK(out.write(tar_header(entry)));
    MHUB_CHECK_OK(out.write(index));
    MHUB_CHECK_OK(pad(out, entry));
    for (const auto& [sha256, place] : contents) {
      MHUB_CHECK_OK(write_content(out, rows[place.first], rows[place.first].files[place.second], stop));
      report.bytes += rows[place.first].files[place.second].bytes;
    }
    MHUB_CHECK_OK(out.write(TarBlock{}));
    MHUB_CHECK_OK(out.write(TarBlock{}));
    if (fsync(fd.get()) != 0) return disk_error("sync", draft.string(), errno);
    if (rename(draft.c_str(), absolute.c_str()) != 0) return disk_error("rename to", absolute.string(), errno);
    return sync_directory(absolute.parent_path());
  };
  const auto written = write_all();
  if (!written) {
    fs::remove(draft, error);
    return written.error();
  }
  report.contents = contents.size();
  report.models = std::move(rows);
  return report;
}

bool is_bundle(const fs::path& file) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  TarBlock block;
  if (!fd || read(fd.get(), block.data(), block.size()) != static_cast<ssize_t>(block.size())) return false;
  const auto entry = parse_tar_header(block);
  return entry && *entry && (*entry)->name == kIndexName;
}

Result<BundleReport> import_bundle(ModelLibrary& library, const fs::path& file, std::stop_token stop) {
  MHUB_TRY(BundleReport report, BundleImport(library, file, std::move(stop)).run());
  for (const ModelRecord& model : report.models) MHUB_CHECK_OK(refresh_stats(library, model));
  return report;
}

}  // namespace mhub::hub
