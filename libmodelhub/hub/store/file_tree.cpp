// SPDX-License-Identifier: Apache-2.0
#include "store/file_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "store/layout.h"
#include "store/open_beneath.h"
#include "store/safe_path.h"
#include "store/sha256.h"

namespace mhub::hub {
namespace {

int64_t nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

Result<void> list_below(int directory_fd, const std::string& prefix, size_t depth,
                        const std::function<bool(const std::string&)>& skip, std::vector<std::string>& files) {
  if (depth > kMaxPathDepth) {
    return Error{ErrorCode::kPolicy,
                 fmt::format("list files: more than {} levels at '{}'", kMaxPathDepth, printable(prefix)),
                 "flatten the directory", ""};
  }
  UniqueFd again(openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again) return disk_error("open directory", prefix, errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(again.get()), closedir);
  if (!directory) return disk_error("open directory", prefix, errno);
  again.release();
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(directory.get());
    if (!entry && errno != 0) return disk_error("read directory", prefix, errno);
    if (!entry) return {};
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string path = prefix + name;
    if (skip && skip(path)) continue;
    struct stat info {};
    if (fstatat(directory_fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return disk_error("stat", path, errno);
    if (S_ISREG(info.st_mode)) {
      files.push_back(path);
    } else if (S_ISDIR(info.st_mode)) {
      UniqueFd child(openat(directory_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!child) return disk_error("open directory", path, errno);
      MHUB_CHECK_OK(list_below(child.get(), path + "/", depth + 1, skip, files));
    }
  }
}

Result<registry::FileRecord> hash_one(int directory_fd, const std::string& path, bool sync, std::stop_token stop) {
  MHUB_TRY(const UniqueFd fd, open_beneath(directory_fd, path, O_RDONLY));
  struct stat before {
  }, after{};
  if (fstat(fd.get(), &before) != 0) return disk_error("stat", path, errno);
  MHUB_TRY(HashedFile hashed, hash_descriptor(fd.get(), path, stop));
  if (sync && fsync(fd.get()) != 0) return disk_error("sync", path, errno);
  if (fstat(fd.get(), &after) != 0) return disk_error("stat", path, errno);
  registry::FileRecord file;
  file.path = path;
  file.sha256 = std::move(hashed.sha256);
  file.extents = std::move(hashed.extents);
  file.verified_at = timestamp_now();
  set_stat(file, after);
  // Not ctime: another process may link the same file into its store meanwhile.
  const bool same = before.st_size == after.st_size && nanoseconds(before.st_mtim) == file.mtime_ns;
  if (!same || hashed.bytes != file.bytes) {
    return Error{ErrorCode::kIntegrity, fmt::format("hash {}: it changed meanwhile", path),
                 "try again when nothing writes to it", ""};
  }
  return file;
}

}  // namespace

void set_stat(registry::FileRecord& file, const struct stat& info) {
  file.bytes = static_cast<uint64_t>(info.st_size);
  file.inode = info.st_ino;
  file.mtime_ns = nanoseconds(info.st_mtim);
  file.ctime_ns = nanoseconds(info.st_ctim);
}

bool looks_unchanged(const registry::FileRecord& file, const struct stat& info) {
  return S_ISREG(info.st_mode) && file.bytes == static_cast<uint64_t>(info.st_size) && file.inode == info.st_ino &&
         file.mtime_ns == nanoseconds(info.st_mtim) && file.ctime_ns == nanoseconds(info.st_ctim);
}

bool looks_unchanged(const registry::FileRecord& file, int directory_fd) {
  struct stat info {};
  return fstatat(directory_fd, file.path.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && looks_unchanged(file, info);
}

Result<std::vector<std::string>> list_files(int directory_fd, const std::function<bool(const std::string&)>& skip) {
  std::vector<std::string> files;
  MHUB_CHECK_OK(list_below(directory_fd, "", 1, skip, files));
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::vector<registry::FileRecord>> hash_files(int directory_fd, std::span<const std::string> paths, bool sync,
                                                     std::stop_token stop) {
  std::vector<registry::FileRecord> files(paths.size());
  MHUB_CHECK_OK(run_parallel(paths.size(), [&](size_t i) -> Result<void> {
    MHUB_TRY(files[i], hash_one(directory_fd, paths[i], sync, stop));
    return {};
  }));
  return files;
}

Result<void> run_parallel(size_t count, const std::function<Result<void>(size_t)>& body) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::optional<Error> first_error;    // guarded by mutex
  std::exception_ptr first_exception;  // guarded by mutex
  const auto work = [&] {
    for (size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      Result<void> result;
      std::exception_ptr exception;
      try {
        result = body(i);
      } catch (...) {
        exception = std::current_exception();
      }
      if (result && !exception) continue;
      const std::lock_guard lock(mutex);
      if (!result && !first_error) first_error = std::move(result.error());
      if (exception && !first_exception) first_exception = exception;
      next.store(count);
      return;
    }
  };
  {
    std::vector<std::jthread> threads;
    const size_t wanted = std::min<size_t>(count, std::max(1u, std::thread::hardware_concurrency()));
    for (size_t t = 1; t < wanted; ++t) threads.emplace_back(work);
    work();
  }
  if (first_exception) std::rethrow_exception(first_exception);
  if (first_error) return *first_error;
  return {};
}

}  // namespace mhub::hub
