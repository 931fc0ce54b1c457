// SPDX-License-Identifier: Apache-2.0
#include "router.h"

#include <optional>

namespace mhub::httpd {
namespace {

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> out;
  if (!path.empty() && path.front() == '/') path.remove_prefix(1);
  if (!path.empty() && path.back() == '/') path.remove_suffix(1);
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    out.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return out;
}

bool is_capture(const std::string& pattern) {
  return pattern.size() > 2 && pattern.front() == '{' && pattern.back() == '}';
}

std::optional<std::map<std::string, std::string>> match(const std::vector<std::string>& pattern,
                                                        const std::vector<std::string>& path) {
  std::map<std::string, std::string> params;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (i >= path.size()) return std::nullopt;
    if (!is_capture(pattern[i])) {
      if (pattern[i] != path[i]) return std::nullopt;
      continue;
    }
    std::string name = pattern[i].substr(1, pattern[i].size() - 2);
    if (name.size() > 3 && name.ends_with("...")) {
      std::string rest = path[i];
      for (size_t j = i + 1; j < path.size(); ++j) rest += "/" + path[j];
      params[name.substr(0, name.size() - 3)] = std::move(rest);
      return params;
    }
    params[std::move(name)] = path[i];
  }
  if (pattern.size() != path.size()) return std::nullopt;
  return params;
}

}  // namespace

Router::Router(std::vector<Route> routes) {
  for (auto& route : routes) {
    auto segments = split(route.pattern);
    entries_.push_back({std::move(route), std::move(segments)});
  }
}

Router::Match Router::find(std::string_view method, std::string_view path) const {
  const auto segments = split(path);
  Match out;
  for (const auto& entry : entries_) {
    auto params = match(entry.segments, segments);
    if (!params) continue;
    if (entry.route.method == method || (method == "HEAD" && entry.route.method == "GET")) {
      return {&entry.route, std::move(*params), {}};
    }
    if (entry.route.method == "OPTIONS") continue;  // a catch-all for preflights does not make a path known
    if (out.allow.find(entry.route.method) == std::string::npos) {
      out.allow += (out.allow.empty() ? "" : ", ") + entry.route.method;
    }
  }
  return out;
}

}  // namespace mhub::httpd
