// SPDX-License-Identifier: Apache-2.0
#include "store/extent_hash.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "mhub/base/bytes.h"

namespace mhub::hub {
namespace {

// XXH64 with seed 0 (xxHash specification 0.1.1).
constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F, kPrime3 = 0x165667B19E3779F9,
                   kPrime4 = 0x85EBCA77C2B2AE63, kPrime5 = 0x27D4EB2F165667C5;

uint64_t round(uint64_t lane, uint64_t input) {
  return std::rotl(lane + input * kPrime2, 31) * kPrime1;
}

void stripe(uint64_t (&v)[4], const std::byte* at) {
  for (int i = 0; i < 4; ++i) v[i] = round(v[i], load_le<uint64_t>(at + 8 * i));
}

uint64_t converge(const uint64_t (&v)[4], std::span<const std::byte> tail, uint64_t total) {
  uint64_t h = kPrime5;
  if (total >= 32) {
    h = std::rotl(v[0], 1) + std::rotl(v[1], 7) + std::rotl(v[2], 12) + std::rotl(v[3], 18);
    for (const uint64_t lane : v) h = (h ^ round(0, lane)) * kPrime1 + kPrime4;
  }
  h += total;
  const std::byte* at = tail.data();
  size_t left = tail.size();
  for (; left >= 8; at += 8, left -= 8) h = std::rotl(h ^ round(0, load_le<uint64_t>(at)), 27) * kPrime1 + kPrime4;
  if (left >= 4) {
    h = std::rotl(h ^ (uint64_t{load_le<uint32_t>(at)} * kPrime1), 23) * kPrime2 + kPrime3;
    at += 4;
    left -= 4;
  }
  for (; left > 0; ++at, --left) h = std::rotl(h ^ (std::to_integer<uint64_t>(*at) * kPrime5), 11) * kPrime1;
  h = (h ^ (h >> 33)) * kPrime2;
  h = (h ^ (h >> 29)) * kPrime3;
  return h ^ (h >> 32);
}

constexpr uint64_t kStart[4] = {kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};

}  // namespace

uint64_t xxh64(std::span<const std::byte> bytes) {
  uint64_t v[4] = {kStart[0], kStart[1], kStart[2], kStart[3]};
  size_t at = 0;
  for (; bytes.size() - at >= 32; at += 32) stripe(v, bytes.data() + at);
  return converge(v, bytes.subspan(at), bytes.size());
}

ExtentHasher::ExtentHasher() {
  std::copy(std::begin(kStart), std::end(kStart), lanes_.v);
}

void ExtentHasher::update(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    size_t take = static_cast<size_t>(std::min<uint64_t>(bytes.size(), kExtentBytes - extent_bytes_));
    if (tail_bytes_ > 0 || take < 32) {  // fill up one stripe
      take = std::min(take, sizeof(tail_) - tail_bytes_);
      std::memcpy(tail_ + tail_bytes_, bytes.data(), take);
      tail_bytes_ += take;
      if (tail_bytes_ == sizeof(tail_)) {
        stripe(lanes_.v, tail_);
        tail_bytes_ = 0;
      }
    } else {
      take -= take % 32;
      for (size_t at = 0; at < take; at += 32) stripe(lanes_.v, bytes.data() + at);
    }
    extent_bytes_ += take;
    bytes = bytes.subspan(take);
    if (extent_bytes_ == kExtentBytes) end_extent();
  }
}

void ExtentHasher::end_extent() {
  const uint64_t hash = converge(lanes_.v, std::span(tail_).first(tail_bytes_), extent_bytes_);
  char bytes[8];
  store_le(bytes, hash);
  hashes_.append(bytes, sizeof(bytes));
  std::copy(std::begin(kStart), std::end(kStart), lanes_.v);
  tail_bytes_ = 0;
  extent_bytes_ = 0;
}

std::string ExtentHasher::finish() {
  if (extent_bytes_ > 0) end_extent();
  return std::move(hashes_);
}

}  // namespace mhub::hub
