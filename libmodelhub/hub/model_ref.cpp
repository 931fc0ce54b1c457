// SPDX-License-Identifier: Apache-2.0
#include "mhub/hub/model_ref.h"

#include <fmt/format.h>

#include <algorithm>

#include "mhub/base/error.h"

namespace mhub::hub {
namespace {

constexpr size_t kMaxSegmentBytes = 96;
constexpr size_t kMaxRevisionBytes = 255;

Error usage(std::string_view text, const std::string& why) {
  return {ErrorCode::kUsage, fmt::format("read model '{}': {}", printable(text), why),
          "write [ms:|hf:]org/name[@revision] or http(s)://host[:port]/org/name[@revision]", ""};
}

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

Result<void> check_segment(std::string_view whole, std::string_view segment) {
  if (segment.empty()) return usage(whole, "empty organisation or name");
  if (segment.size() > kMaxSegmentBytes) return usage(whole, fmt::format("a part is over {} bytes", kMaxSegmentBytes));
  const auto allowed = [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; };
  const auto bad = std::find_if_not(segment.begin(), segment.end(), allowed);
  if (bad != segment.end()) {
    return usage(whole, fmt::format("'{}' is not allowed in a name", printable(std::string_view(&*bad, 1))));
  }
  if (segment.front() == '.' || segment.front() == '-' || segment.back() == '.') {
    return usage(whole, "a part starts with '.' or '-' or ends with '.'");
  }
  if (segment.find("..") != std::string_view::npos) return usage(whole, "'..' is not allowed in a name");
  return {};
}

// Branches, tags, commits, "refs/pr/1".
Result<void> check_revision(std::string_view whole, std::string_view revision) {
  if (revision.empty()) return usage(whole, "empty revision after '@'");
  if (revision.size() > kMaxRevisionBytes)
    return usage(whole, fmt::format("the revision is over {} bytes", kMaxRevisionBytes));
  const auto allowed = [](char c) {
    return is_alnum(c) || c == '-' || c == '_' || c == '.' || c == '/' || c == '+' || c == '=';
  };
  if (!std::all_of(revision.begin(), revision.end(), allowed))
    return usage(whole, "the revision has a character that is not allowed");
  if (revision.front() == '-' || revision.front() == '/' || revision.back() == '/' ||
      revision.find("..") != std::string_view::npos || revision.find("//") != std::string_view::npos) {
    return usage(whole, "the revision is malformed");
  }
  return {};
}

// "host", "host:port", "[v6]:port": nothing that two URL parsers could read differently (no user, no backslash).
Result<void> check_authority(std::string_view whole, std::string_view authority) {
  std::string_view host = authority, port;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return usage(whole, "the address lacks ']'");
    host = authority.substr(1, end - 1);
    const auto allowed = [](char c) { return is_alnum(c) || c == ':' || c == '.'; };
    if (host.empty() || !std::all_of(host.begin(), host.end(), allowed)) return usage(whole, "malformed address");
    const std::string_view rest = authority.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return usage(whole, "malformed address");
    if (!rest.empty()) port = rest.substr(1);
    if (!rest.empty() && port.empty()) return usage(whole, "empty port");
  } else {
    if (const size_t colon = authority.find(':'); colon != std::string_view::npos) {
      host = authority.substr(0, colon);
      port = authority.substr(colon + 1);
      if (port.empty()) return usage(whole, "empty port");
    }
    const auto allowed = [](char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_'; };
    if (host.empty() || !std::all_of(host.begin(), host.end(), allowed)) return usage(whole, "malformed host");
  }
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (port.empty()) return {};
  if (port.size() > 5 || !std::all_of(port.begin(), port.end(), digit)) return usage(whole, "malformed port");
  const int number = std::stoi(std::string(port));
  if (number < 1 || number > 65535) return usage(whole, "the port is out of 1..65535");
  return {};
}

}  // namespace

std::string_view source_name(Source source) {
  return source == Source::kModelScope ? "modelscope" : "huggingface";
}

Result<Source> parse_source(std::string_view text) {
  if (text == "modelscope" || text == "ms") return Source::kModelScope;
  if (text == "huggingface" || text == "hf") return Source::kHuggingFace;
  return Error{ErrorCode::kUsage, fmt::format("read source '{}': unknown", printable(text)),
               "write modelscope (ms) or huggingface (hf)", ""};
}

Result<ModelRef> ModelRef::parse(std::string_view text) {
  ModelRef ref;
  std::string_view rest = text;
  if (rest.empty()) return usage(text, "empty");
  if (rest.starts_with("http://") || rest.starts_with("https://")) {
    const size_t host_begin = rest.find("://") + 3;
    const size_t slash = rest.find('/', host_begin);
    if (slash == std::string_view::npos) return usage(text, "the URL names no model");
    MHUB_CHECK_OK(check_authority(text, rest.substr(host_begin, slash - host_begin)));
    ref.endpoint = std::string(rest.substr(0, slash));
    rest = rest.substr(slash + 1);
    while (rest.ends_with('/')) rest.remove_suffix(1);
  } else if (rest.starts_with("ms:") || rest.starts_with("hf:")) {
    ref.source = rest.starts_with("ms:") ? Source::kModelScope : Source::kHuggingFace;
    rest = rest.substr(3);
  }
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    MHUB_CHECK_OK(check_revision(text, rest.substr(at + 1)));
    ref.revision = std::string(rest.substr(at + 1));
    rest = rest.substr(0, at);
  }
  // Addresses copied from a browser: https://modelscope.cn/models/org/name.
  if (ref.endpoint && rest.starts_with("models/") && std::count(rest.begin(), rest.end(), '/') == 2) {
    rest = rest.substr(7);
  }
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos && rest.find('/', slash + 1) != std::string_view::npos) {
    return usage(text, "more than one '/' in the name");
  }
  MHUB_CHECK_OK(check_segment(text, rest.substr(0, slash)));
  if (slash != std::string_view::npos) MHUB_CHECK_OK(check_segment(text, rest.substr(slash + 1)));
  ref.repo_id = std::string(rest);
  return ref;
}

}  // namespace mhub::hub
