// SPDX-License-Identifier: Apache-2.0
#include "mhub/text/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace mhub::text {
namespace {

// Longest end of `text` that begins `stop` without being all of it.
size_t partial_match(std::string_view text, std::string_view stop) {
  for (size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n) {
    if (text.ends_with(stop.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stop, bool include_stop_in_output)
    : stop_(std::move(stop)), include_(include_stop_in_output) {
  std::erase_if(stop_, [](const std::string& s) { return s.empty(); });
}

StopMatcher::Output StopMatcher::push(std::string_view piece) {
  held_.append(piece);
  for (const std::string& stop : stop_) {
    const size_t found = held_.find(stop);
    if (found == std::string::npos) continue;
    Output out{held_.substr(0, found + (include_ ? stop.size() : 0)), stop};
    held_.clear();
    return out;
  }
  size_t hold = 0;
  for (const std::string& stop : stop_) hold = std::max(hold, partial_match(held_, stop));
  Output out{held_.substr(0, held_.size() - hold), std::nullopt};
  held_.erase(0, held_.size() - hold);
  return out;
}

std::string StopMatcher::flush() {
  return std::exchange(held_, {});
}

}  // namespace mhub::text
