// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace mhub::test {

struct ProcessResult {
  int exit_code = -1;  // 128 + n when ended by signal n
  std::string out, err;
};

struct ProcessOptions {
  std::map<std::string, std::string> environment;  // the whole of it, beside PATH
  std::function<void()> before_exec;               // in the child: limits, rights
  std::function<void(pid_t)> while_running;        // in the parent, once
};

// For before_exec: root may write anywhere, this gives that right up.
void obey_permissions();

// Runs a program to its end. Throws std::runtime_error when it cannot be started.
ProcessResult run_process(const std::vector<std::string>& command, const ProcessOptions& options = {});

// The same with stdin, stdout and stderr on a terminal that types `input`; everything printed is in `out`.
ProcessResult run_on_terminal(const std::vector<std::string>& command, const std::string& input,
                              const ProcessOptions& options = {});

}  // namespace mhub::test
