// SPDX-License-Identifier: Apache-2.0
#include "support/process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pty.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>

namespace mhub::test {
namespace {

[[noreturn]] void execute(const std::vector<std::string>& command, const ProcessOptions& options) {
  std::vector<std::string> environment;
  if (const char* path = std::getenv("PATH")) environment.push_back(std::string("PATH=") + path);
  for (const auto& [name, value] : options.environment) environment.push_back(name + "=" + value);
  std::vector<char*> argv, envp;
  for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  for (const auto& entry : environment) envp.push_back(const_cast<char*>(entry.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  if (options.before_exec) options.before_exec();
  execve(argv[0], argv.data(), envp.data());
  _exit(127);
}

int exit_code_of(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Appends what is there; false at the end.
bool drain(int fd, std::string& text) {
  char buffer[4096];
  const ssize_t n = read(fd, buffer, sizeof(buffer));
  if (n > 0) text.append(buffer, static_cast<size_t>(n));
  return n > 0 || (n < 0 && errno == EINTR);
}

}  // namespace

void obey_permissions() {
  prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
  prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0);
}

ProcessResult run_process(const std::vector<std::string>& command, const ProcessOptions& options) {
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("fork");
  if (pid == 0) {
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    execute(command, options);
  }
  close(out[1]);
  close(err[1]);
  if (options.while_running) options.while_running(pid);
  ProcessResult result;
  pollfd open_ends[] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
  std::string* texts[] = {&result.out, &result.err};
  while (open_ends[0].fd >= 0 || open_ends[1].fd >= 0) {
    poll(open_ends, 2, -1);
    for (int i = 0; i < 2; ++i) {
      if (open_ends[i].fd >= 0 && open_ends[i].revents != 0 && !drain(open_ends[i].fd, *texts[i])) open_ends[i].fd = -1;
    }
  }
  close(out[0]);
  close(err[0]);
  result.exit_code = exit_code_of(pid);
  return result;
}

ProcessResult run_on_terminal(const std::vector<std::string>& command, const std::string& input,
                              const ProcessOptions& options) {
  int terminal = -1;
  const pid_t pid = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (pid < 0) throw std::runtime_error("forkpty");
  if (pid == 0) execute(command, options);
  if (write(terminal, input.data(), input.size()) != static_cast<ssize_t>(input.size()))
    throw std::runtime_error("write");
  ProcessResult result;
  while (drain(terminal, result.out)) {
  }
  close(terminal);
  result.exit_code = exit_code_of(pid);
  return result;
}

}  // namespace mhub::test
