// SPDX-License-Identifier: Apache-2.0
#include "net/url.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "net/curl_library.h"

namespace mhub::hub {
namespace {

using CurlUrl = std::unique_ptr<CURLU, void (*)(CURLU*)>;

CurlUrl make_curl_url() {
  return CurlUrl(curl_library().url(), curl_library().url_cleanup);
}

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_library().url_get(url, which, &text, flags) != CURLUE_OK || !text) return "";
  std::string copy = text;
  curl_library().free(text);
  return copy;
}

Error malformed(std::string_view url, const std::string& why) {
  return {ErrorCode::kPolicy, fmt::format("follow {}: {}", printable(redact_url(url), 300), why),
          "the hub sent an address that is not safe to use: check the endpoint", ""};
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return text;
}

Result<UrlParts> checked_parts(CURLU* url, std::string_view text) {
  UrlParts parts;
  parts.scheme = lower(part(url, CURLUPART_SCHEME));
  if (parts.scheme != "http" && parts.scheme != "https") return malformed(text, "only http and https are allowed");
  if (!part(url, CURLUPART_USER).empty() || !part(url, CURLUPART_PASSWORD).empty()) {
    return malformed(text, "a user or password in the address is not allowed");
  }
  parts.host = lower(part(url, CURLUPART_HOST));
  parts.port = part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if (parts.host.empty()) return malformed(text, "no host");
  return parts;
}

bool in_v4(uint32_t address, uint32_t network, int bits) {
  return (address >> (32 - bits)) == (network >> (32 - bits));
}

AddressKind classify_v4(uint32_t a) {
  struct Network {
    uint32_t base;
    int bits;
  };
  static constexpr std::array<Network, 8> kPrivateNetworks = {{{0x00000000, 8},    // this host
                                                               {0x0A000000, 8},    // 10/8
                                                               {0x64400000, 10},   // 100.64/10, carrier NAT
                                                               {0x7F000000, 8},    // loopback
                                                               {0xA9FE0000, 16},   // link-local
                                                               {0xAC100000, 12},   // 172.16/12
                                                               {0xC0A80000, 16},   // 192.168/16
                                                               {0xE0000000, 3}}};  // multicast and reserved
  if (a == 0xA9FEA9FE) return AddressKind::kForbidden;
  for (const auto& network : kPrivateNetworks) {
    if (in_v4(a, network.base, network.bits)) return AddressKind::kPrivate;
  }
  return AddressKind::kPublic;
}

}  // namespace

std::string UrlParts::origin() const {
  return scheme + "://" + host + ":" + port;
}

Result<UrlParts> parse_url(const std::string& url) {
  if (url.find('\\') != std::string::npos) return malformed(url, "a backslash is not allowed");
  MHUB_CHECK_OK(load_curl());
  const CurlUrl parsed = make_curl_url();
  if (curl_library().url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
    return malformed(url, "not a URL");
  return checked_parts(parsed.get(), url);
}

Result<std::string> origin_of(const std::string& url) {
  MHUB_TRY(const UrlParts parts, parse_url(url));
  return parts.origin();
}

Result<std::string> resolve_location(const std::string& base, const std::string& location) {
  if (location.find('\\') != std::string::npos) return malformed(location, "a backslash is not allowed");
  MHUB_CHECK_OK(load_curl());
  const CurlUrl parsed = make_curl_url();
  if (curl_library().url_set(parsed.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK)
    return malformed(base, "not a URL");
  if (curl_library().url_set(parsed.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK) {
    return malformed(location, "not an http(s) URL");
  }
  MHUB_TRY(const UrlParts parts, checked_parts(parsed.get(), location));
  curl_library().url_set(parsed.get(), CURLUPART_FRAGMENT, nullptr, 0);
  return part(parsed.get(), CURLUPART_URL);
}

std::string redact_url(std::string_view url) {
  std::string text(url.substr(0, url.find_first_of("?#")));
  const size_t host = text.find("://");
  if (host == std::string::npos) return text;
  const size_t path = text.find('/', host + 3);
  const size_t at = text.rfind('@', path);
  if (at != std::string::npos && at > host && (path == std::string::npos || at < path)) {
    text.erase(host + 3, at + 1 - (host + 3));
  }
  return text;
}

std::string percent_encode(std::string_view text, bool keep_slash) {
  static constexpr std::string_view kUnreserved = "-._~";
  std::string out;
  for (const char c : text) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alnum || kUnreserved.find(c) != std::string_view::npos || (keep_slash && c == '/')) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

AddressKind classify_address(const std::string& address) {
  in_addr v4{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return classify_v4(ntohl(v4.s_addr));
  std::string literal = address.substr(0, address.find('%'));
  if (literal.starts_with('[')) literal.erase(0, 1);
  if (literal.ends_with(']')) literal.pop_back();
  in6_addr v6{};
  if (inet_pton(AF_INET6, literal.c_str(), &v6) != 1) return AddressKind::kPublic;
  const uint8_t* b = v6.s6_addr;
  static constexpr std::array<uint8_t, 12> kCompatible = {};  // :: and ::1 too, which read as 0/8
  static constexpr std::array<uint8_t, 12> kNat64 = {0x00, 0x64, 0xff, 0x9b};
  if (IN6_IS_ADDR_V4MAPPED(&v6) || std::equal(kCompatible.begin(), kCompatible.end(), b) ||
      std::equal(kNat64.begin(), kNat64.end(), b)) {
    uint32_t inner;
    std::memcpy(&inner, b + 12, sizeof inner);
    return classify_v4(ntohl(inner));
  }
  const bool local = b[0] == 0xff || (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0x80) != 0);
  return local ? AddressKind::kPrivate : AddressKind::kPublic;
}

}  // namespace mhub::hub
