// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "model_json.h"
#include "table.h"

namespace mhub::apps {
namespace {

constexpr size_t kShortCommit = 12;

std::string models_table(const std::vector<registry::ModelRecord>& models, bool colour) {
  Table table(
      {{"NAME"}, {"REVISION"}, {"COMMIT"}, {"SIZE", true}, {"FORMAT"}, {"WEIGHTS"}, {"ARCHITECTURE"}, {"SOURCE"}});
  for (const auto& model : models) {
    const std::string aliases = model.aliases.empty() ? "" : fmt::format(" ({})", fmt::join(model.aliases, ", "));
    const std::string revision =
        model.revision == model.commit ? model.revision.substr(0, kShortCommit) : model.revision;
    table.add({model.name + aliases, revision, model.commit.substr(0, kShortCommit), human_bytes(model.total_bytes()),
               model.complete ? model.format : model.format + " (some files)", model.quantization, model.architecture,
               model.source});
  }
  return table.text(colour);
}

Result<void> list(const Cli& cli) {
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const auto models, library->list());
  if (cli.json()) {
    Json rows = Json::array();
    for (const auto& model : models) rows.push_back(model_json(model));
    cli.print_json({{"models", std::move(rows)}});
  } else if (models.empty()) {
    cli.note("no models yet; `mhub download MODEL` gets one");
  } else {
    cli.print_line(models_table(models, cli.stdout_is_terminal()));
  }
  return {};
}

}  // namespace

void add_list(Cli& cli) {
  CLI::App* command =
      cli.command("list", "List the models on this machine", "  mhub list\n  mhub list --json | jq -r '.models[].name'",
                  [&cli] { return list(cli); });
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
