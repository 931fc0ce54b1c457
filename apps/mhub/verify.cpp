// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <chrono>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"

namespace mhub::apps {
namespace {

void print_events(const Cli& cli, const registry::ModelRecord& model, const hub::VerifyReport& report, double seconds) {
  for (const auto& problem : report.problems) {
    cli.print_json({{"event", "problem"}, {"path", problem.path}, {"what", problem.what}});
  }
  cli.print_json({{"event", "summary"},
                  {"name", model.name},
                  {"path", model.path},
                  {"files", report.files},
                  {"bytes", report.bytes},
                  {"problems", report.problems.size()},
                  {"ok", report.problems.empty()},
                  {"seconds", seconds}});
}

Result<void> verify(Cli& cli, const std::string& name) {
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const auto model, library->find(name));
  const auto start = std::chrono::steady_clock::now();
  MHUB_TRY(const auto report, library->verify(name, cli.stop_token()));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (cli.json()) {
    print_events(cli, model, report, seconds);
    if (!report.problems.empty()) cli.set_exit_code(error_info(ErrorCode::kIntegrity).exit_code);
    return {};
  }
  for (const auto& problem : report.problems) {
    cli.print_line(fmt::format("{}: {}", printable(problem.path, 1024), printable(problem.what, 1024)));
  }
  if (report.problems.empty()) {
    cli.print_line(fmt::format("{}: {} files, {}, all good", model.name, report.files, human_bytes(report.bytes)));
    return {};
  }
  return Error{
      ErrorCode::kIntegrity,
      fmt::format("verify {}: {} of {} files have problems", model.name, report.problems.size(), report.files),
      model.source == "local" ? "import it again from a good copy" : "`mhub download --force` fetches it again", ""};
}

}  // namespace

void add_verify(Cli& cli) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = cli.command("verify", "Hash every file of a model again and compare",
                                  "  mhub verify Qwen/Qwen2.5-0.5B-Instruct\n  mhub verify local/mine --json",
                                  [&cli, name] { return verify(cli, *name); });
  command->add_option("MODEL", *name, "Name, alias or directory of a registered model")->required();
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
