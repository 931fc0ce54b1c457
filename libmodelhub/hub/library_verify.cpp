// SPDX-License-Identifier: Apache-2.0
// ModelLibrary::verify.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <set>

#include "library_state.h"
#include "mhub/base/error.h"
#include "store/file_tree.h"
#include "store/open_beneath.h"

namespace mhub::hub {
namespace {

using registry::FileRecord;
using registry::ModelRecord;

// What is wrong with one file; "" and a refreshed record when nothing is.
Result<std::string> examine(int directory_fd, FileRecord& file, std::stop_token stop) {
  struct stat info {};
  if (fstatat(directory_fd, file.path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::string("missing");
    return disk_error("stat", file.path, errno).message;
  }
  if (!S_ISREG(info.st_mode)) return std::string("not a regular file");
  if (static_cast<uint64_t>(info.st_size) != file.bytes) {
    return fmt::format("damaged: {} bytes, expected {}", info.st_size, file.bytes);
  }
  const std::string path = file.path;
  auto hashed = hash_files(directory_fd, std::span(&path, 1), false, stop);
  if (!hashed && hashed.error().code == ErrorCode::kInterrupted) return hashed.error();
  if (!hashed) return hashed.error().message;
  FileRecord& found = hashed->front();
  if (found.sha256 != file.sha256) return fmt::format("damaged: sha256 {}, expected {}", found.sha256, file.sha256);
  found.git_sha1 = file.git_sha1;
  file = std::move(found);
  return std::string();
}

// Files in a store directory that the row does not name.
Result<void> find_extra_files(int directory_fd, const ModelRecord& model, VerifyReport& report) {
  std::set<std::string> known;
  for (const FileRecord& file : model.files) known.insert(file.path);
  MHUB_TRY(const std::vector<std::string> present, list_files(directory_fd));
  for (const std::string& path : present) {
    if (!known.contains(path)) report.problems.push_back({path, "extra: not part of the model"});
  }
  return {};
}

}  // namespace

Result<VerifyReport> ModelLibrary::verify(const std::string& name, std::stop_token stop) {
  MHUB_TRY(ModelRecord model, find(name));
  if (model.id == 0) {
    return Error{
        ErrorCode::kModelNotFound,
        fmt::format("verify {}: it is not registered, so nothing says what it should be", printable(model.path, 1024)),
        "register it with `mhub import`", ""};
  }
  VerifyReport report;
  report.files = model.files.size();
  report.bytes = model.total_bytes();
  const auto directory = open_directory(model.path, false);
  if (!directory) {
    report.problems.push_back({model.path, "missing: " + directory.error().message});
    return report;
  }
  std::mutex mutex;
  std::vector<FileRecord> good;  // guarded by mutex
  MHUB_CHECK_OK(run_parallel(model.files.size(), [&](size_t i) -> Result<void> {
    MHUB_TRY(std::string problem, examine(directory->get(), model.files[i], stop));
    const std::lock_guard lock(mutex);
    if (problem.empty()) {
      good.push_back(model.files[i]);
    } else {
      report.problems.push_back({model.files[i].path, std::move(problem)});
    }
    return {};
  }));
  if (model.in_store) MHUB_CHECK_OK(find_extra_files(directory->get(), model, report));
  std::sort(report.problems.begin(), report.problems.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  // The finding stands whether or not the registry can be written (a read-only home).
  const auto updated = state_->registry->update_file_stats(model.id, good);
  if (!updated && updated.error().code != ErrorCode::kDisk) return updated.error();
  return report;
}

}  // namespace mhub::hub
