// SPDX-License-Identifier: Apache-2.0
// Codes of a packed block (packed_layout.h) as bytes, over an integer vector type I.
#pragma once

#include "packed_layout.h"

namespace mhub::kernels::cpu {
namespace {

template <class F>
void for_each_chunk(F f) {
  f.template operator()<0>();
  f.template operator()<1>();
  f.template operator()<2>();
  f.template operator()<3>();
  f.template operator()<4>();
  f.template operator()<5>();
  f.template operator()<6>();
  f.template operator()<7>();
}

template <class I>
I all_bytes(int byte) {
  return I::set(byte * 0x01010101);
}

// chunk[c]: codes of columns 4c .. 4c + 3.
template <class I, Codes kCodes>
void unpack(const uint8_t* lines, I (&chunk)[8]) {
  const auto line = [lines](int i) { return I::load(lines + 64 * i); };
  if constexpr (kCodes == Codes::k8) {
    for (int c = 0; c < 8; ++c) chunk[c] = line(c);
  } else if constexpr (kCodes == Codes::k2 || kCodes == Codes::k3) {
    const I pairs[2] = {line(0), line(1)};
    for_each_chunk([&]<int c>() { chunk[c] = pairs[c / 4].template shifted<-2 * (c % 4)>() & all_bytes<I>(3); });
  } else {
    const I low = all_bytes<I>(15);
    for (int i = 0; i < 4; ++i) {
      const I both = line(i);
      chunk[i] = both & low;
      chunk[i + 4] = both.template shifted<-4>() & low;
    }
  }
  if constexpr (has_table(kCodes)) {
    for (int c = 0; c < 8; ++c) chunk[c] = chunk[c].lookup(code_table(kCodes));
  } else if constexpr (kCodes == Codes::k3) {
    const I high = line(2);
    for_each_chunk([&]<int c>() { chunk[c] = chunk[c] | (high.template shifted<2 - c>() & all_bytes<I>(4)); });
  } else if constexpr (kCodes == Codes::k5) {
    const I high = line(4);
    for_each_chunk([&]<int c>() { chunk[c] = chunk[c] | (high.template shifted<4 - c>() & all_bytes<I>(16)); });
  } else if constexpr (kCodes == Codes::k6) {
    const I high[2] = {line(4), line(5)};
    for_each_chunk(
        [&]<int c>() { chunk[c] = chunk[c] | (high[c / 4].template shifted<4 - 2 * (c % 4)>() & all_bytes<I>(48)); });
  }
}

}  // namespace
}  // namespace mhub::kernels::cpu
