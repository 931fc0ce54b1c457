// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"

namespace mhub::apps {
namespace {

struct RemoveOptions {
  std::vector<std::string> models;
  bool yes = false;
};

bool confirmed(const Cli& cli, const registry::ModelRecord& model) {
  if (isatty(STDIN_FILENO) != 1 || !cli.stderr_is_terminal()) return true;
  const std::string what = model.in_store ? fmt::format("its files ({})", human_bytes(model.total_bytes()))
                                          : "its registration (the files stay)";
  std::cerr << fmt::format("mhub: remove {} and {}? [y/N] ", printable(model.name), what) << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Result<void> remove(const Cli& cli, const RemoveOptions& options) {
  MHUB_TRY(const auto library, open_library());
  Json removed_models = Json::array();
  uint64_t freed = 0;
  for (const std::string& name : options.models) {
    MHUB_TRY(const auto model, library->find(name));
    if (!options.yes && !confirmed(cli, model)) {
      cli.note(fmt::format("{} kept", printable(model.name)));
      continue;
    }
    MHUB_TRY(const auto removed, library->remove(name));
    if (removed.files_deleted) freed += removed.model.total_bytes();
    if (cli.json()) {
      removed_models.push_back({{"name", removed.model.name},
                                {"source", removed.model.source},
                                {"commit", removed.model.commit},
                                {"path", removed.model.path},
                                {"files_deleted", removed.files_deleted}});
    } else if (removed.files_deleted) {
      cli.print_line(fmt::format("removed {} ({})", removed.model.name, human_bytes(removed.model.total_bytes())));
    } else {
      cli.print_line(
          fmt::format("removed {} from the registry; its files stay in {}", removed.model.name, removed.model.path));
    }
  }
  if (cli.json()) cli.print_json({{"removed", std::move(removed_models)}, {"freed_bytes", freed}});
  return {};
}

}  // namespace

void add_rm(Cli& cli) {
  auto options = std::make_shared<RemoveOptions>();
  CLI::App* command = cli.command("rm", "Remove models from the registry, and their files from the store",
                                  "  mhub rm local/mine\n  mhub rm org/name@v1 org/other --yes",
                                  [&cli, options] { return remove(cli, *options); });
  command->add_option("MODEL", options->models, "Name, alias or NAME@REVISION")->required();
  command->add_flag("-y,--yes", options->yes, "Do not ask, also on a terminal");
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
