// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "cli.h"
#include "hub_config.h"
#include "mhub/hub/accounts.h"
#include "table.h"

namespace mhub::apps {
namespace {

Result<void> whoami(Cli& cli) {
  MHUB_TRY(const hub::HubConfig config, hub_config_from_environment());
  MHUB_TRY(const std::vector<hub::Account> accounts, hub::Accounts(config).list(cli.stop_token()));
  if (accounts.empty()) {
    return Error{ErrorCode::kHubDenied, "say who you are at the hubs: there is no token",
                 "`mhub login`, or set MODELSCOPE_API_TOKEN or HF_TOKEN", ""};
  }
  Json list = Json::array();
  Table table({{"HUB"}, {"ENDPOINT"}, {"USER"}, {"TOKEN FROM"}, {"STATE"}});
  for (const hub::Account& account : accounts) {
    const std::string source(hub::source_name(account.source));
    const char* from = account.from_environment ? "environment" : "file";
    list.push_back({{"source", source},
                    {"endpoint", account.endpoint},
                    {"user", account.user},
                    {"from", from},
                    {"valid", !account.refused},
                    {"problem", account.refused ? account.refused->message : ""}});
    table.add({source, account.endpoint, account.user.empty() ? "-" : account.user, from,
               account.refused ? account.refused->message : "valid"});
  }
  if (cli.json()) {
    cli.print_json({{"accounts", std::move(list)}});
  } else {
    cli.print_line(table.text(cli.stdout_is_terminal()));
  }
  const bool any_refused =
      std::any_of(accounts.begin(), accounts.end(), [](const auto& account) { return account.refused.has_value(); });
  if (any_refused) cli.set_exit_code(error_info(ErrorCode::kHubDenied).exit_code);
  return {};
}

}  // namespace

void add_whoami(Cli& cli) {
  CLI::App* app = cli.command("whoami", "Show which hubs there is a token for, and whose; exit 3 when one is refused",
                              "  mhub whoami\n  mhub whoami --json", [&cli] { return whoami(cli); });
  cli.add_json_flag(app);
}

}  // namespace mhub::apps
