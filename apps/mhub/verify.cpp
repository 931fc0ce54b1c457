// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <chrono>

#include "cli.h"
#include "download_progress.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "mhub/hub/store_care.h"

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
      model.source == "local" ? "import it again from a good copy" : "`mhub verify --repair` fetches again what is bad",
      ""};
}

Result<void> repair(Cli& cli, const std::string& name) {
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const auto model, library->find(name));
  const auto start = std::chrono::steady_clock::now();
  auto progress = make_progress(cli, false);
  MHUB_TRY(const hub::RepairReport report, hub::repair(*library, name, *progress, cli.stop_token()));
  progress.reset();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!report.left.empty()) cli.set_exit_code(error_info(ErrorCode::kIntegrity).exit_code);
  if (cli.json()) {
    for (const auto& problem : report.found.problems) {
      cli.print_json({{"event", "problem"}, {"path", problem.path}, {"what", problem.what}});
    }
    cli.print_json({{"event", "summary"},
                    {"name", model.name},
                    {"path", model.path},
                    {"files", report.found.files},
                    {"bytes", report.found.bytes},
                    {"problems", report.found.problems.size()},
                    {"repaired", report.repaired},
                    {"bytes_kept", report.bytes_kept},
                    {"bytes_network", report.bytes_network},
                    {"ok", report.left.empty()},
                    {"seconds", seconds}});
    return {};
  }
  for (const std::string& path : report.repaired) cli.print_line(fmt::format("{}: repaired", printable(path, 1024)));
  if (!report.left.empty()) {
    return Error{ErrorCode::kIntegrity,
                 fmt::format("repair {}: {} files are not part of the model, for example {}", model.name,
                             report.left.size(), printable(report.left.front().path, 1024)),
                 "`mhub gc` removes them from the store", ""};
  }
  cli.print_line(fmt::format("{}: {} files, {}, all good ({} fetched again)", model.name, report.found.files,
                             human_bytes(report.found.bytes), human_bytes(report.bytes_network)));
  return {};
}

}  // namespace

void add_verify(Cli& cli) {
  struct VerifyCommand {
    std::string model;
    bool repair = false;
  };
  auto options = std::make_shared<VerifyCommand>();
  CLI::App* command = cli.command(
      "verify", "Hash every file of a model again and compare",
      "  mhub verify Qwen/Qwen2.5-0.5B-Instruct\n  mhub verify local/mine --json\n"
      "  mhub verify Qwen/Qwen2.5-0.5B-Instruct --repair",
      [&cli, options] { return options->repair ? repair(cli, options->model) : verify(cli, options->model); });
  command->add_option("MODEL", options->model, "Name, alias or directory of a registered model")->required();
  command->add_flag("--repair", options->repair, "Fetch again what is damaged: only its bad 4 MiB ranges where known");
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
