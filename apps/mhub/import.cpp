// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "mhub/hub/store_exchange.h"
#include "model_json.h"

namespace mhub::apps {
namespace {

struct ImportOptions {
  std::string path, name;
};

Result<void> import_models(const Cli& cli, hub::ModelLibrary& library, const ImportOptions& options) {
  if (!options.name.empty()) {
    return Error{ErrorCode::kUsage, "import: --name with a bundle, whose models have their names",
                 "leave it out; `mhub tag` gives aliases", ""};
  }
  MHUB_TRY(const auto report, hub::import_bundle(library, options.path, cli.stop_token()));
  if (cli.json()) {
    Json models = Json::array();
    for (const auto& model : report.models) models.push_back(model_json(model));
    cli.print_json({{"models", std::move(models)}, {"contents", report.contents}, {"bytes", report.bytes}});
    return {};
  }
  cli.note(fmt::format("imported {} models ({} in {} files), verified", report.models.size(), human_bytes(report.bytes),
                       report.contents));
  for (const auto& model : report.models) cli.print_line(model.path);
  return {};
}

Result<void> import_model(const Cli& cli, const ImportOptions& options) {
  MHUB_TRY(const auto library, open_library());
  if (hub::is_bundle(options.path)) return import_models(cli, *library, options);
  MHUB_TRY(const auto model, library->import(options.path, options.name, cli.stop_token()));
  if (cli.json()) {
    cli.print_json(model_json(model));
    return {};
  }
  cli.note(fmt::format("imported {} ({}, {}, {} in {} files)", model.name, model.format, model.quantization,
                       human_bytes(model.total_bytes()), model.files.size()));
  cli.print_line(model.path);
  return {};
}

}  // namespace

void add_import(Cli& cli) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* command = cli.command(
      "import", "Take a model from this disk into the store: a directory of safetensors, a GGUF file or a bundle",
      "  mhub import ./model.gguf --name tiny\n  mhub import ~/.cache/modelscope/hub/models/org/name --name org/name\n"
      "  mhub import models.tar",
      [&cli, options] { return import_model(cli, *options); });
  command
      ->add_option("PATH", options->path,
                   "Directory or GGUF file (linked, not copied, where the disk allows), or a bundle of `mhub export`")
      ->required()
      ->check(CLI::ExistingPath);
  command->add_option("--name", options->name, "Name in the registry, NAME meaning local/NAME; absent: from the path");
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
