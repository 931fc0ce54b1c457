// SPDX-License-Identifier: Apache-2.0
#include "transfer/name_filter.h"

#include <algorithm>
#include <optional>

namespace mhub::hub {
namespace {

// Whether `c` is in the class that starts at pattern[at] == '['; moves `at` behind it. nullopt: no closing bracket,
// the '[' is an ordinary character.
std::optional<bool> in_class(std::string_view pattern, size_t& at, char c) {
  size_t i = at + 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  bool found = false;
  for (bool first = true; i < pattern.size(); first = false) {
    if (pattern[i] == ']' && !first) {
      at = i + 1;
      return found != negated;
    }
    const char low = pattern[i];
    char high = low;
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      high = pattern[i + 2];
      i += 2;
    }
    found = found || (low <= c && c <= high);
    ++i;
  }
  return std::nullopt;
}

// One character against the pattern's element at `at`; moves `at` behind it.
bool matches_one(std::string_view pattern, size_t& at, char c) {
  if (pattern[at] == '?') {
    ++at;
    return true;
  }
  if (pattern[at] == '[') {
    if (const auto found = in_class(pattern, at, c)) return *found;
  }
  return pattern[at++] == c;
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view path) {
  std::string extended;
  if (pattern.ends_with('/')) {
    extended = std::string(pattern) + "*";
    pattern = extended;
  }
  size_t p = 0, t = 0;
  size_t star = std::string_view::npos, star_text = 0;  // last '*' and what it has swallowed up to
  while (t < path.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_text = t;
      continue;
    }
    size_t next = p;
    if (p < pattern.size() && matches_one(pattern, next, path[t])) {
      p = next;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool NameFilter::wants(std::string_view path) const {
  const auto matches = [&](const std::string& pattern) { return glob_matches(pattern, path); };
  if (!include.empty() && std::none_of(include.begin(), include.end(), matches)) return false;
  return std::none_of(exclude.begin(), exclude.end(), matches);
}

}  // namespace mhub::hub
