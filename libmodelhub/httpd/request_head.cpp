// SPDX-License-Identifier: Apache-2.0
#include "request_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mhub::httpd {
namespace {

constexpr size_t kRequestLineSlack = 64;  // method, version and spaces beside the target

Error bad_request(std::string_view what) {
  return {ErrorCode::kInvalidRequest, fmt::format("HTTP request refused: {}", what), "", ""};
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool is_token_char(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// host or host:port as in RFC 9110 7.2, without user information, path, query or fragment.
bool is_valid_host(std::string_view host) {
  if (host.empty() || host.size() > 255 + 6) return false;
  if (host[0] == '[') {
    const size_t end = host.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    for (const char c : host.substr(1, end - 1)) {
      if (!(std::isxdigit(static_cast<unsigned char>(c)) || c == ':' || c == '.')) return false;
    }
    host.remove_prefix(end + 1);
    if (host.empty()) return true;
    if (host[0] != ':') return false;
  }
  const size_t colon = host.find(':');
  for (const char c : host.substr(0, colon)) {
    if (!(std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_')) return false;
  }
  if (colon == std::string_view::npos) return true;
  const std::string_view port = host.substr(colon + 1);
  return port.size() <= 5 && std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool has_list_member(std::string_view list, std::string_view member) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    if (equals_ignoring_case(trim(list.substr(0, end)), member)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

// Fields that decide how a request is read or who may send it: a second one has no single meaning.
bool must_be_single(std::string_view name) {
  static constexpr std::string_view kSingle[] = {"host",         "content-length", "transfer-encoding", "expect",
                                                 "content-type", "authorization",  "content-encoding",  "x-api-key"};
  return std::any_of(std::begin(kSingle), std::end(kSingle), [&](auto s) { return equals_ignoring_case(s, name); });
}

Result<void> apply_request_line(std::string_view line, RequestHead& head, const HeadLimits& limits) {
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return bad_request("malformed request line");
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (method.empty() || method.size() > 32 || !std::all_of(method.begin(), method.end(), is_token_char)) {
    return bad_request("malformed method");
  }
  if (version == "HTTP/1.0") {
    head.http_1_0 = true;
    head.keep_alive = false;
  } else if (version != "HTTP/1.1") {
    return bad_request("only HTTP/1.1 and HTTP/1.0 are spoken here");
  }
  if (target.size() > limits.max_uri_bytes) {
    return Error{ErrorCode::kUriTooLong, fmt::format("request target is over {} bytes", limits.max_uri_bytes), "", ""};
  }
  head.method = std::string(method);
  MHUB_TRY(head.target, parse_target(target));
  return {};
}

Result<std::pair<std::string_view, std::string_view>> parse_field(std::string_view line) {
  if (line[0] == ' ' || line[0] == '\t') return bad_request("folded header line");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return bad_request("header line without a name");
  const std::string_view name = line.substr(0, colon);
  if (!std::all_of(name.begin(), name.end(), is_token_char)) return bad_request("malformed header name");
  const std::string_view value = trim(line.substr(colon + 1));
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7F) return bad_request("control character in a header value");
  }
  return std::pair{name, value};
}

Result<void> apply_field(std::string_view name, std::string_view value, RequestHead& head) {
  const auto is = [&](std::string_view other) { return equals_ignoring_case(name, other); };
  if (is("host")) {
    if (!is_valid_host(value)) return bad_request("malformed Host");
  } else if (is("content-length")) {
    const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), head.content_length);
    if (value.empty() || value[0] < '0' || value[0] > '9' || ec != std::errc() || end != value.data() + value.size()) {
      return bad_request("malformed Content-Length");
    }
    if (head.framing == BodyFraming::kChunked) return bad_request("Content-Length with Transfer-Encoding");
    head.framing = BodyFraming::kLength;
  } else if (is("transfer-encoding")) {
    if (value != "chunked" || head.http_1_0) return bad_request("Transfer-Encoding other than exactly 'chunked'");
    if (head.framing == BodyFraming::kLength) return bad_request("Content-Length with Transfer-Encoding");
    head.framing = BodyFraming::kChunked;
  } else if (is("content-encoding")) {
    if (!value.empty() && !equals_ignoring_case(value, "identity")) {
      return Error{ErrorCode::kUnsupportedMediaType, "compressed request bodies are not accepted",
                   "send the body without Content-Encoding", ""};
    }
  } else if (is("connection")) {
    if (has_list_member(value, "close")) head.keep_alive = false;
    if (head.http_1_0 && has_list_member(value, "keep-alive")) head.keep_alive = true;
  } else if (is("expect")) {
    if (!equals_ignoring_case(value, "100-continue")) return bad_request("unknown expectation");
    head.expect_continue = !head.http_1_0;
  }
  return {};
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

Result<std::optional<size_t>> HeadScanner::scan(std::string_view buffer) {
  if (!buffer.empty() && (buffer[0] < 'A' || buffer[0] > 'Z')) return bad_request("this is not HTTP/1.1");
  for (; scanned_ < buffer.size(); ++scanned_) {
    const char c = buffer[scanned_];
    if (c == '\0') return bad_request("NUL in the header");
    const bool after_cr = scanned_ > 0 && buffer[scanned_ - 1] == '\r';
    if (after_cr != (c == '\n')) return bad_request("a line must end with CR LF");
    if (c == '\n') {
      if (request_line_end_ == 0) request_line_end_ = scanned_ + 1;
      if (scanned_ - line_begin_ == 1) return std::optional<size_t>(scanned_ + 1);  // the empty line
      line_begin_ = scanned_ + 1;
    }
    if (request_line_end_ == 0 && scanned_ >= limits_.max_uri_bytes + kRequestLineSlack) {
      return Error{ErrorCode::kUriTooLong, fmt::format("request target is over {} bytes", limits_.max_uri_bytes), "",
                   ""};
    }
    if (request_line_end_ != 0 && scanned_ - request_line_end_ >= limits_.max_header_bytes &&
        scanned_ >= request_line_end_) {
      return Error{ErrorCode::kHeaderTooLarge, fmt::format("header is over {} bytes", limits_.max_header_bytes), "",
                   ""};
    }
  }
  return std::optional<size_t>();
}

Result<RequestHead> parse_request_head(std::string_view text, const HeadLimits& limits) {
  RequestHead head;
  size_t end = text.find("\r\n");
  if (end == std::string_view::npos) return bad_request("malformed request line");
  MHUB_CHECK_OK(apply_request_line(text.substr(0, end), head, limits));
  for (size_t begin = end + 2; begin < text.size(); begin = end + 2) {
    end = text.find("\r\n", begin);
    if (end == std::string_view::npos) return bad_request("unfinished header line");
    if (end == begin) break;
    MHUB_TRY(const auto field, parse_field(text.substr(begin, end - begin)));
    const auto& [name, value] = field;
    if (head.headers.size() >= limits.max_headers) {
      return Error{ErrorCode::kHeaderTooLarge, fmt::format("more than {} header fields", limits.max_headers), "", ""};
    }
    if (must_be_single(name) && std::any_of(head.headers.begin(), head.headers.end(),
                                            [&](const auto& h) { return equals_ignoring_case(h.first, name); })) {
      return bad_request(fmt::format("two {} fields", printable(name, 32)));
    }
    MHUB_CHECK_OK(apply_field(name, value, head));
    head.headers.emplace_back(name, value);
  }
  const bool has_host = std::any_of(head.headers.begin(), head.headers.end(),
                                    [](const auto& h) { return equals_ignoring_case(h.first, "host"); });
  if (!has_host && !head.http_1_0) return bad_request("no Host");
  return head;
}

}  // namespace mhub::httpd
