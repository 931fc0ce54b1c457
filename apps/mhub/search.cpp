// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "mhub/hub/remote_model.h"
#include "table.h"

namespace mhub::apps {
namespace {

struct SearchCommand {
  hub::SearchQuery query;
  std::string source, repo_type;
};

Json optional_json(const std::optional<uint64_t>& value) {
  return value ? Json(*value) : Json();
}

Result<void> search(const Cli& cli, SearchCommand& command) {
  MHUB_TRY(const hub::HubConfig config, hub_config_from_environment());
  hub::SearchQuery& query = command.query;
  query.source = config.default_source;
  if (!command.source.empty()) {
    MHUB_TRY(query.source, hub::parse_source(command.source));
  }
  if (command.repo_type == "dataset") query.repo_type = hub::RepoType::kDataset;
  MHUB_TRY(const std::vector<hub::SearchHit> hits, hub::search_hub(config, query, cli.stop_token()));
  Json list = Json::array();
  Table table({{"NAME"}, {"DOWNLOADS", true}, {"LIKES", true}, {"SIZE", true}, {"LICENCE"}, {"ACCESS"}, {"MODIFIED"}});
  const auto shown = [](const std::optional<uint64_t>& value) { return value ? std::to_string(*value) : "-"; };
  for (const hub::SearchHit& hit : hits) {
    list.push_back({{"name", hit.name},
                    {"source", hit.source},
                    {"downloads", optional_json(hit.downloads)},
                    {"likes", optional_json(hit.likes)},
                    {"bytes", optional_json(hit.bytes)},
                    {"parameters", optional_json(hit.parameters)},
                    {"license", hit.license},
                    {"task", hit.task},
                    {"private", hit.is_private},
                    {"gated", !hit.gated.empty()},
                    {"last_modified", hit.last_modified}});
    table.add({hit.name, shown(hit.downloads), shown(hit.likes), hit.bytes ? human_bytes(*hit.bytes) : "-", hit.license,
               hit.is_private      ? "private"
               : hit.gated.empty() ? "public"
                                   : "gated",
               hit.last_modified.substr(0, 10)});
  }
  if (cli.json()) {
    cli.print_json({{"models", std::move(list)}});
  } else if (hits.empty()) {
    cli.note(fmt::format("nothing on {} matches '{}'", hub::source_name(query.source), printable(query.text)));
  } else {
    cli.print_line(table.text(cli.stdout_is_terminal()));
  }
  return {};
}

}  // namespace

void add_search(Cli& cli) {
  auto command = std::make_shared<SearchCommand>();
  CLI::App* app = cli.command("search", "Look for models or datasets on a hub",
                              "  mhub search qwen2.5 --limit 10\n  mhub search llama --source hf --sort likes --json",
                              [&cli, command] { return search(cli, *command); });
  app->add_option("TEXT", command->query.text, "Words of the name or description")->required();
  app->add_option("--source", command->source, "modelscope or huggingface; default modelscope")
      ->check(CLI::IsMember({"modelscope", "huggingface", "ms", "hf"}));
  app->add_option("--repo-type", command->repo_type, "model or dataset; default model")
      ->check(CLI::IsMember({"model", "dataset"}));
  app->add_option("--endpoint", command->query.endpoint, "Address of the hub");
  app->add_option("--token", command->query.token, "Access token; shows private repositories too");
  app->add_option("--sort", command->query.sort, "downloads, likes or modified; default downloads")
      ->check(CLI::IsMember({"downloads", "likes", "modified"}));
  app->add_option("--limit", command->query.limit, "At most so many; default 20")->check(CLI::Range(1, 1000));
  cli.add_json_flag(app);
}

}  // namespace mhub::apps
