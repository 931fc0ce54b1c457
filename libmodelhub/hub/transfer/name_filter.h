// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mhub::hub {

// Shell glob over a whole path: `*` and `?` cross '/', `[a-z]` and `[!a-z]` are classes, "dir/" means "dir/*".
bool glob_matches(std::string_view pattern, std::string_view path);

// Which files of a listing are wanted: any include (none = all), and no exclude.
struct NameFilter {
  std::vector<std::string> include, exclude;
  bool wants(std::string_view path) const;
};

}  // namespace mhub::hub
