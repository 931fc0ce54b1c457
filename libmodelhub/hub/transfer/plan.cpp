// SPDX-License-Identifier: Apache-2.0
#include "transfer/plan.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "mhub/base/bytes.h"
#include "store/file_tree.h"
#include "store/layout.h"
#include "store/open_beneath.h"
#include "store/safe_path.h"
#include "store/sha256.h"
#include "transfer/name_filter.h"
#include "transfer/partial_file.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

// Which of `paths` are asked for, in their order.
Result<std::set<std::string>> choose(const std::vector<std::string>& paths, const DownloadOptions& options) {
  const NameFilter filter{options.include, options.exclude};
  std::set<std::string> chosen;
  if (!options.files.empty()) {
    const std::set<std::string> there(paths.begin(), paths.end());
    for (const std::string& file : options.files) {
      if (!there.contains(file)) {
        return Error{ErrorCode::kHubNotFound,
                     fmt::format("download file '{}': the revision does not have it", printable(file)),
                     "FILE is a whole path of the listing; --include takes patterns", ""};
      }
      chosen.insert(file);
    }
  } else {
    chosen.insert(paths.begin(), paths.end());
  }
  std::erase_if(chosen, [&](const std::string& path) { return !filter.wants(path); });
  if (chosen.empty()) {
    return Error{ErrorCode::kUsage, fmt::format("choose files: none of {} matches", paths.size()),
                 "check --include and --exclude; `mhub download MODEL --dry-run` lists what there is", ""};
  }
  return chosen;
}

bool same_content(const registry::FileRecord& have, const RemoteFile& want) {
  if (have.bytes != want.bytes) return false;
  if (!want.sha256.empty()) return have.sha256 == want.sha256;
  return !want.git_sha1.empty() && have.git_sha1 == want.git_sha1;
}

// nullopt when the file is not what is wanted.
Result<std::optional<registry::FileRecord>> adopt(const RemoteFile& want, int work_fd, int target_fd,
                                                  std::stop_token stop) {
  std::optional<registry::FileRecord> none;
  struct stat info {};
  if (fstatat(target_fd, want.path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) return none;
  if (static_cast<uint64_t>(info.st_size) != want.bytes) return none;
  MHUB_TRY(const auto placed, PartialFile::placed_record(work_fd, want));
  if (placed && looks_unchanged(*placed, info)) return placed;
  if (want.sha256.empty() && want.git_sha1.empty()) return none;
  const auto fd = open_beneath(target_fd, want.path, O_RDONLY);
  if (!fd) return none;
  if (!want.git_sha1.empty()) {
    GitBlobSha1 git(want.bytes);
    std::vector<std::byte> buffer(1u << 20);
    ssize_t n = 0;
    for (off_t at = 0; (n = pread(fd->get(), buffer.data(), buffer.size(), at)) > 0; at += n) {
      git.update(std::span(buffer.data(), static_cast<size_t>(n)));
    }
    if (n < 0 || git.finish() != want.git_sha1) return none;
  }
  MHUB_TRY(std::vector<registry::FileRecord> hashed, hash_files(target_fd, std::span(&want.path, 1), true, stop));
  if (!want.sha256.empty() && hashed.front().sha256 != want.sha256) return none;
  hashed.front().git_sha1 = want.git_sha1;
  return std::optional(std::move(hashed.front()));
}

}  // namespace

Result<std::vector<RemoteFile>> select_files(const Snapshot& snapshot, const DownloadOptions& options,
                                             const fs::path& target) {
  std::vector<std::string> paths;
  for (const RemoteFile& file : snapshot.files) paths.push_back(file.path);
  MHUB_CHECK_OK(check_listing_names(paths));
  MHUB_CHECK_OK(check_distinct_on_disk(paths, target));
  MHUB_TRY(const std::set<std::string> chosen, choose(paths, options));
  std::vector<RemoteFile> files;
  uint64_t total = 0;
  for (const RemoteFile& file : snapshot.files) {
    if (!chosen.contains(file.path)) continue;
    const auto sum = checked_add(total, file.bytes);
    if (!sum)
      return Error{ErrorCode::kPolicy, "add up the sizes of the listing: they overflow", "check the endpoint", ""};
    total = *sum;
    files.push_back(file);
  }
  return files;
}

Result<std::vector<registry::FileRecord>> select_records(const registry::ModelRecord& row,
                                                         const DownloadOptions& options) {
  std::vector<std::string> paths;
  for (const registry::FileRecord& file : row.files) paths.push_back(file.path);
  MHUB_TRY(const std::set<std::string> chosen, choose(paths, options));
  std::vector<registry::FileRecord> files;
  std::copy_if(row.files.begin(), row.files.end(), std::back_inserter(files),
               [&](const registry::FileRecord& file) { return chosen.contains(file.path); });
  return files;
}

std::vector<registry::FileRecord> present_files(const std::optional<registry::ModelRecord>& row,
                                                const std::vector<RemoteFile>& wanted) {
  std::vector<registry::FileRecord> present;
  if (!row) return present;
  const auto directory = open_directory(row->path, false);
  if (!directory) return present;
  std::map<std::string_view, const registry::FileRecord*> by_path;
  for (const registry::FileRecord& file : row->files) by_path[file.path] = &file;
  for (const RemoteFile& want : wanted) {
    const auto found = by_path.find(want.path);
    if (found == by_path.end() || !same_content(*found->second, want)) continue;
    if (looks_unchanged(*found->second, directory->get())) present.push_back(*found->second);
  }
  return present;
}

Result<std::vector<registry::FileRecord>> adopt_files(const std::vector<RemoteFile>& missing, int work_fd,
                                                      int target_fd, std::stop_token stop) {
  std::vector<std::optional<registry::FileRecord>> found(missing.size());
  MHUB_CHECK_OK(run_parallel(missing.size(), [&](size_t i) -> Result<void> {
    MHUB_TRY(found[i], adopt(missing[i], work_fd, target_fd, stop));
    return {};
  }));
  std::vector<registry::FileRecord> adopted;
  for (auto& file : found) {
    if (file) adopted.push_back(*std::move(file));
  }
  return adopted;
}

Result<void> check_free_space(const std::vector<RemoteFile>& missing, int work_fd) {
  uint64_t need = 0;
  for (const RemoteFile& file : missing) {
    struct stat info {};
    uint64_t reserved = 0;
    const std::string name = partial_stem(file.path) + ".part";
    if (fstatat(work_fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
      reserved = static_cast<uint64_t>(info.st_blocks) * 512;
    }
    need += file.bytes - std::min(reserved, file.bytes);
  }
  struct statvfs space {};
  if (fstatvfs(work_fd, &space) != 0) return disk_error("look for free space at", "the target", errno);
  const uint64_t free = static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
  if (need + need / 100 <= free) return {};
  return Error{ErrorCode::kDisk,
               fmt::format("reserve space: {} to fetch, {} free on the target's file system", human_bytes(need),
                           human_bytes(free)),
               "free space there, or choose another place with --local-dir or MHUB_HOME", ""};
}

std::string commit_of_listing(const Snapshot& snapshot) {
  std::vector<registry::FileRecord> files;
  for (const RemoteFile& file : snapshot.files) {
    registry::FileRecord record;
    record.path = file.path;
    record.bytes = file.bytes;
    record.sha256 = file.sha256.empty() ? file.git_sha1 : file.sha256;
    files.push_back(std::move(record));
  }
  return listing_digest(files);
}

}  // namespace mhub::hub
