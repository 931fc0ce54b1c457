// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <span>
#include <thread>
#include <vector>

#include "unknown_argument.h"

namespace mhub::apps {
namespace {

// Signals only write here; a thread turns the byte into a stop request (request_stop is not async-signal-safe).
std::atomic<int> g_signal{0};
int g_signal_pipe[2] = {-1, -1};
std::stop_source& stop_source() {
  static std::stop_source source;
  return source;
}

void on_signal(int number) {
  int expected = 0;
  if (!g_signal.compare_exchange_strong(expected, number)) _exit(128 + number);
  const char byte = 1;
  [[maybe_unused]] const auto n = write(g_signal_pipe[1], &byte, 1);
}

void install_signal_handlers() {
  if (pipe2(g_signal_pipe, O_CLOEXEC) != 0) return;
  std::thread([] {
    char byte;
    while (read(g_signal_pipe[0], &byte, 1) != 1) {
    }
    stop_source().request_stop();
  }).detach();
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file over `ulimit -f` becomes EFBIG, exit 5
}

// CLI11 blames the option also when its value came from the environment; this names the variable then.
std::string variable_behind(const CLI::App& app, const std::string& message, std::span<char*> arguments) {
  for (const CLI::App* command : app.get_subcommands({})) {
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_envname().empty() || env(option->get_envname().c_str()).empty()) continue;
      const std::string name = option->get_name();
      const bool typed = std::any_of(arguments.begin(), arguments.end(), [&](const char* argument) {
        return std::string_view(argument).starts_with(name);
      });
      if (!typed && message.starts_with(name + ":")) return fmt::format(" (from {})", option->get_envname());
    }
  }
  return "";
}

}  // namespace

std::string env(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string http_url(const std::string& host, int port) {
  return host.find(':') == std::string::npos ? fmt::format("http://{}:{}", host, port)
                                             : fmt::format("http://[{}]:{}", host, port);
}

Cli::Cli() : app_("mhub takes a language model from a hub to a served API: download, list, quantize, serve.", "mhub") {
  app_.set_version_flag("--version", std::string("mhub ") + MHUB_VERSION);
  app_.require_subcommand(0, 1);
  app_.footer("Try `mhub COMMAND --help` for a command's options and examples.");
}

CLI::App* Cli::command(const std::string& name, const std::string& summary, const std::string& examples,
                       std::function<Result<void>()> action) {
  CLI::App* sub = app_.add_subcommand(name, summary);
  if (!examples.empty()) sub->footer("Examples:\n" + examples);
  sub->callback([this, action = std::move(action)] { action_ = action; });
  return sub;
}

void Cli::add_json_flag(CLI::App* command) {
  command->add_flag("--json", json_, "Print the result as JSON on stdout");
}

bool Cli::stdout_is_terminal() const {
  return isatty(STDOUT_FILENO) == 1;
}
bool Cli::stderr_is_terminal() const {
  return isatty(STDERR_FILENO) == 1;
}

void Cli::print_json(const Json& value) const {
  print_line(dump_json(value));
}
void Cli::print_line(const std::string& text) const {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}
void Cli::note(const std::string& text) const {
  const std::string line = "mhub: " + text + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

std::stop_token Cli::stop_token() const {
  return stop_source().get_token();
}
int Cli::stop_signal() const {
  return g_signal.load();
}

void Cli::report(const Error& error) const {
  if (json_) {
    print_json({{"error", {{"code", error_info(error.code).name}, {"message", error.message}, {"hint", error.hint}}}});
    return;
  }
  note(error.one_line());
}

int Cli::run(int argc, char** argv) {
  if (argc <= 1) {
    print_line(app_.help());
    return error_info(ErrorCode::kUsage).exit_code;
  }
  std::vector<char*> arguments(argv, argv + argc);
  std::string help = "--help";
  if (std::string_view(argv[1]) == "help") {  // `help serve` is `serve --help`
    arguments = {argv[0]};
    if (argc > 2) arguments.push_back(argv[2]);
    arguments.push_back(help.data());
  }
  install_signal_handlers();
  spdlog::set_default_logger(spdlog::stderr_color_mt("mhub"));  // stdout is for results
  try {
    app_.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app_.exit(e);  // --help, --version
    const std::string from = variable_behind(app_, e.what(), std::span(argv, static_cast<size_t>(argc)));
    const auto unknown =
        e.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError) ? unknown_argument(app_) : std::nullopt;
    const Error error = unknown.value_or(Error{ErrorCode::kUsage, fmt::format("command line: {}{}", e.what(), from),
                                               "see `mhub --help` or `mhub COMMAND --help`", ""});
    for (int i = 1; i < argc; ++i) json_ = json_ || std::string_view(argv[i]) == "--json";
    report(error);
    return error_info(error.code).exit_code;
  }
  if (!action_) {
    print_line(app_.help());
    return error_info(ErrorCode::kUsage).exit_code;
  }
  Error error;
  try {
    const Result<void> result = action_();
    if (result) return exit_code_;
    error = result.error();
  } catch (const std::bad_alloc&) {
    error = {ErrorCode::kDevice, "out of memory", "free memory or choose a smaller model", ""};
  } catch (const std::exception& e) {
    error = {ErrorCode::kInternal, fmt::format("bug: {}", e.what()), "please report it with the command line", ""};
  }
  if (stop_signal() != 0 && (error.code == ErrorCode::kInterrupted || error.code == ErrorCode::kTerminated)) {
    error.code = stop_signal() == SIGINT ? ErrorCode::kInterrupted : ErrorCode::kTerminated;
  }
  report(error);
  return error_info(error.code).exit_code;
}

}  // namespace mhub::apps
