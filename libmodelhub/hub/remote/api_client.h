// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>
#include <string>

#include "mhub/base/json.h"
#include "net/http_transport.h"
#include "net/retry.h"
#include "remote/hub_api.h"

namespace mhub::hub {

// Limits of what a hub may answer.
constexpr size_t kMaxListingBytes = 64u << 20;

// GETs JSON from one endpoint with retries. What the hubs have in common; what an error body means they know.
class ApiClient {
 public:
  ApiClient(HttpTransport& transport, const Repository& repository, Credentials credentials, RetryPolicy policy)
      : transport_(transport), repository_(repository), credentials_(std::move(credentials)), policy_(policy) {}

  // The final answer, whatever its status; retryable ones have been tried again.
  Result<HttpResponse> get(const std::string& url, std::stop_token stop);
  HttpRequest request(const std::string& url) const;

 private:
  HttpTransport& transport_;
  const Repository& repository_;  // the owner's
  const Credentials credentials_;
  const RetryPolicy policy_;
};

// What proves to a hub of this kind who we are; empty without a token.
Credentials hub_credentials(Source source, const Repository& repository);

// JSON of a hub. kNetwork when it is none (an error page, a captive portal).
Result<Json> parse_hub_json(const HttpResponse& response);

// Typed reads of hostile JSON: absent or of another type gives the default.
std::string json_string(const Json& object, const char* key);
// True, 1 or "true".
bool json_flag(const Json& object, const char* key);
// Strings of an array; others are left out.
std::vector<std::string> json_strings(const Json& object, const char* key);
// A size: nullopt when absent, negative, fractional or over 2^62.
std::optional<uint64_t> json_size(const Json& object, const char* key);
bool is_hex(std::string_view text, size_t digits);
// Lower case when it is `digits` hex digits, else "".
std::string hex_or_empty(std::string text, size_t digits);

// For a 401, 403 or 404 about a repository: both explanations, because hubs answer alike for missing and private.
Error repository_error(const Repository& repository, Source source, const std::string& revision, int status,
                       const std::string& said);
// Any other status.
Error status_error(const HttpHead& head, const std::string& said);

Error bad_listing(const std::string& url, const std::string& what);

}  // namespace mhub::hub
