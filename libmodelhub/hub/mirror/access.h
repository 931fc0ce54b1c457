// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/httpd/server.h"

namespace mhub::hub {

// A network: "10.0.0.0/8", "192.168.1.7", "fd00::/8". IPv4 is kept as ::ffff:a.b.c.d.
struct Network {
  std::array<uint8_t, 16> address{};
  int prefix_bits = 128;
  static Result<Network> parse(std::string_view text);  // kUsage
  bool contains(std::string_view address_text) const;
};

// Who may ask a mirror.
class AccessList {
 public:
  static Result<AccessList> make(const std::vector<std::string>& networks, std::vector<std::string> tokens);
  // kPolicy for another network (403), kUnauthorized without a token (401).
  Result<void> check(const httpd::Request& request) const;

 private:
  std::vector<Network> networks_;
  std::vector<std::string> tokens_;
};

}  // namespace mhub::hub
