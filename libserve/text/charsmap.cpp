// SPDX-License-Identifier: Apache-2.0
#include "charsmap.h"

#include <fmt/format.h>

namespace mhub::text {
namespace {

constexpr size_t kMaxBlobBytes = 16u << 20;

uint32_t little_endian(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 4; i > 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  return value;
}

// Units of a Darts-clone double array.
bool has_leaf(uint32_t unit) {
  return (unit >> 8 & 1) != 0;
}
uint32_t value_of(uint32_t unit) {
  return unit & 0x7FFFFFFF;
}
uint32_t label_of(uint32_t unit) {
  return unit & (1u << 31 | 0xFF);
}
uint32_t offset_of(uint32_t unit) {
  return unit >> 10 << ((unit & 1u << 9) >> 6);
}

}  // namespace

Result<std::shared_ptr<const Charsmap>> Charsmap::parse(std::string_view blob) {
  const auto bad = [](std::string what) {
    return Error{ErrorCode::kBadModel, "reading the tokenizer: its character map " + std::move(what),
                 "the tokenizer file is damaged; download it again", ""};
  };
  if (blob.size() < 4 || blob.size() > kMaxBlobBytes) return bad(fmt::format("has {} bytes", blob.size()));
  const size_t array_bytes = little_endian(blob);
  if (array_bytes % 4 != 0 || array_bytes == 0 || array_bytes > blob.size() - 4) {
    return bad(fmt::format("says {} bytes of rules in {} bytes", array_bytes, blob.size()));
  }
  auto map = std::make_shared<Charsmap>();
  map->units_.reserve(array_bytes / 4);
  for (size_t i = 0; i < array_bytes; i += 4) map->units_.push_back(little_endian(blob.substr(4 + i, 4)));
  map->pool_ = blob.substr(4 + array_bytes);
  return std::shared_ptr<const Charsmap>(std::move(map));
}

std::optional<Charsmap::Match> Charsmap::find(std::string_view text, bool longest) const {
  std::optional<Match> found;
  uint32_t node = offset_of(units_[0]);
  for (size_t i = 0; i < text.size() && text[i] != '\0'; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (node >= units_.size()) break;
    if (!has_leaf(unit)) continue;
    const size_t begin = value_of(units_[node]);
    if (begin > pool_.size()) break;
    const size_t end = std::min(pool_.find('\0', begin), pool_.size());
    found = Match{i + 1, std::string_view(pool_).substr(begin, end - begin)};
    if (!longest) break;
  }
  return found;
}

}  // namespace mhub::text
