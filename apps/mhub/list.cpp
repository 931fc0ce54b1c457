// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "model_json.h"
#include "table.h"

namespace mhub::apps {
namespace {

using registry::ListFilter;

constexpr size_t kShortCommit = 12;

const std::map<std::string, ListFilter::Order> kOrders = {{"name", ListFilter::Order::kName},
                                                          {"size", ListFilter::Order::kBytes},
                                                          {"created", ListFilter::Order::kCreated},
                                                          {"used", ListFilter::Order::kUsed},
                                                          {"verified", ListFilter::Order::kVerified}};

struct ListCommand {
  ListFilter filter;
  std::string sort = "name";
  bool pinned = false, incomplete = false, reverse = false;
};

std::string models_table(const std::vector<registry::ModelRecord>& models, bool colour) {
  Table table(
      {{"NAME"}, {"REVISION"}, {"COMMIT"}, {"SIZE", true}, {"FORMAT"}, {"WEIGHTS"}, {"ARCHITECTURE"}, {"SOURCE"}});
  for (const auto& model : models) {
    const std::string aliases = model.aliases.empty() ? "" : fmt::format(" ({})", fmt::join(model.aliases, ", "));
    const std::string revision =
        model.revision == model.commit ? model.revision.substr(0, kShortCommit) : model.revision;
    table.add({model.name + aliases + (model.pinned ? " *" : ""), revision, model.commit.substr(0, kShortCommit),
               human_bytes(model.total_bytes()), model.complete ? model.format : model.format + " (some files)",
               model.quantization, model.architecture, model.source});
  }
  return table.text(colour);
}

Result<void> list(const Cli& cli, const ListCommand& command) {
  MHUB_TRY(const auto library, open_library());
  ListFilter filter = command.filter;
  filter.order = kOrders.at(command.sort);
  // Of sizes and times the largest and latest are looked for.
  filter.descending = command.reverse != (filter.order != ListFilter::Order::kName);
  if (command.pinned) filter.pinned = true;
  if (command.incomplete) filter.complete = false;
  MHUB_TRY(const auto models, library->registry().list_models(filter));
  if (cli.json()) {
    Json rows = Json::array();
    for (const auto& model : models) rows.push_back(model_json(model));
    cli.print_json({{"models", std::move(rows)}});
  } else if (models.empty()) {
    cli.note("no models" + std::string(filter.name.empty() ? " yet; `mhub download MODEL` gets one" : " match"));
  } else {
    cli.print_line(models_table(models, cli.stdout_is_terminal()));
  }
  return {};
}

}  // namespace

void add_list(Cli& cli) {
  auto options = std::make_shared<ListCommand>();
  ListFilter& filter = options->filter;
  CLI::App* command = cli.command("list", "List the models on this machine",
                                  "  mhub list\n  mhub list 'Qwen/*' --format safetensors --sort size\n"
                                  "  mhub list --json | jq -r '.models[].name'",
                                  [&cli, options] { return list(cli, *options); });
  command->add_option("PATTERN", filter.name, "Only names and aliases that match ('*' crosses '/')");
  command->add_option("--source", filter.source, "Only from this source: modelscope, huggingface, mirror, local ...");
  command->add_option("--format", filter.format, "Only of this format: safetensors, gguf, other");
  command->add_option("--quantization", filter.quantization, "Only with such weights, for example 'Q4_*' or BF16");
  command->add_option("--architecture", filter.architecture, "Only of this architecture, for example 'Qwen2*'");
  command->add_flag("--pinned", options->pinned, "Only pinned models (shown with *)");
  command->add_flag("--incomplete", options->incomplete, "Only models of which some files are missing");
  command->add_option("--sort", options->sort, "name, or the largest or latest first: size, created, used, verified")
      ->capture_default_str()
      ->check(CLI::IsMember({"name", "size", "created", "used", "verified"}));
  command->add_flag("--reverse", options->reverse, "The other way round");
  command->add_option("--limit", filter.limit, "Only so many")->check(CLI::Range(0, 1'000'000'000));
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
