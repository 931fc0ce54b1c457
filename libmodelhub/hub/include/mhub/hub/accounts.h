// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"

namespace mhub::hub {

struct Account {
  Source source = Source::kModelScope;
  std::string endpoint;
  std::string user;                 // "" when the hub does not say
  bool from_environment = false;    // else from the token file
  std::optional<Error> refused;     // the hub does not take this token (or does not answer)
};

// Which hubs we have a token for. Tokens lie in `<home>/tokens.json` (0600); one from the environment wins.
class Accounts {
 public:
  explicit Accounts(const HubConfig& config) : config_(config) {}
  // `endpoint` "" = the source's own. Asks the hub who this is before the token is stored: kHubDenied when it says no;
  // a hub that has no such route (a plain mirror) is believed.
  Result<Account> login(Source source, const std::string& endpoint, const std::string& token, std::stop_token stop);
  // False: there was no token for it.
  Result<bool> logout(const std::string& endpoint);
  // Every hub with a token, asked who that is.
  Result<std::vector<Account>> list(std::stop_token stop);

 private:
  const HubConfig config_;
};

}  // namespace mhub::hub
