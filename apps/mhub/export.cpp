// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "mhub/hub/store_exchange.h"
#include "model_json.h"

namespace mhub::apps {
namespace {

struct ExportCommand {
  std::vector<std::string> models;
  std::string output;
};

Result<void> export_models(const Cli& cli, const ExportCommand& command) {
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const auto report, hub::export_bundle(*library, command.models, command.output, cli.stop_token()));
  if (cli.json()) {
    Json models = Json::array();
    for (const auto& model : report.models) models.push_back(model_json(model));
    cli.print_json({{"models", std::move(models)},
                    {"contents", report.contents},
                    {"bytes", report.bytes},
                    {"path", command.output}});
    return {};
  }
  cli.note(fmt::format("{} models in {} files, {}", report.models.size(), report.contents, human_bytes(report.bytes)));
  cli.print_line(command.output);
  return {};
}

}  // namespace

void add_export(Cli& cli) {
  auto options = std::make_shared<ExportCommand>();
  CLI::App* command =
      cli.command("export", "Write models to one tar file for a site without a network; `mhub import` reads it",
                  "  mhub export Qwen/Qwen2.5-7B-Instruct local/mine --output models.tar\n  mhub import models.tar",
                  [&cli, options] { return export_models(cli, *options); });
  command->add_option("MODEL", options->models, "Names, aliases or NAME@REVISION")->required();
  command->add_option("-o,--output", options->output, "The file to write")->required();
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
