// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli.h"
#include "mhub/base/bytes.h"
#include "remote_options.h"

namespace mhub::apps {
namespace {

struct InfoCommand {
  std::string model;
  RemoteOptions remote;
};

Result<void> info(const Cli& cli, const InfoCommand& command) {
  MHUB_TRY(const OpenedRemote opened, open_remote(command.model, command.remote, cli.stop_token()));
  MHUB_TRY(const hub::RemoteModelInfo about, opened.model->info());
  uint64_t bytes = 0;
  for (const auto& file : opened.model->files()) bytes += file.bytes;
  const size_t files = opened.model->files().size();
  const auto number = [](const std::optional<uint64_t>& value) { return value ? Json(*value) : Json(); };
  if (cli.json()) {
    cli.print_json({{"name", about.name},
                    {"source", about.source},
                    {"endpoint", about.endpoint},
                    {"page", about.page},
                    {"revision", about.revision},
                    {"commit", about.commit},
                    {"private", about.is_private},
                    {"gated", !about.gated.empty()},
                    {"license", about.license},
                    {"task", about.task},
                    {"last_modified", about.last_modified},
                    {"downloads", number(about.downloads)},
                    {"likes", number(about.likes)},
                    {"tags", about.tags},
                    {"files", files},
                    {"bytes", bytes}});
    return {};
  }
  std::string text;
  const auto line = [&](const char* label, const std::string& value) {
    if (!value.empty()) text += fmt::format("{:<14}{}\n", label, printable(value, 2000));
  };
  line("name", about.name);
  line("source", fmt::format("{} ({})", about.source, about.endpoint));
  line("page", about.page);
  line("revision", about.revision);
  line("commit", about.commit);
  line("access", about.is_private ? "private" : about.gated.empty() ? "public" : "gated: ask on its page");
  line("licence", about.license);
  line("task", about.task);
  line("modified", about.last_modified);
  line("downloads", about.downloads ? std::to_string(*about.downloads) : "");
  line("likes", about.likes ? std::to_string(*about.likes) : "");
  line("tags", fmt::format("{}", fmt::join(about.tags, ", ")));
  line("size", fmt::format("{} in {} files", human_bytes(bytes), files));
  text.pop_back();
  cli.print_line(text);
  return {};
}

}  // namespace

void add_info(Cli& cli) {
  auto command = std::make_shared<InfoCommand>();
  CLI::App* app = cli.command("info", "Show what a hub says about a model, without downloading it",
                              "  mhub info Qwen/Qwen2.5-7B-Instruct\n  mhub info hf:org/name@v1.0 --json",
                              [&cli, command] { return info(cli, *command); });
  app->add_option("MODEL", command->model, "[ms:|hf:]org/name[@revision] or http(s)://host[:port]/org/name[@revision]")
      ->required();
  command->remote.add_to(app);
  cli.add_json_flag(app);
}

}  // namespace mhub::apps
