// SPDX-License-Identifier: Apache-2.0
#include "net/curl_exchange.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace mhub::hub {
namespace {

constexpr size_t kMaxRedirects = 10;
constexpr size_t kMaxHeaderBytes = 64u << 10;
constexpr size_t kMaxRedirectBody = 64u << 10;
constexpr long kReceiveBuffer = 256l << 10;
constexpr double kSlowestBytesPerSecond = 1024;

std::string address_text(const curl_sockaddr& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* raw = address.family == AF_INET6
                        ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(&address.addr)->sin6_addr)
                        : &reinterpret_cast<const sockaddr_in*>(&address.addr)->sin_addr;
  return inet_ntop(address.family, raw, text.data(), text.size()) ? text.data() : "";
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && std::string_view(" \t\r\n").find(text.back()) != std::string_view::npos) {
    text.remove_suffix(1);
  }
  return text;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

CurlExchange::CurlExchange(HttpRequest request, HttpSink& sink, const CurlConfig& config, EndpointAddresses& addresses,
                           RateLimit& rate_limit)
    : request_(std::move(request)),
      sink_(&sink),
      config_(config),
      addresses_(addresses),
      rate_limit_(rate_limit),
      url_(request_.url) {}

void CurlExchange::fail(Error error, bool retryable) {
  if (!failure_) failure_ = HttpFailure{std::move(error), retryable};
}

CURL* CurlExchange::begin_hop() {
  const auto parts = parse_url(url_);
  if (!parts) {
    fail(parts.error(), false);
    return nullptr;
  }
  origin_ = parts->origin();
  proxy_ = proxy_for(*parts, config_.proxy);
  visited_.insert(url_);
  head_ = {};
  head_.url = url_;
  header_bytes_ = received_ = received_at_mark_ = 0;
  redirecting_ = paused_ = false;
  mark_ = Clock::now();
  if (!address_allowed(parts->host)) return nullptr;

  easy_.reset(curl_library().easy_init());
  curl_slist* list = curl_library().slist_append(nullptr, "Accept-Encoding: identity");
  const auto append = [&](const auto& headers) {
    for (const auto& [name, value] : headers) list = curl_library().slist_append(list, (name + ": " + value).c_str());
  };
  append(request_.headers);
  if (origin_ == request_.credentials.origin) append(request_.credentials.headers);
  header_list_.reset(list);
  CURL* const easy = easy_.get();
  const auto set = [easy](CURLoption option, auto value) { curl_library().easy_setopt(easy, option, value); };
  set(CURLOPT_URL, url_.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  // Parts of a large file want a connection each; all else shares one where the server offers HTTP/2.
  const bool may_share = parts->scheme == "https" && !request_.range;
  set(CURLOPT_HTTP_VERSION, static_cast<long>(may_share ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PIPEWAIT, may_share ? 1L : 0L);
  set(CURLOPT_HTTPHEADER, header_list_.get());
  set(CURLOPT_USERAGENT, "mhub/" MHUB_VERSION);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(config_.connect_timeout_seconds * 1000) + 1);
  set(CURLOPT_BUFFERSIZE, kReceiveBuffer);
  set(CURLOPT_ERRORBUFFER, curl_message_.data());
  set(CURLOPT_HEADERFUNCTION, &CurlExchange::on_header);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &CurlExchange::on_body);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_OPENSOCKETFUNCTION, &CurlExchange::open_socket);
  set(CURLOPT_OPENSOCKETDATA, this);
  set(CURLOPT_PREREQFUNCTION, &CurlExchange::before_request);
  set(CURLOPT_PREREQDATA, this);
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_PROXY, proxy_.c_str());  // "" = none, whatever the environment says
  set(CURLOPT_NOPROXY, "");
  if (!config_.ca_file.empty()) set(CURLOPT_CAINFO, config_.ca_file.c_str());
  if (!config_.ca_directory.empty()) set(CURLOPT_CAPATH, config_.ca_directory.c_str());
  if (request_.range) {
    set(CURLOPT_RANGE, fmt::format("{}-{}", request_.range->first, request_.range->last).c_str());
  }
  return easy;
}

