// SPDX-License-Identifier: Apache-2.0
#include "api_keys.h"

#include <algorithm>

namespace mhub::http {
namespace {

// The token of "Bearer TOKEN", scheme in any case; nullopt for another scheme.
std::optional<std::string_view> bearer_token(std::string_view value) {
  static constexpr std::string_view kScheme = "bearer ";
  if (value.size() < kScheme.size()) return std::nullopt;
  for (size_t i = 0; i < kScheme.size(); ++i) {
    const char c = value[i] >= 'A' && value[i] <= 'Z' ? static_cast<char>(value[i] + 32) : value[i];
    if (c != kScheme[i]) return std::nullopt;
  }
  value.remove_prefix(kScheme.size());
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  return value;
}

}  // namespace

ApiKeys::PaddedKey ApiKeys::pad(std::string_view key) {
  PaddedKey out;
  out.size = key.size();
  std::copy_n(key.begin(), std::min(key.size(), kMaxKeyBytes), out.bytes.begin());
  return out;
}

Result<ApiKeys> ApiKeys::create(const std::vector<std::string>& keys) {
  ApiKeys out;
  for (const auto& key : keys) {
    if (key.empty() || key.size() > kMaxKeyBytes) {
      return Error{ErrorCode::kUsage, "an API key is empty or longer than 512 bytes", "give another --api-key", ""};
    }
    if (!out.find(key)) out.keys_.push_back(pad(key));
  }
  return out;
}

std::optional<size_t> ApiKeys::find(std::string_view candidate) const {
  const PaddedKey given = pad(candidate);
  size_t found = 0;  // 1 + index
  for (size_t k = 0; k < keys_.size(); ++k) {
    const PaddedKey& key = keys_[k];
    unsigned difference = given.size == key.size ? 0u : 1u;
    for (size_t i = 0; i < kMaxKeyBytes; ++i) difference |= static_cast<unsigned>(given.bytes[i] ^ key.bytes[i]);
    found |= (k + 1) * static_cast<size_t>(difference == 0);  // keys differ, so at most one adds its bits
  }
  if (found == 0) return std::nullopt;
  return found - 1;
}

std::optional<size_t> ApiKeys::key_of(const httpd::Request& request) const {
  std::string_view candidate;
  if (const std::string* value = request.header("authorization")) {
    if (const auto token = bearer_token(*value)) candidate = *token;
  } else if (const std::string* key = request.header("x-api-key")) {
    candidate = *key;
  }
  return find(candidate);
}

Result<void> ApiKeys::authorize(const httpd::Request& request) const {
  if (key_of(request)) return {};
  return Error{ErrorCode::kUnauthorized, "Unauthorized", "send the server's API key as 'Authorization: Bearer KEY'",
               ""};
}

}  // namespace mhub::http
