// SPDX-License-Identifier: Apache-2.0
#include "store/lease.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "store/open_beneath.h"
#include "store/sha256.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

fs::path lease_file(const StoreLayout& layout, const std::string& model_path) {
  return layout.leases() / sha256_hex(model_path).substr(0, 40);
}

bool is_current(int fd, const fs::path& file) {
  struct stat held {
  }, named{};
  return fstat(fd, &held) == 0 && lstat(file.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

// Locked as asked, or not at all: nullopt when another process is in the way.
Result<std::optional<UniqueFd>> open_locked(const fs::path& file, int operation) {
  for (;;) {
    MHUB_TRY(const UniqueFd directory, open_directory(file.parent_path(), true));
    UniqueFd fd(openat(directory.get(), file.filename().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd && errno == ENOENT) continue;  // the directory went away
    if (!fd) return disk_error("open", file.string(), errno);
    while (flock(fd.get(), operation | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) return std::optional<UniqueFd>();
      break;  // no locks on this file system
    }
    if (is_current(fd.get(), file)) return std::optional(std::move(fd));
  }
}

}  // namespace

Result<std::optional<UniqueFd>> try_lock(const fs::path& file) {
  return open_locked(file, LOCK_EX);
}

Result<Lease> Lease::share(const StoreLayout& layout, const std::string& model_path) {
  const fs::path file = lease_file(layout, model_path);
  MHUB_TRY(std::optional<UniqueFd> fd, open_locked(file, LOCK_SH));
  if (!fd) {
    return Error{ErrorCode::kPolicy, fmt::format("open {}: another process is removing it", model_path),
                 "`mhub list` shows what is left", ""};
  }
  const std::string holder = fmt::format("process {}", getpid());
  if (ftruncate(fd->get(), 0) != 0 || pwrite(fd->get(), holder.data(), holder.size(), 0) < 0) {
    return disk_error("write", file.string(), errno);
  }
  return Lease(file, *std::move(fd), false);
}

Result<std::optional<Lease>> Lease::claim(const StoreLayout& layout, const std::string& model_path,
                                          std::string& holder) {
  const fs::path file = lease_file(layout, model_path);
  MHUB_TRY(std::optional<UniqueFd> fd, open_locked(file, LOCK_EX));
  if (fd) return std::optional(Lease(file, *std::move(fd), true));
  std::array<char, 64> text{};
  const UniqueFd reader(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  const ssize_t n = reader ? read(reader.get(), text.data(), text.size()) : 0;
  holder = n > 0 ? printable(std::string_view(text.data(), static_cast<size_t>(n))) : "another process";
  return std::optional<Lease>();
}

Lease::~Lease() {
  if (!fd_) return;
  // Only its sole holder may remove it: the last of several readers gets the exclusive lock here.
  if (!exclusive_ && flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) return;
  std::error_code ignored;
  if (is_current(fd_.get(), file_)) fs::remove(file_, ignored);
}

}  // namespace mhub::hub