bool CurlExchange::end_hop(CURLcode code) {
  if (failure_ || ended_by_sink_ || cancelled_) return false;
  if (redirecting_) {
    if (auto refused = follow_redirect()) {
      failure_ = std::move(refused);
      return false;
    }
    return true;
  }
  if (code != CURLE_OK) failure_ = curl_failure(code);
  if (code == CURLE_OK && !head_delivered_) {
    fail({ErrorCode::kNetwork, fmt::format("read {}: the answer has no HTTP header", redact_url(url_)), "", ""}, true);
  }
  return false;
}

std::optional<HttpFailure> CurlExchange::follow_redirect() {
  const std::string shown = redact_url(request_.url);
  const auto refuse = [&](ErrorCode code, const std::string& what, const std::string& hint) {
    return HttpFailure{{code, fmt::format("read {}: {}", shown, what), hint, ""}, false};
  };
  const auto target = resolve_location(url_, *head_.header("location"));
  if (!target) return HttpFailure{target.error(), false};
  if (visited_.contains(*target) || visited_.size() > kMaxRedirects) {
    return refuse(ErrorCode::kNetwork, fmt::format("redirected in a loop or over {} times", kMaxRedirects),
                  "check the endpoint");
  }
  if (url_.starts_with("https:") && !target->starts_with("https:")) {
    return refuse(ErrorCode::kPolicy, fmt::format("redirected from https to {}", redact_url(*target)),
                  "plain http is refused after https: check the endpoint");
  }
  url_ = *target;
  return std::nullopt;
}

bool CurlExchange::address_allowed(const std::string& address) {
  const AddressKind kind = classify_address(address);
  if (kind == AddressKind::kPublic) return true;
  const auto known = addresses_.find(request_.endpoint);
  const bool private_endpoint = known != addresses_.end() && known->second == AddressKind::kPrivate;
  if (kind == AddressKind::kPrivate && (at_endpoint() || private_endpoint)) return true;
  fail(
      {ErrorCode::kPolicy,
       fmt::format("read {}: led to {} on the private address {}", redact_url(request_.url), redact_url(url_), address),
       "only an endpoint that is itself on a private network may lead to one: check the endpoint", ""},
      false);
  return false;
}

