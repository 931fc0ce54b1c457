// SPDX-License-Identifier: Apache-2.0
#include "mhub/hub/accounts.h"

#include <fmt/format.h>

#include "library_transport.h"
#include "net/curl_library.h"
#include "net/explanation.h"
#include "net/url.h"
#include "remote/api_client.h"
#include "remote/hub_target.h"
#include "remote/token_store.h"

namespace mhub::hub {
namespace {

std::string user_of(const Json& body) {
  for (const Json* object : {&body, body.is_object() && body.contains("data") ? &body.at("data") : nullptr,
                             body.is_object() && body.contains("Data") ? &body.at("Data") : nullptr}) {
    if (!object) continue;
    for (const char* key : {"name", "username", "Username", "user_name", "Name"}) {
      if (std::string name = json_string(*object, key); !name.empty()) return printable(name, 100);
    }
  }
  return "";
}

// "" when the hub has no such route.
Result<std::string> ask_user(const HubConfig& config, Source source, const std::string& endpoint,
                             const std::string& token, std::stop_token stop) {
  MHUB_CHECK_OK(load_curl());
  CurlTransport transport(curl_config(config));
  const Repository repository{endpoint, "", token, RepoType::kModel};
  ApiClient client(transport, repository, hub_credentials(source, repository), retry_policy(config));
  const bool modelscope = source == Source::kModelScope;
  const std::string url = endpoint + (modelscope ? "/openapi/v1/users/me" : "/api/whoami-v2");
  MHUB_TRY(const HttpResponse response, client.get(url, stop));
  const auto body = parse_hub_json(response);
  const bool said_no = body && body->is_object() && body->contains("success") && body->at("success") == false;
  if (response.head.status == 401 || response.head.status == 403 || (response.head.status == 200 && said_no)) {
    return Error{
        ErrorCode::kHubDenied,
        fmt::format("ask {} whose token this is: HTTP {}, it does not take the token", endpoint, response.head.status),
        modelscope ? fmt::format("make a new one at {}/my/myaccesstoken", endpoint)
                   : fmt::format("make a new one at {}/settings/tokens", endpoint),
        ""};
  }
  if (response.head.status == 404 || response.head.status == 405 || response.head.status == 501) return std::string();
  if (response.head.status != 200) return status_error(response.head, explanation(response.head, response.body));
  if (!body) return body.error();
  return user_of(*body);
}

}  // namespace

Result<Account> Accounts::login(Source source, const std::string& endpoint, const std::string& token,
                                std::stop_token stop) {
  const std::string& configured =
      source == Source::kModelScope ? config_.modelscope_endpoint : config_.huggingface_endpoint;
  Account account;
  account.source = source;
  MHUB_TRY(account.endpoint, checked_endpoint(endpoint.empty() ? configured : endpoint));
  if (token.empty() || token.size() > 4096 || token.find_first_of(" \t\r\n") != std::string::npos) {
    return Error{ErrorCode::kUsage, "log in: the token is empty or has blanks", "paste the token alone", ""};
  }
  MHUB_TRY(account.user, ask_user(config_, source, account.endpoint, token, stop));
  MHUB_CHECK_OK(TokenStore(config_.home).put({source, account.endpoint, token, account.user}));
  return account;
}

Result<bool> Accounts::logout(const std::string& endpoint) {
  MHUB_TRY(const std::string checked, checked_endpoint(endpoint));
  return TokenStore(config_.home).remove(checked);
}

Result<std::vector<Account>> Accounts::list(std::stop_token stop) {
  MHUB_TRY(auto tokens, TokenStore(config_.home).read());
  std::vector<std::pair<StoredToken, bool>> known;
  const auto from_environment = [&](Source source, const std::string& endpoint, const std::string& token) {
    if (token.empty()) return;
    tokens.erase(same_hub_key(endpoint));
    known.emplace_back(StoredToken{source, endpoint, token, ""}, true);
  };
  from_environment(Source::kModelScope, config_.modelscope_endpoint, config_.modelscope_token);
  from_environment(Source::kHuggingFace, config_.huggingface_endpoint, config_.huggingface_token);
  for (const auto& [key, token] : tokens) known.emplace_back(token, false);
  std::vector<Account> accounts;
  for (const auto& [token, environment] : known) {
    Account account{token.source, token.endpoint, token.user, environment, {}};
    auto user = ask_user(config_, token.source, token.endpoint, token.token, stop);
    if (!user) {
      if (user.error().code == ErrorCode::kInterrupted) return user.error();
      account.refused = user.error();
    } else if (!user->empty()) {
      account.user = *user;
    }
    accounts.push_back(std::move(account));
  }
  return accounts;
}

}  // namespace mhub::hub
