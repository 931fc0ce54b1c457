// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "frame_socket.h"
#include "mhub/base/result.h"

namespace mhub::engine {

// A child process `executable engine-worker --fd 3` at the other end of a socket. It inherits no other descriptor, no
// secret of the environment, has its own process group (the terminal's Ctrl-C is the server's to handle) and dies with
// the thread that started it. Ended when destroyed.
class WorkerProcess {
 public:
  static Result<std::unique_ptr<WorkerProcess>> start(const std::string& executable);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  pid_t pid() const { return pid_; }
  const std::shared_ptr<FrameSocket>& socket() const { return socket_; }
  // Waits for its end, kills it after `patience`; how it ended, e.g. "was killed by signal 9".
  std::string end(std::chrono::milliseconds patience);

 private:
  WorkerProcess(pid_t pid, int fd) : pid_(pid), socket_(std::make_shared<FrameSocket>(fd)) {}
  std::optional<int> wait_until(std::chrono::steady_clock::time_point deadline);

  pid_t pid_;
  bool reaped_ = false;
  std::shared_ptr<FrameSocket> socket_;
};

}  // namespace mhub::engine
