// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.h"
#include "hub_config.h"
#include "mhub/hub/store_care.h"
#include "model_json.h"

namespace mhub::apps {
namespace {

struct TagCommand {
  std::string model, alias;
  bool remove = false;
};

Result<void> tag(const Cli& cli, const TagCommand& command) {
  MHUB_TRY(const auto library, open_library());
  if (command.remove) {
    if (!command.alias.empty()) {
      return Error{ErrorCode::kUsage, "tag --remove: more than an alias given", "write `mhub tag --remove ALIAS`", ""};
    }
    MHUB_CHECK_OK(hub::remove_alias(*library, command.model));
    if (cli.json()) cli.print_json({{"removed", command.model}});
    return {};
  }
  if (command.alias.empty()) {
    return Error{ErrorCode::kUsage, "tag: no ALIAS given", "write `mhub tag MODEL ALIAS`", ""};
  }
  MHUB_TRY(const auto model, hub::set_alias(*library, command.model, command.alias));
  if (cli.json()) {
    cli.print_json(model_json(model));
  } else {
    cli.print_line(fmt::format("{} -> {}", command.alias, printable(model.name)));
  }
  return {};
}

Result<void> pin(const Cli& cli, const std::string& name, bool pinned) {
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const auto model, hub::set_pinned(*library, name, pinned));
  if (cli.json()) {
    cli.print_json(model_json(model));
  } else {
    cli.print_line(fmt::format("{} {}", printable(model.name), pinned ? "pinned: gc leaves it" : "no longer pinned"));
  }
  return {};
}

}  // namespace

void add_tag(Cli& cli) {
  auto options = std::make_shared<TagCommand>();
  CLI::App* command = cli.command("tag", "Give a model another name (an alias), or take one away",
                                  "  mhub tag Qwen/Qwen2.5-0.5B-Instruct chat\n  mhub tag --remove chat",
                                  [&cli, options] { return tag(cli, *options); });
  command->add_option("MODEL", options->model, "Name, alias or NAME@REVISION; with --remove the alias")->required();
  command->add_option("ALIAS", options->alias, "What it is to be called too; moves here from another model");
  command->add_flag("--remove", options->remove, "Remove the alias");
  cli.add_json_flag(command);

  for (const bool pinned : {true, false}) {
    auto name = std::make_shared<std::string>();
    CLI::App* other = cli.command(pinned ? "pin" : "unpin",
                                  pinned ? "Keep a model whatever the limits of `mhub gc` say" : "Undo `mhub pin`",
                                  pinned ? "  mhub pin org/name" : "  mhub unpin org/name",
                                  [&cli, name, pinned] { return pin(cli, *name, pinned); });
    other->add_option("MODEL", *name, "Name, alias or NAME@REVISION")->required();
    cli.add_json_flag(other);
  }
}

}  // namespace mhub::apps
