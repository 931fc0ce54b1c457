// SPDX-License-Identifier: Apache-2.0
#include "worker_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

namespace mhub::engine {
namespace {

constexpr int kChildFd = 3;
constexpr int kExecFailed = 127;

bool is_secret(std::string_view variable) {
  const auto name = variable.substr(0, variable.find('='));
  for (const char* word : {"KEY", "TOKEN", "SECRET", "PASSWORD"}) {
    if (name.find(word) != name.npos) return true;
  }
  return false;
}

// In the child between fork and exec: only calls that are async-signal-safe.
[[noreturn]] void become_worker(const char* executable, char* const* arguments, char* const* environment, int fd,
                                pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kExecFailed);  // it died before the line above
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDONLY);
  if (null >= 0) dup2(null, STDIN_FILENO);
  dup2(STDERR_FILENO, STDOUT_FILENO);  // stdout belongs to the server's own lines
  if (fd == kChildFd) {
    fcntl(fd, F_SETFD, 0);
  } else {
    dup2(fd, kChildFd);
  }
#ifdef SYS_close_range
  syscall(SYS_close_range, static_cast<unsigned>(kChildFd + 1), ~0u, 0u);
#endif
  execve(executable, arguments, environment);
  _exit(kExecFailed);
}

std::string describe(int status) {
  if (WIFSIGNALED(status)) return fmt::format("was killed by signal {}", WTERMSIG(status));
  const int code = WEXITSTATUS(status);
  return code == kExecFailed ? "could not be executed" : fmt::format("exited with code {}", code);
}

}  // namespace

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::start(const std::string& executable) {
  const auto failed = [&](const char* what) {
    return Error{ErrorCode::kInternal,
                 fmt::format("cannot start the engine worker {}: {}: {}", executable, what, std::strerror(errno)),
                 "raise the limits of processes and open files (ulimit -u, ulimit -n)", ""};
  };
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return failed("socketpair");
  std::vector<char*> environment;
  for (char** variable = environ; *variable; ++variable) {
    if (!is_secret(*variable)) environment.push_back(*variable);
  }
  environment.push_back(nullptr);
  std::string words[] = {"mhub", "engine-worker", "--fd", std::to_string(kChildFd)};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) become_worker(executable.c_str(), arguments, environment.data(), fds[1], parent);
  close(fds[1]);
  if (pid < 0) {
    const auto error = failed("fork");
    close(fds[0]);
    return error;
  }
  return std::unique_ptr<WorkerProcess>(new WorkerProcess(pid, fds[0]));
}

WorkerProcess::~WorkerProcess() {
  if (!reaped_) end(std::chrono::milliseconds(0));
}

std::optional<int> WorkerProcess::wait_until(std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    int status = 0;
    const pid_t waited = waitpid(pid_, &status, WNOHANG);
    if (waited != 0) {
      reaped_ = true;
      return waited == pid_ ? status : 0;
    }
    if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

std::string WorkerProcess::end(std::chrono::milliseconds patience) {
  if (const auto status = wait_until(std::chrono::steady_clock::now() + patience)) return describe(*status);
  kill(pid_, SIGKILL);
  wait_until(std::chrono::steady_clock::time_point::max());
  return "did not end and was killed";
}

}  // namespace mhub::engine
