// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>

#include "cli.h"
#include "hub_config.h"
#include "mhub/hub/accounts.h"

namespace mhub::apps {
namespace {

struct LoginCommand {
  std::string hub = "modelscope", endpoint, token;
};

// One line of stdin; on a terminal it is asked for and not shown.
std::string read_token() {
  const bool terminal = isatty(STDIN_FILENO) == 1;
  termios before{};
  if (terminal && tcgetattr(STDIN_FILENO, &before) == 0) {
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &silent);
    std::fputs("Token: ", stderr);
  }
  std::string line;
  for (int c = std::getchar(); c != EOF && c != '\n' && line.size() < 8192; c = std::getchar()) {
    line += static_cast<char>(c);
  }
  if (terminal) {
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    std::fputc('\n', stderr);
  }
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
  return line;
}

Result<void> login(const Cli& cli, const LoginCommand& command) {
  MHUB_TRY(const hub::Source source, hub::parse_source(command.hub));
  MHUB_TRY(const hub::HubConfig config, hub_config_from_environment());
  const std::string token = command.token.empty() ? read_token() : command.token;
  MHUB_TRY(const hub::Account account, hub::Accounts(config).login(source, command.endpoint, token, cli.stop_token()));
  const bool hidden =
      !(source == hub::Source::kModelScope ? config.modelscope_token : config.huggingface_token).empty();
  if (cli.json()) {
    cli.print_json({{"endpoint", account.endpoint}, {"source", hub::source_name(source)}, {"user", account.user}});
    return {};
  }
  cli.note(account.user.empty() ? fmt::format("token for {} stored; the hub does not say whose it is", account.endpoint)
                                : fmt::format("token for {} stored, user {}", account.endpoint, account.user));
  if (hidden) cli.note("the token in the environment goes before it");
  return {};
}

}  // namespace

void add_login(Cli& cli) {
  auto command = std::make_shared<LoginCommand>();
  CLI::App* app = cli.command("login", "Store the access token of a hub (one per host, in one file of mode 0600)",
                              "  mhub login hf < token.txt\n"
                              "  mhub login modelscope --token \"$TOKEN\"\n"
                              "  mhub login hf --endpoint https://hf-mirror.example",
                              [&cli, command] { return login(cli, *command); });
  app->add_option("HUB", command->hub, "modelscope (ms) or huggingface (hf); default modelscope")
      ->check(CLI::IsMember({"modelscope", "huggingface", "ms", "hf"}));
  app->add_option("--endpoint", command->endpoint, "Another address that speaks this hub's API");
  app->add_option("--token", command->token,
                  "The token; else one line of stdin (argument lists are visible to others)");
  cli.add_json_flag(app);
}

}  // namespace mhub::apps
