// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.h"
#include "hub_config.h"
#include "mhub/hub/store_care.h"
#include "model_json.h"

namespace mhub::apps {
namespace {

Result<void> rebuild(const Cli& cli) {
  MHUB_TRY(const hub::HubConfig config, hub_config_from_environment());
  MHUB_TRY(const hub::RebuildReport report, hub::rebuild_registry(config, cli.stop_token()));
  if (cli.json()) {
    Json models = Json::array();
    for (const auto& model : report.models) models.push_back(model_json(model));
    cli.print_json({{"models", std::move(models)},
                    {"from_manifest", report.from_manifest},
                    {"hashed", report.hashed},
                    {"skipped", report.skipped},
                    {"old_registry", report.old_registry.string()}});
    return {};
  }
  for (const auto& model : report.models) cli.print_line(model.name + "  " + model.path);
  for (const std::string& skipped : report.skipped) cli.note("left out " + printable(skipped, 1024));
  cli.note(fmt::format("{} models: {} as recorded and unchanged, {} hashed anew{}", report.models.size(),
                       report.from_manifest, report.hashed,
                       report.old_registry.empty() ? "" : "; the old registry is " + report.old_registry.string()));
  return {};
}

}  // namespace

void add_registry(Cli& cli) {
  auto action = std::make_shared<std::string>();  // kept by the command, which parses into it
  CLI::App* command =
      cli.command("registry", "Rebuild a damaged or lost registry from the models on disk",
                  "  mhub registry rebuild\n  mhub registry rebuild --json", [&cli, action] { return rebuild(cli); });
  command->add_option("ACTION", *action, "rebuild: make a new registry, keep the old file beside it")
      ->required()
      ->check(CLI::IsMember({"rebuild"}));
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
