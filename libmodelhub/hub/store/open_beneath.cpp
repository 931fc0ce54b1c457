// SPDX-License-Identifier: Apache-2.0
#include "store/open_beneath.h"

#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "mhub/base/error.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

Error escape_error(std::string_view relative, std::string_view why) {
  return {ErrorCode::kPolicy, fmt::format("open '{}': {}", printable(relative), why),
          "remove the link or choose another directory", ""};
}

Result<UniqueFd> open_resolved(int dir_fd, const std::string& relative, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags);
  how.mode = (flags & O_CREAT) ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (;;) {
    const long fd = syscall(SYS_openat2, dir_fd, relative.c_str(), &how, sizeof(how));
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno == EINTR || errno == EAGAIN) continue;
    if (errno == ENOSYS || errno == EPERM || errno == E2BIG) return walk_beneath(dir_fd, relative, flags, mode);
    if (errno == ELOOP) return escape_error(relative, "a symbolic link is in the way");
    if (errno == EXDEV) return escape_error(relative, "it leads out of its directory");
    return disk_error("open", relative, errno);
  }
}

}  // namespace

Result<UniqueFd> walk_beneath(int dir_fd, const std::string& relative, int flags, mode_t mode) {
  UniqueFd current;
  size_t begin = 0;
  for (;;) {
    const size_t slash = relative.find('/', begin);
    const std::string component = relative.substr(begin, slash - begin);
    if (component.empty() || component == "." || component == "..") {
      return escape_error(relative, "'.', '..' and empty components are refused");
    }
    const bool last = slash == std::string::npos;
    const int from = current ? current.get() : dir_fd;
    const int fd =
        openat(from, component.c_str(), last ? flags : O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) {
      struct stat info {};
      const int error_number = errno;
      const bool link = fstatat(from, component.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
      if (link) return escape_error(relative, "a symbolic link is in the way");
      return disk_error("open", relative, error_number);
    }
    current.reset(fd);
    if (last) return current;
    begin = slash + 1;
  }
}

Error disk_error(const std::string& action, const std::string& path, int error_number) {
  std::string hint = "check the disk";
  switch (error_number) {
    case ENOSPC:
      hint = "free space on that file system and run the same command again";
      break;
    case EDQUOT:
      hint = "the quota is used up: free space and run the same command again";
      break;
    case EFBIG:
      hint = "the file size limit (ulimit -f) or the file system's is too small";
      break;
    case EROFS:
    case EACCES:
    case EPERM:
      hint = "give this user write permission there or set MHUB_HOME to another directory";
      break;
    case ENOENT:
      hint = "check the path";
      break;
    case EMFILE:
    case ENFILE:
      hint = "raise the limit of open files (ulimit -n)";
      break;
    default:
      break;
  }
  return {ErrorCode::kDisk, fmt::format("{} {}: {}", action, printable(path, 1024), std::strerror(error_number)), hint,
          ""};
}

Result<void> make_directories(const fs::path& dir) {
  if (dir.empty()) return {};
  std::error_code error;
  std::vector<fs::path> missing;
  for (fs::path at = dir; !at.empty() && !fs::exists(at, error) && at != at.parent_path(); at = at.parent_path()) {
    missing.push_back(at);
  }
  fs::create_directories(dir, error);
  if (error) return disk_error("create directory", dir.string(), error.value());
  for (auto made = missing.rbegin(); made != missing.rend(); ++made) {
    MHUB_CHECK_OK(sync_directory(made->has_parent_path() ? made->parent_path() : fs::path(".")));
  }
  return {};
}

Result<UniqueFd> open_directory(const fs::path& dir, bool create) {
  if (create) {
    MHUB_CHECK_OK(make_directories(dir.parent_path()));
    if (mkdir(dir.c_str(), 0700) == 0) {
      MHUB_CHECK_OK(sync_directory(dir.has_parent_path() ? dir.parent_path() : fs::path(".")));
    } else if (errno != EEXIST) {
      return disk_error("create directory", dir.string(), errno);
    }
  }
  UniqueFd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return disk_error("open directory", dir.string(), errno);
  return fd;
}

Result<UniqueFd> open_beneath(int dir_fd, std::string_view relative, int flags, mode_t mode, bool regular_only) {
  const std::string path(relative);
  if (path.find('\0') != std::string::npos) return escape_error(relative, "a NUL byte is in the name");
  MHUB_TRY(UniqueFd fd, open_resolved(dir_fd, path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode));
  if (!regular_only) return fd;
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return disk_error("stat", path, errno);
  if (!S_ISREG(info.st_mode)) return escape_error(relative, "not a regular file");
  const int status = fcntl(fd.get(), F_GETFL);
  if (status < 0 || fcntl(fd.get(), F_SETFL, status & ~O_NONBLOCK) != 0) return disk_error("open", path, errno);
  return fd;
}

Result<ParentDirectory> make_parents_beneath(int dir_fd, std::string_view relative) {
  ParentDirectory parent;
  const size_t last = relative.rfind('/');
  parent.leaf = std::string(last == std::string_view::npos ? relative : relative.substr(last + 1));
  if (parent.leaf.empty() || parent.leaf == "." || parent.leaf == "..") {
    return escape_error(relative, "'.', '..' and empty components are refused");
  }
  parent.fd.reset(fcntl(dir_fd, F_DUPFD_CLOEXEC, 0));
  if (!parent.fd) return disk_error("open", std::string(relative), errno);
  size_t begin = 0;
  while (last != std::string_view::npos && begin <= last) {
    const size_t slash = relative.find('/', begin);
    const std::string component(relative.substr(begin, slash - begin));
    if (component.empty() || component == "." || component == "..") {
      return escape_error(relative, "'.', '..' and empty components are refused");
    }
    if (mkdirat(parent.fd.get(), component.c_str(), 0755) == 0) {
      MHUB_CHECK_OK(sync_directory(parent.fd.get(), std::string(relative.substr(0, slash))));
    } else if (errno != EEXIST) {
      return disk_error("create directory", std::string(relative.substr(0, slash)), errno);
    }
    const int fd = openat(parent.fd.get(), component.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR)) {
      return escape_error(relative, fmt::format("'{}' is no directory", printable(component)));
    }
    if (fd < 0) return disk_error("open directory", std::string(relative.substr(0, slash)), errno);
    parent.fd.reset(fd);
    begin = slash + 1;
  }
  return parent;
}

Result<void> sync_directory(int dir_fd, const std::string& what) {
  while (fsync(dir_fd) != 0) {
    if (errno == EINTR) continue;
    if (errno == EINVAL || errno == EROFS) break;  // file systems without directory sync
    return disk_error("sync directory", what, errno);
  }
  return {};
}

Result<void> sync_directory(const fs::path& dir) {
  MHUB_TRY(UniqueFd fd, open_directory(dir, false));
  return sync_directory(fd.get(), dir.string());
}

}  // namespace mhub::hub