curl_socket_t CurlExchange::open_socket(void* self, curlsocktype, curl_sockaddr* address) {
  auto* exchange = static_cast<CurlExchange*>(self);
  const bool to_proxy = !exchange->proxy_.empty();  // the user's own choice
  if (!to_proxy && !exchange->address_allowed(address_text(*address))) return CURL_SOCKET_BAD;
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int CurlExchange::before_request(void* self, char* address, char*, int, int) {
  auto* exchange = static_cast<CurlExchange*>(self);
  if (!exchange->proxy_.empty()) return CURL_PREREQFUNC_OK;
  if (!exchange->address_allowed(address)) return CURL_PREREQFUNC_ABORT;
  if (exchange->at_endpoint()) exchange->addresses_[exchange->origin_] = classify_address(address);
  return CURL_PREREQFUNC_OK;
}

size_t CurlExchange::on_header(char* data, size_t size, size_t count, void* self) {
  auto* exchange = static_cast<CurlExchange*>(self);
  return exchange->take_header({data, size * count}) ? size * count : 0;
}

bool CurlExchange::take_header(std::string_view line) {
  if (cancelled_) return false;
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes) {
    fail({ErrorCode::kNetwork, fmt::format("read {}: the header is over {} bytes", redact_url(url_), kMaxHeaderBytes),
          "check the endpoint", ""},
         false);
    return false;
  }
  if (line.starts_with("HTTP/")) {
    head_.headers.clear();
    return true;
  }
  const std::string_view text = trim(line);
  if (text.empty()) return end_of_headers();
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return true;
  std::string name(text.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  head_.headers.emplace_back(std::move(name), std::string(trim(text.substr(colon + 1))));
  return true;
}

bool CurlExchange::end_of_headers() {
  if (head_delivered_) return true;  // trailers
  long status = 0;
  curl_library().easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  head_.status = static_cast<int>(status);
  if (status < 200) return true;
  if (status == 407 && !proxy_.empty()) {
    fail(proxy_wants_login(), false);
    return false;
  }
  if (is_redirect(head_.status) && head_.header("location")) {
    redirecting_ = true;
    return true;
  }
  if (const std::string* coding = head_.header("content-encoding"); coding && *coding != "identity") {
    fail({ErrorCode::kNetwork,
          fmt::format("read {}: the answer is encoded as '{}', which was not asked for", redact_url(url_),
                      printable(*coding, 40)),
          "a proxy or server rewrites the bytes: check the endpoint", ""},
         true);
    return false;
  }
  head_delivered_ = true;
  ended_by_sink_ = !sink_->on_head(head_);
  return !ended_by_sink_;
}

size_t CurlExchange::on_body(char* data, size_t size, size_t count, void* self) {
  auto* exchange = static_cast<CurlExchange*>(self);
  const size_t bytes = size * count;
  if (exchange->cancelled_) return 0;
  if (!exchange->rate_limit_.may_read(Clock::now())) {
    exchange->paused_ = true;
    return CURL_WRITEFUNC_PAUSE;  // the same bytes come again
  }
  exchange->rate_limit_.took(bytes);
  exchange->received_ += bytes;
  if (exchange->redirecting_) return exchange->received_ > kMaxRedirectBody ? 0 : bytes;
  if (!exchange->sink_->on_body(std::as_bytes(std::span(data, bytes)))) {
    exchange->ended_by_sink_ = true;
    return 0;
  }
  return bytes;
}

void CurlExchange::resume(Clock::time_point now) {
  paused_ = false;
  mark_ = now;  // waiting was our own doing
  received_at_mark_ = received_;
  curl_library().easy_pause(easy_.get(), CURLPAUSE_CONT);
}

void CurlExchange::check_stall(Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - mark_).count();
  if (seconds < config_.stall_timeout_seconds || paused_) return;
  if (static_cast<double>(received_ - received_at_mark_) < kSlowestBytesPerSecond * seconds) {
    stalled_ = true;
    fail({ErrorCode::kNetwork,
          fmt::format("read {}: fewer than {} bytes in {:.3g} s", redact_url(url_), kSlowestBytesPerSecond * seconds,
                      seconds),
          "check the network, or raise --stall-timeout", ""},
         true);
    return;
  }
  mark_ = now;
  received_at_mark_ = received_;
}

Error CurlExchange::proxy_wants_login() const {
  return {ErrorCode::kNetwork, fmt::format("read {}: the proxy {} answers 407", redact_url(url_), redact_url(proxy_)),
          "it wants a user and password: write http://user:password@host:port into HTTPS_PROXY and HTTP_PROXY", ""};
}

HttpFailure CurlExchange::curl_failure(CURLcode code) const {
  const char* detail = curl_message_[0] != '\0' ? curl_message_.data() : curl_library().easy_strerror(code);
  const std::string message = fmt::format("read {}: {}", redact_url(url_), printable(detail, 300));
  const std::string hint = proxy_.empty()
                               ? "check the network and the endpoint"
                               : fmt::format("check the network, the endpoint and the proxy {}", redact_url(proxy_));
  long verify_result = 0;  // of OpenSSL; some refusals reach us as a failed handshake only
  curl_library().easy_getinfo(easy_.get(), CURLINFO_SSL_VERIFYRESULT, &verify_result);
  if (code == CURLE_SSL_CONNECT_ERROR && verify_result != 0) code = CURLE_PEER_FAILED_VERIFICATION;
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CACERT_BADFILE:
      return {{ErrorCode::kNetwork, message,
               fmt::format("the certificate was checked with {}; name another with SSL_CERT_FILE (and see whether the "
                           "system clock is right)",
                           config_.ca_file.empty() ? "the system's certificates" : config_.ca_file),
               ""},
              false};
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {{ErrorCode::kNetwork, message, "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY", ""}, true};
    case CURLE_RECV_ERROR: {
      long connect_status = 0;
      curl_library().easy_getinfo(easy_.get(), CURLINFO_HTTP_CONNECTCODE, &connect_status);
      if (connect_status == 407) return {proxy_wants_login(), false};
      break;
    }
    default:
      break;
  }
  return {{ErrorCode::kNetwork, message, hint, ""}, true};
}

}  // namespace mhub::hub
