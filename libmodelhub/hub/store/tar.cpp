// SPDX-License-Identifier: Apache-2.0
#include "store/tar.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "mhub/base/check.h"

namespace mhub::hub {
namespace {

// POSIX.1-1988 ustar: offset and length of the fields used here.
constexpr size_t kNameLength = 100, kSize = 124, kSizeLength = 12, kChecksum = 148, kChecksumLength = 8, kType = 156,
                 kMagic = 257, kPrefix = 345;
constexpr uint64_t kLargestOctal = (uint64_t{1} << 33) - 1;

void put(TarBlock& block, size_t at, std::string_view text) {
  std::copy(text.begin(), text.end(), block.begin() + static_cast<std::ptrdiff_t>(at));
}

unsigned checksum(const TarBlock& block) {
  unsigned sum = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const bool own = i >= kChecksum && i < kChecksum + kChecksumLength;
    sum += own ? ' ' : static_cast<unsigned char>(block[i]);
  }
  return sum;
}

std::optional<uint64_t> parse_octal(std::string_view field) {
  uint64_t value = 0;
  size_t digits = 0;
  for (const char c : field) {
    if (c == '\0' || c == ' ') {
      if (digits > 0) break;
      continue;
    }
    if (c < '0' || c > '7' || value > (UINT64_MAX >> 3)) return std::nullopt;
    value = value * 8 + static_cast<uint64_t>(c - '0');
    ++digits;
  }
  return digits > 0 ? std::optional(value) : std::nullopt;
}

std::optional<uint64_t> parse_size(const TarBlock& block) {
  const std::string_view field(block.data() + kSize, kSizeLength);
  if (static_cast<unsigned char>(field[0]) != 0x80) return parse_octal(field);
  uint64_t value = 0;
  for (const char c : field.substr(1, 3)) {
    if (c != '\0') return std::nullopt;  // beyond 64 bits
  }
  for (const char c : field.substr(4)) value = value << 8 | static_cast<unsigned char>(c);
  return value <= INT64_MAX ? std::optional(value) : std::nullopt;
}

}  // namespace

TarBlock tar_header(const TarEntry& entry) {
  MHUB_CHECK(entry.name.size() < kNameLength);
  TarBlock block{};
  put(block, 0, entry.name);
  put(block, 100, "0000644");
  put(block, 108, "0000000");
  put(block, 116, "0000000");
  if (entry.bytes <= kLargestOctal) {
    put(block, kSize, fmt::format("{:011o}", entry.bytes));
  } else {
    block[kSize] = static_cast<char>(0x80);
    for (size_t i = 0; i < 8; ++i) block[kSize + 11 - i] = static_cast<char>(entry.bytes >> (8 * i) & 0xFF);
  }
  put(block, 136, "00000000000");
  block[kType] = '0';
  put(block, kMagic, std::string_view("ustar\00000", 8));
  put(block, kChecksum, fmt::format("{:06o}", checksum(block)));
  block[kChecksum + 7] = ' ';
  return block;
}

Result<std::optional<TarEntry>> parse_tar_header(const TarBlock& block) {
  const auto bad = [](const std::string& why) {
    return Error{ErrorCode::kIntegrity, fmt::format("read a tar header: {}", why),
                 "the file is damaged or no bundle of mhub: copy it again", ""};
  };
  if (std::all_of(block.begin(), block.end(), [](char c) { return c == '\0'; })) return std::optional<TarEntry>();
  const auto sum = parse_octal(std::string_view(block.data() + kChecksum, kChecksumLength));
  if (!sum || *sum != checksum(block)) return bad("its checksum is wrong");
  if (std::string_view(block.data() + kMagic, 5) != "ustar" || block[kPrefix] != '\0') return bad("not of this kind");
  if (block[kType] != '0' && block[kType] != '\0') return bad("not a regular file");
  TarEntry entry;
  entry.name.assign(block.data(), strnlen(block.data(), kNameLength));
  const auto bytes = parse_size(block);
  if (!bytes || entry.name.empty()) return bad("no size or name");
  entry.bytes = *bytes;
  return std::optional(entry);
}

}  // namespace mhub::hub
