// SPDX-License-Identifier: Apache-2.0
#include "unknown_argument.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "mhub/base/bytes.h"

namespace mhub::apps {
namespace {

// Levenshtein's.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({replaced, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row.back();
}

std::string meant(const std::string& name, const std::string& what) {
  return name.empty() ? what : fmt::format("did you mean {}? {}", name, what);
}

}  // namespace

std::string nearest_name(std::string_view typed, const std::vector<std::string>& candidates) {
  std::string best;
  size_t distance = std::max<size_t>(1, typed.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const size_t d = edit_distance(typed, candidate);
    if (d < distance) {
      distance = d;
      best = candidate;
    }
  }
  return best;
}

std::optional<Error> unknown_argument(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  if (parsed.empty()) {
    const auto left = app.remaining();
    if (left.empty()) return std::nullopt;
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands({})) {
      if (!command->get_group().empty()) names.push_back(command->get_name());
    }
    const bool option = left.front().starts_with("-");
    return Error{
        ErrorCode::kUsage,
        fmt::format("command line: there is no {} {}", option ? "option" : "command", printable(left.front(), 64)),
        meant(option ? "" : nearest_name(left.front(), names), "`mhub --help` lists the commands"), ""};
  }
  const CLI::App* command = parsed.front();
  const auto left = command->remaining();
  if (left.empty()) return std::nullopt;
  const std::string help = fmt::format("see `mhub {} --help`", command->get_name());
  if (!left.front().starts_with("-")) {
    return Error{
        ErrorCode::kUsage,
        fmt::format("command line: {} takes no argument {} here", command->get_name(), printable(left.front(), 64)),
        help, ""};
  }
  const std::string name = left.front().substr(0, left.front().find('='));
  std::vector<std::string> names;
  for (const CLI::Option* option : command->get_options()) {
    for (const auto& long_name : option->get_lnames()) names.push_back("--" + long_name);
  }
  return Error{ErrorCode::kUsage,
               fmt::format("command line: {} has no option {}", command->get_name(), printable(name, 64)),
               meant(nearest_name(name, names), help), ""};
}

}  // namespace mhub::apps
