// SPDX-License-Identifier: Apache-2.0
#include "uri.h"

#include <fmt/format.h>

namespace mhub::httpd {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Length of the well-formed UTF-8 sequence at `text[at]`, 0 when it is ill-formed.
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  size_t length = 0;
  unsigned low = 0x80, high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  if (text.size() - at < length) return 0;
  if (byte(at + 1) < low || byte(at + 1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

Error bad_target(std::string_view what) {
  return {ErrorCode::kInvalidRequest, fmt::format("request target refused: {}", what), "send the canonical path", ""};
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) return std::nullopt;
    out += c;
  }
  return out;
}

Result<RequestTarget> parse_target(std::string_view target) {
  if (target.empty() || target[0] != '/') return bad_target("it does not begin with '/'");
  for (const char c : target) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7F || c == '#' || c == '\\') return bad_target("a byte that must be percent-encoded");
  }
  RequestTarget out;
  const size_t question = target.find('?');
  out.raw_path = std::string(target.substr(0, question));
  auto path = percent_decode(out.raw_path, false);
  if (!path || path->find('\\') != std::string::npos || !is_utf8(*path))
    return bad_target("a forbidden percent escape");
  out.path = std::move(*path);
  for (size_t begin = 1; begin < out.path.size();) {
    const size_t end = std::min(out.path.find('/', begin), out.path.size());
    const std::string_view segment = std::string_view(out.path).substr(begin, end - begin);
    if (segment.empty() || segment == "." || segment == "..") return bad_target("an empty or dot segment");
    begin = end + 1;
  }
  if (question == std::string_view::npos) return out;

  std::string_view rest = target.substr(question + 1);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    auto key = percent_decode(pair.substr(0, equals), true);
    auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!key || !value) return bad_target("a forbidden percent escape in the query");
    out.query.emplace_back(std::move(*key), std::move(*value));
  }
  return out;
}

}  // namespace mhub::httpd
