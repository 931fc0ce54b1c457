// SPDX-License-Identifier: Apache-2.0
#include "net/proxy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

namespace mhub::hub {
namespace {

struct Address {
  std::array<uint8_t, 16> bytes{};
  int bits = 0;  // 32 or 128
};

std::optional<Address> parse_address(std::string_view text) {
  std::string literal(text);
  if (literal.starts_with('[') && literal.ends_with(']')) literal = literal.substr(1, literal.size() - 2);
  Address address;
  if (inet_pton(AF_INET, literal.c_str(), address.bytes.data()) == 1) {
    address.bits = 32;
    return address;
  }
  if (inet_pton(AF_INET6, literal.c_str(), address.bytes.data()) != 1) return std::nullopt;
  address.bits = 128;
  return address;
}

bool in_range(const Address& address, std::string_view range) {
  const size_t slash = range.find('/');
  const auto base = parse_address(range.substr(0, slash));
  if (!base || base->bits != address.bits) return false;
  int prefix = base->bits;
  if (slash != std::string_view::npos) {
    const std::string_view digits = range.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
    if (error != std::errc() || end != digits.data() + digits.size() || prefix < 0 || prefix > base->bits) return false;
  }
  for (int bit = 0; bit < prefix; ++bit) {
    const auto mask = static_cast<uint8_t>(0x80 >> (bit % 8));
    const auto byte = static_cast<size_t>(bit / 8);
    if ((address.bytes[byte] & mask) != (base->bytes[byte] & mask)) return false;
  }
  return true;
}

bool matches(const UrlParts& url, std::string_view entry) {
  if (entry == "*") return true;
  // "name:port" and "[v6]:port"; a bare IPv6 address has more than one colon.
  const size_t colon = entry.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (entry.starts_with('[') ? entry[colon - 1] == ']' : entry.find(':') == colon);
  if (has_port) {
    if (entry.substr(colon + 1) != url.port) return false;
    entry = entry.substr(0, colon);
  }
  if (const auto address = parse_address(url.host)) return in_range(*address, entry);
  while (entry.starts_with('.') || entry.starts_with('*')) entry.remove_prefix(1);
  if (entry.empty() || !url.host.ends_with(entry)) return false;
  return url.host.size() == entry.size() || url.host[url.host.size() - entry.size() - 1] == '.';
}

}  // namespace

std::string proxy_for(const UrlParts& url, const ProxyConfig& config) {
  const std::string& proxy = url.scheme == "https" ? config.https : config.http;
  if (proxy.empty()) return "";
  std::string list = config.none;
  std::transform(list.begin(), list.end(), list.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  for (std::string_view rest = list; !rest.empty();) {
    const size_t end = std::min(rest.find_first_of(", \t"), rest.size());
    if (end > 0 && matches(url, rest.substr(0, end))) return "";
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return proxy;
}

}  // namespace mhub::hub
