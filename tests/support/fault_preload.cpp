// SPDX-License-Identifier: Apache-2.0
// Preloaded into the program under test: makes one system call on a file below MHUB_FAULT_UNDER fail.
//   MHUB_FAULT="pwrite:3:ENOSPC"   the third pwrite fails once; "pwrite:3+:ENOSPC" that one and all later ones
//   MHUB_NO_LOCKS=1                flock succeeds and does nothing
//   MHUB_CALL_LOG=FILE             "call path" per line, of every call on a file below MHUB_FAULT_UNDER, in order
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

struct Plan {
  char call[16] = "";
  long nth = 0;
  bool and_later = false;
  int error = 0;
  const char* under = nullptr;

  Plan() {
    under = std::getenv("MHUB_FAULT_UNDER");
    const char* text = std::getenv("MHUB_FAULT");
    if (!text || !under) return;
    const char* colon = std::strchr(text, ':');
    if (!colon || static_cast<size_t>(colon - text) >= sizeof call) return;
    std::memcpy(call, text, static_cast<size_t>(colon - text));
    char* end = nullptr;
    nth = std::strtol(colon + 1, &end, 10);
    and_later = *end == '+';
    const char* name = end + (and_later ? 2 : 1);
    for (const auto& [known, number] : {std::pair("ENOSPC", ENOSPC), std::pair("EIO", EIO), std::pair("EDQUOT", EDQUOT),
                                        std::pair("EMFILE", EMFILE), std::pair("EROFS", EROFS)}) {
      if (std::strcmp(name, known) == 0) error = number;
    }
  }
};

bool below(const char* path) {
  static const Plan& plan = *new Plan;
  return plan.under && path && std::strncmp(path, plan.under, std::strlen(plan.under)) == 0;
}

void log_call(const char* call, const char* path) {
  static const char* const file = std::getenv("MHUB_CALL_LOG");
  if (!file) return;
  static const auto next = reinterpret_cast<int (*)(const char*, int, ...)>(dlsym(RTLD_NEXT, "open"));
  static const int log = next(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  char line[PATH_MAX + 32];
  const int size = std::snprintf(line, sizeof line, "%s %s\n", call, path);
  static const auto put = reinterpret_cast<ssize_t (*)(int, const void*, size_t)>(dlsym(RTLD_NEXT, "write"));
  if (size > 0) (void)!put(log, line, static_cast<size_t>(size));
}

// Whether this call is the one to fail. Never called for other files.
bool fails(const char* call, const char* path) {
  log_call(call, path);
  static const Plan& plan = *new Plan;
  static std::atomic<long> count{0};
  if (plan.error == 0 || std::strcmp(call, plan.call) != 0) return false;
  const long number = ++count;
  if (number != plan.nth && !(plan.and_later && number > plan.nth)) return false;
  errno = plan.error;
  return true;
}

bool fails_on(const char* call, int fd) {
  const int before = errno;
  char link[64], path[PATH_MAX];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  errno = before;
  if (n <= 0) return false;
  path[n] = '\0';
  return below(path) && fails(call, path);
}

bool fails_at(const char* call, int directory, const char* path) {
  if (path && path[0] == '/') return below(path) && fails(call, path);
  return directory != AT_FDCWD && fails_on(call, directory);
}

template <typename F>
F real(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

#define MHUB_WRITE_CALL(name, counted, ...)              \
  static const auto next = real<decltype(&name)>(#name); \
  if (fails_on(counted, fd)) return -1;                  \
  return next(__VA_ARGS__)

ssize_t write(int fd, const void* data, size_t size) {
  MHUB_WRITE_CALL(write, "write", fd, data, size);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  MHUB_WRITE_CALL(pwrite, "pwrite", fd, data, size, at);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  MHUB_WRITE_CALL(pwrite64, "pwrite", fd, data, size, at);
}
int fsync(int fd) {
  MHUB_WRITE_CALL(fsync, "fsync", fd);
}
int fdatasync(int fd) {
  MHUB_WRITE_CALL(fdatasync, "fsync", fd);
}
int ftruncate(int fd, off_t size) noexcept {
  MHUB_WRITE_CALL(ftruncate, "ftruncate", fd, size);
}
int ftruncate64(int fd, off64_t size) noexcept {
  MHUB_WRITE_CALL(ftruncate64, "ftruncate", fd, size);
}
int fallocate(int fd, int mode, off_t at, off_t size) {
  MHUB_WRITE_CALL(fallocate, "fallocate", fd, mode, at, size);
}
int fallocate64(int fd, int mode, off64_t at, off64_t size) {
  MHUB_WRITE_CALL(fallocate64, "fallocate", fd, mode, at, size);
}

int rename(const char* from, const char* to) noexcept {
  static const auto next = real<decltype(&rename)>("rename");
  if (fails_at("rename", AT_FDCWD, to)) return -1;
  return next(from, to);
}
int renameat(int from_fd, const char* from, int to_fd, const char* to) noexcept {
  static const auto next = real<decltype(&renameat)>("renameat");
  if (fails_at("rename", to_fd, to)) return -1;
  return next(from_fd, from, to_fd, to);
}
int renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) noexcept {
  static const auto next = real<decltype(&renameat2)>("renameat2");
  if (fails_at("rename", to_fd, to)) return -1;
  return next(from_fd, from, to_fd, to, flags);
}

#define MHUB_OPEN_CALL(name, directory, ...)             \
  static const auto next = real<decltype(&name)>(#name); \
  va_list arguments;                                     \
  va_start(arguments, flags);                            \
  const mode_t mode = va_arg(arguments, mode_t);         \
  va_end(arguments);                                     \
  if (fails_at("open", directory, path)) return -1;      \
  return next(__VA_ARGS__, mode)

int open(const char* path, int flags, ...) {
  MHUB_OPEN_CALL(open, AT_FDCWD, path, flags);
}
int open64(const char* path, int flags, ...) {
  MHUB_OPEN_CALL(open64, AT_FDCWD, path, flags);
}
int openat(int directory, const char* path, int flags, ...) {
  MHUB_OPEN_CALL(openat, directory, directory, path, flags);
}
int openat64(int directory, const char* path, int flags, ...) {
  MHUB_OPEN_CALL(openat64, directory, directory, path, flags);
}

// openat2 has no wrapper in the C library.
long syscall(long number, ...) noexcept {
  static const auto next = real<decltype(&syscall)>("syscall");
  va_list arguments;
  va_start(arguments, number);
  long word[6];
  for (long& value : word) value = va_arg(arguments, long);
  va_end(arguments);
  if (number == SYS_openat2 && fails_at("open", static_cast<int>(word[0]), reinterpret_cast<const char*>(word[1]))) {
    return -1;
  }
  return next(number, word[0], word[1], word[2], word[3], word[4], word[5]);
}

int flock(int fd, int operation) noexcept {
  static const auto next = real<decltype(&flock)>("flock");
  static const bool none = std::getenv("MHUB_NO_LOCKS") != nullptr;
  return none ? 0 : next(fd, operation);
}
}
