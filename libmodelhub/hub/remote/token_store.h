// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "mhub/base/result.h"
#include "mhub/hub/model_ref.h"

namespace mhub::hub {

struct StoredToken {
  Source source = Source::kModelScope;
  std::string endpoint;  // as logged in to
  std::string token, user;
};

// One token per host in `<home>/tokens.json`, 0600, replaced by rename. A file that others can read is refused
// (kPolicy), a damaged one too.
class TokenStore {
 public:
  explicit TokenStore(const std::filesystem::path& home) : file_(home / "tokens.json") {}
  // By hub (same_hub_key of the endpoint). Empty when there is no file.
  Result<std::map<std::string, StoredToken>> read() const;
  Result<void> put(const StoredToken& token) const;
  Result<bool> remove(const std::string& endpoint) const;  // false: there was none
  const std::filesystem::path& file() const { return file_; }

 private:
  Result<void> write(const std::map<std::string, StoredToken>& tokens) const;
  std::filesystem::path file_;
};

// "scheme://host:port"; modelscope.cn and www.modelscope.cn are one hub.
std::string same_hub_key(const std::string& endpoint);

}  // namespace mhub::hub
