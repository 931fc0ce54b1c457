// SPDX-License-Identifier: Apache-2.0
#include "store/place_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <vector>

#include "store/extent_hash.h"
#include "store/open_beneath.h"

namespace mhub::hub {
namespace {

Result<void> write_all(int fd, std::span<const std::byte> bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return disk_error("write", name, errno);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

Result<HashedFile> copy_bytes(int from, int to, uint64_t size, const std::string& name, std::stop_token stop) {
  if (size > 0) {
    const int error_number = posix_fallocate(to, 0, static_cast<off_t>(size));
    if (error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG) {
      return disk_error(fmt::format("reserve {} bytes for", size), name, error_number);
    }
  }
  posix_fadvise(from, 0, 0, POSIX_FADV_SEQUENTIAL);
  std::vector<std::byte> buffer(1u << 20);
  Sha256 hash;
  ExtentHasher extents;
  HashedFile copied;
  for (;;) {
    if (stop.stop_requested())
      return Error{ErrorCode::kInterrupted, fmt::format("copy {}: interrupted", name), "run the same command again",
                   ""};
    const ssize_t n = pread(from, buffer.data(), buffer.size(), static_cast<off_t>(copied.bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return disk_error("read", name, errno);
    if (n == 0) break;
    const auto bytes = std::span<const std::byte>(buffer).first(static_cast<size_t>(n));
    hash.update(bytes);
    extents.update(bytes);
    MHUB_CHECK_OK(write_all(to, bytes, name));
    copied.bytes += bytes.size();
  }
  if (copied.bytes != size) {
    return Error{ErrorCode::kIntegrity,
                 fmt::format("copy {}: it changed from {} to {} bytes meanwhile", name, size, copied.bytes),
                 "try again when nothing writes to it", ""};
  }
  copied.sha256 = hash.finish();
  copied.extents = extents.finish();
  return copied;
}

Result<void> sync_file(int fd, const std::string& name) {
  while (fsync(fd) != 0) {
    if (errno != EINTR) return disk_error("sync", name, errno);
  }
  return {};
}

// A link to a file of somebody else would let them change the store.
bool may_link(const struct stat& info) {
  return info.st_uid == geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

}  // namespace

Result<UniqueFd> open_source(const std::filesystem::path& file) {
  UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return disk_error("open", file.string(), errno);
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return disk_error("stat", file.string(), errno);
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorCode::kDisk, fmt::format("open {}: not a regular file", file.string()), "check the path", ""};
  }
  return fd;
}

Result<PlacedFile> place_file(int source_fd, const std::string& source_name, int directory_fd, const std::string& leaf,
                              std::stop_token stop, Placement cheapest) {
  struct stat info {};
  if (fstat(source_fd, &info) != 0) return disk_error("stat", source_name, errno);
  PlacedFile placed;
  if (cheapest == Placement::kHardlink && may_link(info)) {
    const std::string by_descriptor = fmt::format("/proc/self/fd/{}", source_fd);
    if (linkat(AT_FDCWD, by_descriptor.c_str(), directory_fd, leaf.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      MHUB_CHECK_OK(sync_file(source_fd, source_name));
      placed.how = Placement::kHardlink;
      return placed;
    }
    if (errno == EEXIST) return disk_error("create", leaf, EEXIST);
  }
  UniqueFd target(openat(directory_fd, leaf.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!target) return disk_error("create", leaf, errno);
  if (cheapest != Placement::kCopy && ioctl(target.get(), FICLONE, source_fd) == 0) {
    placed.how = Placement::kReflink;
  } else {
    MHUB_TRY(placed.hash, copy_bytes(source_fd, target.get(), static_cast<uint64_t>(info.st_size), source_name, stop));
  }
  MHUB_CHECK_OK(sync_file(target.get(), leaf));
  return placed;
}

}  // namespace mhub::hub
