// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "mhub/base/result.h"

namespace mhub::hub {

// The one URL parser of the hub side is libcurl's; what connects is what was checked.
struct UrlParts {
  std::string scheme, host, port;  // lower case; the port always filled in
  std::string origin() const;      // "https://host:443"
};
// Only http and https, without user or password. kPolicy otherwise.
Result<UrlParts> parse_url(const std::string& url);
Result<std::string> origin_of(const std::string& url);
// `location` (absolute or relative) seen from `base`. kPolicy when it is no http(s) URL.
Result<std::string> resolve_location(const std::string& base, const std::string& location);

// For messages: without query, fragment, user and password (signatures and tokens live there).
std::string redact_url(std::string_view url);

// Percent-encodes everything but unreserved characters; `keep_slash` leaves '/'.
std::string percent_encode(std::string_view text, bool keep_slash);

enum class AddressKind { kPublic, kPrivate, kForbidden };
// Of a literal IPv4 or IPv6 address: loopback, link-local, private, unspecified, CGNAT... are kPrivate; the cloud
// metadata address (169.254.169.254, also mapped into IPv6) is kForbidden.
AddressKind classify_address(const std::string& address);

}  // namespace mhub::hub
