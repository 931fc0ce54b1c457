// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.h"
#include "hub_config.h"
#include "mhub/hub/accounts.h"

namespace mhub::apps {
namespace {

struct LogoutCommand {
  std::string hub = "modelscope", endpoint;
};

Result<void> logout(const Cli& cli, const LogoutCommand& command) {
  MHUB_TRY(const hub::Source source, hub::parse_source(command.hub));
  MHUB_TRY(const hub::HubConfig config, hub_config_from_environment());
  const std::string& own =
      source == hub::Source::kModelScope ? config.modelscope_endpoint : config.huggingface_endpoint;
  const std::string endpoint = command.endpoint.empty() ? own : command.endpoint;
  MHUB_TRY(const bool removed, hub::Accounts(config).logout(endpoint));
  if (cli.json()) {
    cli.print_json({{"endpoint", endpoint}, {"removed", removed}});
  } else {
    cli.note(removed ? fmt::format("token for {} removed", endpoint)
                     : fmt::format("no token for {} was stored", endpoint));
  }
  return {};
}

}  // namespace

void add_logout(Cli& cli) {
  auto command = std::make_shared<LogoutCommand>();
  CLI::App* app = cli.command("logout", "Remove the stored access token of a hub",
                              "  mhub logout hf\n  mhub logout modelscope --endpoint https://www.modelscope.ai",
                              [&cli, command] { return logout(cli, *command); });
  app->add_option("HUB", command->hub, "modelscope (ms) or huggingface (hf); default modelscope")
      ->check(CLI::IsMember({"modelscope", "huggingface", "ms", "hf"}));
  app->add_option("--endpoint", command->endpoint, "The address that was logged in to");
  cli.add_json_flag(app);
}

}  // namespace mhub::apps
