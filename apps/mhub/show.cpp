// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "model_json.h"
#include "table.h"

namespace mhub::apps {
namespace {

Json card_of(const registry::ModelRecord& model) {
  if (model.card_json.empty()) return Json();
  auto card = parse_json(model.card_json);
  return card ? *std::move(card) : Json(model.card_json);
}

Json details_json(const registry::ModelRecord& model) {
  Json details = model_json(model);
  details["endpoint"] = model.endpoint;
  details["in_store"] = model.in_store;
  details["complete"] = model.complete;
  details["created"] = model.created_at.empty() ? Json() : Json(model.created_at);
  details["card"] = card_of(model);
  Json files = Json::array();
  for (const auto& file : model.files) {
    files.push_back(
        {{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}, {"verified", file.verified_at}});
  }
  details["file_list"] = std::move(files);
  return details;
}

std::string details_text(const registry::ModelRecord& model, bool colour) {
  std::string text;
  const auto line = [&](const char* label, const std::string& value) {
    if (!value.empty()) text += fmt::format("{:<14}{}\n", label, printable(value, 4096));
  };
  line("name", model.name);
  line("aliases", fmt::format("{}", fmt::join(model.aliases, ", ")));
  line("source", model.endpoint.empty() ? model.source : fmt::format("{} ({})", model.source, model.endpoint));
  line("revision", model.revision);
  line("commit", model.commit);
  line("path", model.path);
  line("kept", model.in_store ? "in the store" : "outside the store; `mhub rm` leaves the files");
  line("format", model.complete ? model.format : model.format + " (some files of the revision)");
  line("weights", model.quantization);
  line("architecture", model.architecture);
  line("size", fmt::format("{} in {} files", human_bytes(model.total_bytes()), model.files.size()));
  line("created", model.created_at);
  line("verified", verified_at(model));
  line("card", model.card_json);
  if (model.files.empty()) {
    text.pop_back();
    return text;
  }
  Table table({{"FILE"}, {"SIZE", true}, {"SHA256"}});
  for (const auto& file : model.files) table.add({file.path, human_bytes(file.bytes), file.sha256});
  return text + "\n" + table.text(colour);
}

Result<void> show(const Cli& cli, const std::string& name) {
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const auto model, library->find(name));
  if (cli.json()) {
    cli.print_json(details_json(model));
  } else {
    cli.print_line(details_text(model, cli.stdout_is_terminal()));
  }
  return {};
}

}  // namespace

void add_show(Cli& cli) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = cli.command("show", "Show one model: where it is, what it is, its files and hashes",
                                  "  mhub show Qwen/Qwen2.5-0.5B-Instruct\n  mhub show ./model.gguf --json",
                                  [&cli, name] { return show(cli, *name); });
  command->add_option("MODEL", *name, "Name, alias, directory or GGUF file")->required();
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
