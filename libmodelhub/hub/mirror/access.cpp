// SPDX-License-Identifier: Apache-2.0
#include "mirror/access.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "mhub/base/error.h"

namespace mhub::hub {
namespace {

std::optional<std::array<uint8_t, 16>> parse_address(std::string text) {
  std::array<uint8_t, 16> bytes{};
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return bytes;
  bytes[10] = bytes[11] = 0xFF;
  if (inet_pton(AF_INET, text.c_str(), bytes.data() + 12) == 1) return bytes;
  return std::nullopt;
}

// Time does not depend on where they differ.
bool same_text(std::string_view a, std::string_view b) {
  unsigned char difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i] ^ (b.empty() ? '\1' : b[i % b.size()]));
  }
  return difference == 0;
}

// "m_session_id" of a Cookie header.
std::string session_cookie(std::string_view header) {
  constexpr std::string_view kName = "m_session_id=";
  for (size_t at = 0; at < header.size();) {
    const size_t end = std::min(header.find(';', at), header.size());
    std::string_view pair = header.substr(at, end - at);
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.starts_with(kName)) return std::string(pair.substr(kName.size()));
    at = end + 1;
  }
  return "";
}

}  // namespace

Result<Network> Network::parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = parse_address(std::string(text.substr(0, slash)));
  const bool is_ipv4 = text.find(':') == std::string_view::npos;
  const int width = is_ipv4 ? 32 : 128;
  int bits = width;
  if (slash != std::string_view::npos) {
    const auto [end, error] = std::from_chars(text.data() + slash + 1, text.data() + text.size(), bits);
    if (error != std::errc() || end != text.data() + text.size()) bits = -1;
  }
  if (!address || bits < 0 || bits > width) {
    return Error{ErrorCode::kUsage, fmt::format("read --allow '{}': no address or network", printable(text)),
                 "write for example --allow 10.0.0.0/8", ""};
  }
  return Network{*address, bits + (128 - width)};
}

bool Network::contains(std::string_view text) const {
  const auto other = parse_address(std::string(text));
  if (!other) return false;
  for (int bit = 0; bit < prefix_bits; bit += 8) {
    const auto mask = static_cast<uint8_t>(prefix_bits - bit >= 8 ? 0xFF : 0xFF00 >> (prefix_bits - bit));
    const auto i = static_cast<size_t>(bit / 8);
    if (((address[i] ^ (*other)[i]) & mask) != 0) return false;
  }
  return true;
}

Result<AccessList> AccessList::make(const std::vector<std::string>& networks, std::vector<std::string> tokens) {
  AccessList list;
  for (const std::string& text : networks) {
    MHUB_TRY(const Network network, Network::parse(text));
    list.networks_.push_back(network);
  }
  list.tokens_ = std::move(tokens);
  return list;
}

Result<void> AccessList::check(const httpd::Request& request) const {
  const bool from_here = networks_.empty() || std::any_of(networks_.begin(), networks_.end(), [&](const Network& net) {
                           return net.contains(request.remote_address);
                         });
  if (!from_here) {
    return Error{ErrorCode::kPolicy, fmt::format("ask this mirror from {}: not allowed", request.remote_address),
                 "its --allow must have the address", ""};
  }
  if (tokens_.empty()) return {};
  std::vector<std::string> given;
  constexpr std::string_view kBearer = "Bearer ";
  if (const auto* header = request.header("Authorization"); header && header->starts_with(kBearer)) {
    given.push_back(header->substr(kBearer.size()));
  }
  if (const auto* header = request.header("Cookie")) given.push_back(session_cookie(*header));
  bool known = false;
  for (const std::string& token : given) {
    for (const std::string& mine : tokens_) known |= !token.empty() && same_text(token, mine);
  }
  if (known) return {};
  return Error{ErrorCode::kUnauthorized, "ask this mirror: no or another token",
               "give the client the mirror's token (HF_TOKEN, MODELSCOPE_API_TOKEN or --token)", ""};
}

}  // namespace mhub::hub
