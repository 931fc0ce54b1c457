// SPDX-License-Identifier: Apache-2.0
#include "remote/api_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "net/explanation.h"
#include "net/url.h"

namespace mhub::hub {
namespace {

bool sleep_unless_stopped(double seconds, std::stop_token stop) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    if (stop.stop_requested()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace

HttpRequest ApiClient::request(const std::string& url) const {
  HttpRequest request;
  request.url = url;
  request.endpoint = origin_of(repository_.endpoint).value();
  request.credentials = credentials_;
  return request;
}

Result<HttpResponse> ApiClient::get(const std::string& url, std::stop_token stop) {
  Backoff backoff(policy_);
  RepeatedAnswer repeated;
  for (;;) {
    FetchOutcome outcome = fetch(transport_, request(url), kMaxListingBytes, stop);
    std::optional<double> asked;
    std::string why;
    if (outcome.response) {
      const HttpHead& head = outcome.response->head;
      if (!is_retryable_status(head.status)) return std::move(outcome.response);
      const std::string said = explanation(head, outcome.response->body);
      if (repeated.again(head.status, said)) return std::move(outcome.response);
      asked = retry_after_seconds(head);
      why = status_error(head, said).message;
    } else if (!outcome.retryable) {
      return std::move(outcome.response);
    } else {
      why = outcome.response.error().message;
    }
    const auto delay = backoff.next_delay(asked);
    if (!delay) return std::move(outcome.response);
    if (policy_.on_wait) policy_.on_wait(fmt::format("{}; again in {:.1f} s", why, *delay));
    if (!sleep_unless_stopped(*delay, stop)) {
      return Error{ErrorCode::kInterrupted, fmt::format("read {}: interrupted", redact_url(url)), "", ""};
    }
  }
}

Credentials hub_credentials(Source source, const Repository& repository) {
  Credentials credentials;
  if (repository.token.empty()) return credentials;
  credentials.origin = origin_of(repository.endpoint).value();
  credentials.headers = {{"Authorization", "Bearer " + repository.token}};
  if (source == Source::kModelScope) credentials.headers.emplace_back("Cookie", "m_session_id=" + repository.token);
  return credentials;
}

std::string Repository::page(Source source) const {
  if (type == RepoType::kDataset) return endpoint + "/datasets/" + id;
  return endpoint + (source == Source::kModelScope ? "/models/" : "/") + id;
}

Result<Json> parse_hub_json(const HttpResponse& response) {
  JsonLimits limits;
  limits.max_bytes = kMaxListingBytes;
  limits.max_values = 8'000'000;
  auto parsed = parse_json(response.body, limits);
  if (parsed) return parsed;
  return Error{ErrorCode::kNetwork,
               fmt::format("read {}: the answer is not the hub's JSON ({}); it begins with '{}'",
                           redact_url(response.head.url), parsed.error().message, printable(response.body, 80)),
               "a proxy or login page may stand between: check the endpoint and the network", ""};
}

std::string json_string(const Json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<uint64_t> json_size(const Json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  const auto value = found->get<uint64_t>();
  return value <= (uint64_t{1} << 62) ? std::optional(value) : std::nullopt;
}

bool json_flag(const Json& object, const char* key) {
  if (!object.is_object()) return false;
  const auto found = object.find(key);
  if (found == object.end()) return false;
  return (found->is_boolean() && *found == true) || (found->is_number_integer() && *found == 1) || *found == "true";
}

std::vector<std::string> json_strings(const Json& object, const char* key) {
  std::vector<std::string> strings;
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (found == object.end() || !found->is_array()) return strings;
  for (const Json& item : *found) {
    if (item.is_string()) strings.push_back(item.get<std::string>());
  }
  return strings;
}

bool is_hex(std::string_view text, size_t digits) {
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); };
  return text.size() == digits && std::all_of(text.begin(), text.end(), hex);
}

std::string hex_or_empty(std::string text, size_t digits) {
  if (!is_hex(text, digits)) return "";
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'A' && c <= 'F' ? c + 32 : c; });
  return text;
}

Error repository_error(const Repository& repository, Source source, const std::string& revision, int status,
                       const std::string& said) {
  const bool modelscope = source == Source::kModelScope;
  const char* variable = modelscope ? "MODELSCOPE_API_TOKEN" : "HF_TOKEN";
  const std::string what = fmt::format("find {}@{} at {}: HTTP {}{}{}", repository.id, printable(revision),
                                       repository.endpoint, status, said.empty() ? "" : ": ", printable(said, 200));
  const bool sent_token = !repository.token.empty();
  if (status == 404) {
    return {ErrorCode::kHubNotFound, what,
            fmt::format("check name and revision; a private model looks missing too: {}",
                        sent_token ? "the token that was sent may not cover it"
                                   : fmt::format("`mhub login`, or give --token or {}", variable)),
            ""};
  }
  const std::string page = repository.page(source);
  const bool gated = said.find("GatedRepo") != std::string::npos || said.find("gated") != std::string::npos;
  if (gated) {
    return {ErrorCode::kHubDenied, what,
            fmt::format("the repository is gated: ask for access or accept its licence at {}{}", page,
                        sent_token ? "" : fmt::format(", then `mhub login`, --token or {}", variable)),
            ""};
  }
  return {ErrorCode::kHubDenied, what,
          sent_token
              ? fmt::format("the token was refused or does not cover this repository; a gated one needs its licence "
                            "accepted first: {}",
                            page)
              : fmt::format("it is missing, private or gated: check the name, ask for access at {}, and `mhub "
                            "login` or give --token or {}",
                            page, variable),
          ""};
}

Error status_error(const HttpHead& head, const std::string& said) {
  const std::string* id = head.header("x-request-id");
  return {ErrorCode::kNetwork,
          fmt::format("read {}: HTTP {}{}{}{}{}", redact_url(head.url), head.status, said.empty() ? "" : ": ",
                      printable(said, 200), id ? ", request id " : "", id ? printable(*id, 80) : ""),
          head.status == 429 ? "the hub limits requests: wait and run the same command again" : "try again later", ""};
}

Error bad_listing(const std::string& url, const std::string& what) {
  return {ErrorCode::kPolicy, fmt::format("read {}: {}", redact_url(url), what),
          "the hub's listing is not safe to use: check the endpoint or report it to the hub", ""};
}

}  // namespace mhub::hub
