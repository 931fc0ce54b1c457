// SPDX-License-Identifier: Apache-2.0
#include "mhub/base/bytes.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>

namespace mhub {

std::string human_bytes(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::optional<uint64_t> parse_bytes(std::string_view text) {
  double number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc() || number < 0 || number != number) return std::nullopt;
  std::string_view suffix(end, text.data() + text.size() - end);
  double scale = 1;
  if (!suffix.empty()) {
    static constexpr std::string_view kLetters = "KMGTP";
    const auto power = kLetters.find(static_cast<char>(std::toupper(static_cast<unsigned char>(suffix[0]))));
    if (power == std::string_view::npos) {
      if (suffix != "B") return std::nullopt;
    } else {
      suffix.remove_prefix(1);
      const bool binary = !suffix.empty() && (suffix[0] == 'i' || suffix[0] == 'I');
      if (binary) suffix.remove_prefix(1);
      if (!suffix.empty() && suffix != "B" && suffix != "b") return std::nullopt;
      for (size_t i = 0; i <= power; ++i) scale *= binary ? 1024 : 1000;
    }
  }
  const double bytes = number * scale;
  if (bytes >= 9.2e18) return std::nullopt;
  return static_cast<uint64_t>(bytes);
}

}  // namespace mhub
