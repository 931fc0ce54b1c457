// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "mhub/base/json.h"
#include "mhub/base/result.h"

namespace mhub::apps {

// What every command gets: the parser to add itself to, and how it talks. The CLI11 tree is the one declared table of
// options: help, environment variables and docs/options.md (`mhub docs`) derive from it.
class Cli {
 public:
  Cli();
  CLI::App& app() { return app_; }

  // Adds a subcommand with its help. `action` runs after parsing; its Error becomes the one line on stderr (or the
  // --json object) and the exit code.
  CLI::App* command(const std::string& name, const std::string& summary, const std::string& examples,
                    std::function<Result<void>()> action);
  // Adds --json to a command; json() tells whether it was given.
  void add_json_flag(CLI::App* command);

  bool json() const { return json_; }
  bool stdout_is_terminal() const;
  bool stderr_is_terminal() const;
  // One result document, or one NDJSON event: a line on stdout, flushed.
  void print_json(const Json& value) const;
  void print_line(const std::string& text) const;  // stdout
  void note(const std::string& text) const;        // stderr, "mhub: " before it
  // Asked to stop by SIGINT or SIGTERM (first signal; a second one ends the process with 130 / 143 at once).
  std::stop_token stop_token() const;
  int stop_signal() const;                             // 0 until one came
  void set_exit_code(int code) { exit_code_ = code; }  // for commands whose finding is not an Error (verify)

  // Parses, runs, prints the error line; the exit code of the contract.
  int run(int argc, char** argv);

 private:
  void report(const Error& error) const;
  CLI::App app_;
  std::function<Result<void>()> action_;
  bool json_ = false;
  int exit_code_ = 0;
};

// Value of an environment variable, or "" (the only getenv of the program lives in apps/).
std::string env(const char* name);

// "http://HOST:PORT", an IPv6 address in brackets.
std::string http_url(const std::string& host, int port);

// One per file: apps/mhub/<command>.cpp.
void add_download(Cli& cli);
void add_list(Cli& cli);
void add_show(Cli& cli);
void add_verify(Cli& cli);
void add_rm(Cli& cli);
void add_gc(Cli& cli);
void add_du(Cli& cli);
void add_tag(Cli& cli);  // tag, pin, unpin
void add_registry(Cli& cli);
void add_query(Cli& cli);
void add_adopt(Cli& cli);
void add_export(Cli& cli);
void add_import(Cli& cli);
void add_mirror(Cli& cli);
void add_quantize(Cli& cli);
void add_serve(Cli& cli);
void add_bench(Cli& cli);
void add_engine_worker(Cli& cli);
void add_docs(Cli& cli);
void add_apply(Cli& cli);
void add_doctor(Cli& cli);
void add_files(Cli& cli);
void add_info(Cli& cli);
void add_inspect(Cli& cli);
void add_lock(Cli& cli);
void add_login(Cli& cli);
void add_logout(Cli& cli);
void add_plan(Cli& cli);
void add_search(Cli& cli);
void add_whoami(Cli& cli);

}  // namespace mhub::apps
