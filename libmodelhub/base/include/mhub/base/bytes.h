// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mhub {

static_assert(std::endian::native == std::endian::little, "file formats are read in place as little-endian");

// Checked arithmetic for sizes that come from a file or a request; nullopt on overflow.
inline std::optional<uint64_t> checked_mul(uint64_t a, uint64_t b) {
  uint64_t r;
  return __builtin_mul_overflow(a, b, &r) ? std::nullopt : std::optional(r);
}
inline std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t r;
  return __builtin_add_overflow(a, b, &r) ? std::nullopt : std::optional(r);
}

template <typename T>
T load_le(const void* p) {
  T v;
  std::memcpy(&v, p, sizeof(T));
  return v;
}
template <typename T>
void store_le(void* p, T v) {
  std::memcpy(p, &v, sizeof(T));
}

// Bounded forward reader over foreign bytes. Every read fails (nullopt) instead of passing the end.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return bytes_.size() - offset_; }
  template <typename T>
  std::optional<T> read() {
    if (remaining() < sizeof(T)) return std::nullopt;
    T v = load_le<T>(bytes_.data() + offset_);
    offset_ += sizeof(T);
    return v;
  }
  std::optional<std::span<const std::byte>> read_bytes(uint64_t n) {
    if (remaining() < n) return std::nullopt;
    auto part = bytes_.subspan(offset_, n);
    offset_ += n;
    return part;
  }

 private:
  std::span<const std::byte> bytes_;
  uint64_t offset_ = 0;
};

// "1.4 GiB", "512 B".
std::string human_bytes(uint64_t bytes);
// "1K" = 1000, "1Ki" = 1024, "2G", "24GiB", plain digits; nullopt when malformed or over 2^63.
std::optional<uint64_t> parse_bytes(std::string_view text);

}  // namespace mhub
