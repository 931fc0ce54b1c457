// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "mhub/hub/store_care.h"
#include "table.h"

namespace mhub::apps {
namespace {

Json use_json(const hub::DiskUse& use) {
  Json models = Json::array();
  for (const auto& entry : use.models) {
    models.push_back({{"name", entry.model.name},
                      {"source", entry.model.source},
                      {"commit", entry.model.commit},
                      {"path", entry.model.path},
                      {"bytes", entry.bytes},
                      {"exclusive_bytes", entry.exclusive_bytes},
                      {"in_store", entry.model.in_store},
                      {"pinned", entry.model.pinned}});
  }
  return {{"models", std::move(models)},
          {"models_bytes", use.models_bytes},
          {"partial_bytes", use.partial_bytes},
          {"unregistered_bytes", use.unregistered_bytes},
          {"free_bytes", use.free_bytes}};
}

Result<void> du(const Cli& cli) {
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(hub::DiskUse use, hub::disk_use(*library));
  std::stable_sort(use.models.begin(), use.models.end(),
                   [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  if (cli.json()) {
    cli.print_json(use_json(use));
    return {};
  }
  Table table({{"SIZE", true}, {"ALONE", true}, {"NAME"}, {"COMMIT"}, {"PATH"}});
  for (const auto& entry : use.models) {
    table.add({human_bytes(entry.bytes), human_bytes(entry.exclusive_bytes), entry.model.name,
               entry.model.commit.substr(0, 12), entry.model.path});
  }
  cli.print_line(table.text(cli.stdout_is_terminal()));
  cli.print_line(fmt::format("{} in models (shared files once), {} in partial downloads, {} in no model, {} free",
                             human_bytes(use.models_bytes), human_bytes(use.partial_bytes),
                             human_bytes(use.unregistered_bytes), human_bytes(use.free_bytes)));
  return {};
}

}  // namespace

void add_du(Cli& cli) {
  CLI::App* command = cli.command("du", "Show what the models take on disk, and what each would give back",
                                  "  mhub du\n  mhub du --json | jq .models_bytes", [&cli] { return du(cli); });
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
