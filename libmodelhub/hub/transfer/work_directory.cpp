// SPDX-License-Identifier: Apache-2.0
#include "transfer/work_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "store/open_beneath.h"
#include "store/sha256.h"
#include "transfer/journal.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

constexpr auto kLockPoll = std::chrono::milliseconds(100);
constexpr std::string_view kTrash = "trash";  // without '-': never a writer's name

// Start time of a process in clock ticks: with the pid it names one process of this boot. "" when there is none.
std::string start_time(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return "";
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return field;
}

// "<boot>-<pid>-<start time>"
std::string own_writer_name() {
  return fmt::format("{}-{}-{}", boot_id().substr(0, 8), getpid(), start_time(getpid()));
}

Result<UniqueFd> open_lock(const fs::path& root) {
  const fs::path path = root / "lock";
  for (;;) {
    MHUB_TRY(const UniqueFd directory, open_directory(root, true));
    UniqueFd fd(openat(directory.get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd) return fd;
    if (errno != ENOENT) return disk_error("open", path.string(), errno);
  }
}

// Whether the locked file is still the one at its path: its holder removes it when all is done.
bool is_current(int fd, const fs::path& root) {
  struct stat held {
  }, named{};
  return fstat(fd, &held) == 0 && lstat((root / "lock").c_str(), &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

std::string read_holder(int fd) {
  std::array<char, 64> text{};
  const ssize_t n = pread(fd, text.data(), text.size() - 1, 0);
  return n > 0 ? printable(std::string_view(text.data(), static_cast<size_t>(n))) : "another process";
}

}  // namespace

// Another living process of this boot. Writers of other boots or hosts count as gone: we hold the lock.
bool is_living_writer(const std::string& writer) {
  const std::string boot = boot_id().substr(0, 8);
  if (boot.empty() || !writer.starts_with(boot + "-")) return false;
  const std::string rest = writer.substr(boot.size() + 1);
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), pid);
  if (error != std::errc() || pid <= 0 || *end != '-') return false;
  const std::string started = start_time(pid);
  return !started.empty() && rest == fmt::format("{}-{}", pid, started);
}

Result<WorkDirectory> WorkDirectory::acquire(const fs::path& root, std::stop_token stop,
                                             const std::function<void(const std::string&)>& on_wait) {
  bool told = false;
  for (;;) {
    MHUB_TRY(UniqueFd lock, open_lock(root));
    while (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) break;  // no locks on this file system: our own directory keeps us safe
      if (!told) on_wait(read_holder(lock.get()));
      told = true;
      if (stop.stop_requested()) {
        return Error{ErrorCode::kInterrupted, fmt::format("wait for {}: interrupted", (root / "lock").string()),
                     "run the same command again", ""};
      }
      std::this_thread::sleep_for(kLockPoll);
      if (!is_current(lock.get(), root)) break;
    }
    if (!is_current(lock.get(), root)) continue;
    const std::string holder = fmt::format("process {}", getpid());
    if (ftruncate(lock.get(), 0) != 0 || pwrite(lock.get(), holder.data(), holder.size(), 0) < 0) {
      return disk_error("write", (root / "lock").string(), errno);
    }
    WorkDirectory work(root, std::move(lock), told);
    MHUB_CHECK_OK(work.enter_writer_directory());
    return work;
  }
}

Result<void> WorkDirectory::enter_writer_directory() {
  writer_ = root_ / own_writer_name();
  std::error_code error;
  fs::path newest;
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(root_, error)) {
    if (entry.path().filename().string().starts_with(kTrash)) {
      fs::remove_all(entry.path(), error);
      continue;
    }
    if (!entry.is_directory(error) || entry.path() == writer_ || is_living_writer(entry.path().filename())) continue;
    if (entry.path().filename().string().find('-') == std::string::npos) continue;  // not a writer's
    others.push_back(entry.path());
    if (newest.empty() || fs::last_write_time(entry.path(), error) > fs::last_write_time(newest, error)) {
      newest = entry.path();
    }
  }
  if (!newest.empty() && !fs::exists(writer_, error)) fs::rename(newest, writer_, error);
  for (const fs::path& other : others) {
    // Another process may be taking it over (locks that do nothing): only who renames it may delete it.
    const fs::path trash = root_ / (std::string(kTrash) + sha256_hex(own_writer_name() + other.string()).substr(0, 16));
    fs::rename(other, trash, error);
    if (!error) fs::remove_all(trash, error);
  }
  MHUB_TRY(writer_fd_, open_directory(writer_, true));
  return {};
}

void WorkDirectory::remove() {
  std::error_code error;
  fs::remove_all(writer_, error);
  fs::remove(root_ / "lock", error);
  fs::remove(root_, error);  // only when empty
  lock_.reset();
}

}  // namespace mhub::hub
