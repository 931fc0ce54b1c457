// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/httpd/server.h"

namespace mhub::httpd {

// Finds the route of a canonical path: segment by segment, no regular expression. One trailing slash is ignored, HEAD
// is answered by GET routes. The first route of the table that fits wins.
class Router {
 public:
  explicit Router(std::vector<Route> routes);
  struct Match {
    const Route* route = nullptr;
    std::map<std::string, std::string> params;
    std::string allow;  // without a route: methods that the path has ("" = unknown path)
  };
  Match find(std::string_view method, std::string_view path) const;

 private:
  struct Entry {
    Route route;
    std::vector<std::string> segments;
  };
  std::vector<Entry> entries_;
};

}  // namespace mhub::httpd
