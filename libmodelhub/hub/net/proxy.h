// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "net/url.h"

namespace mhub::hub {

// As the usual variables have it: the proxies for http and https URLs ("" = none) and who is reached without.
struct ProxyConfig {
  std::string http, https, none;
};

// The proxy for a URL, "" for a direct connection. `none` is a list, separated by commas or blanks, of "*", names
// (which stand for their subdomains too), addresses and address ranges ("10.0.0.0/8"); each may end in ":port".
std::string proxy_for(const UrlParts& url, const ProxyConfig& config);

}  // namespace mhub::hub
