// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/httpd/server.h"

namespace mhub::http {

// The keys of which a request must carry one, as `Authorization: Bearer KEY` or `x-api-key: KEY`.
class ApiKeys {
 public:
  static constexpr size_t kMaxKeyBytes = 512;
  // Empty = every request passes. Errors: kUsage for an empty or too long key.
  static Result<ApiKeys> create(const std::vector<std::string>& keys);
  bool empty() const { return keys_.empty(); }
  Result<void> authorize(const httpd::Request& request) const;
  // Which key (counted from 0) the request carries.
  std::optional<size_t> key_of(const httpd::Request& request) const;
  // Takes the same time for every candidate: all keys, all bytes.
  std::optional<size_t> find(std::string_view candidate) const;

 private:
  struct PaddedKey {
    std::array<unsigned char, kMaxKeyBytes> bytes{};
    size_t size = 0;
  };
  static PaddedKey pad(std::string_view key);
  std::vector<PaddedKey> keys_;
};

}  // namespace mhub::http
