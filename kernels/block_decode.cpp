// SPDX-License-Identifier: Apache-2.0
#include "block_decode.h"

#include "mhub/kernels/backend.h"
#include "mhub/kernels/half.h"

namespace mhub::kernels {
namespace {

float half_at(const uint8_t* p) {
  return float_from_f16(load_unaligned<uint16_t>(p));
}
float nibble(uint8_t byte, bool high) {
  return static_cast<float>(high ? byte >> 4 : byte & 15);
}

void decode_q4_0(const uint8_t* b, float* y) {
  const float d = half_at(b);
  for (int e = 0; e < 32; ++e) y[e] = d * (nibble(b[2 + e % 16], e >= 16) - 8.0f);
}

void decode_q4_1(const uint8_t* b, float* y) {
  const float d = half_at(b), m = half_at(b + 2);
  for (int e = 0; e < 32; ++e) y[e] = d * nibble(b[4 + e % 16], e >= 16) + m;
}

float five_bits(const uint8_t* qs, uint32_t high_bits, int e) {
  return nibble(qs[e % 16], e >= 16) + static_cast<float>(((high_bits >> e) & 1) << 4);
}

void decode_q5_0(const uint8_t* b, float* y) {
  const float d = half_at(b);
  const uint32_t high_bits = load_unaligned<uint32_t>(b + 2);
  for (int e = 0; e < 32; ++e) y[e] = d * (five_bits(b + 6, high_bits, e) - 16.0f);
}

void decode_q5_1(const uint8_t* b, float* y) {
  const float d = half_at(b), m = half_at(b + 2);
  const uint32_t high_bits = load_unaligned<uint32_t>(b + 4);
  for (int e = 0; e < 32; ++e) y[e] = d * five_bits(b + 8, high_bits, e) + m;
}

void decode_q8_0(const uint8_t* b, float* y) {
  const float d = half_at(b);
  for (int e = 0; e < 32; ++e) y[e] = d * static_cast<float>(static_cast<int8_t>(b[2 + e]));
}

void decode_q2_k(const uint8_t* b, float* y) {
  const uint8_t* qs = b + 16;
  const float d = half_at(b + 80), dmin = half_at(b + 82);
  for (int e = 0; e < 256; ++e) {
    const int a = e / 128, j = (e % 128) / 32, l = e % 32;
    const uint8_t s = b[e / 16];
    const float scale = d * static_cast<float>(s & 15), min = dmin * static_cast<float>(s >> 4);
    y[e] = scale * static_cast<float>((qs[32 * a + l] >> (2 * j)) & 3) - min;
  }
}

void decode_q3_k(const uint8_t* b, float* y) {
  const uint8_t* qs = b + 32;
  const float d = half_at(b + 108);
  for (int e = 0; e < 256; ++e) {
    const int a = e / 128, j = (e % 128) / 32, l = e % 32;
    const int high = (b[l] >> (4 * a + j)) & 1;
    const int q = ((qs[32 * a + l] >> (2 * j)) & 3) - (high ? 0 : 4);
    y[e] = d * static_cast<float>(q3_scale(b + 96, e / 16)) * static_cast<float>(q);
  }
}

void decode_q4_k(const uint8_t* b, float* y) {
  const float d = half_at(b), dmin = half_at(b + 2);
  for (int s = 0; s < 8; ++s) {
    const auto [c, m] = k4_scale_min(b + 4, s);
    const float scale = d * static_cast<float>(c), min = dmin * static_cast<float>(m);
    const uint8_t* qs = b + 16 + 32 * (s / 2);
    for (int l = 0; l < 32; ++l) y[32 * s + l] = scale * nibble(qs[l], s % 2 == 1) - min;
  }
}

void decode_q5_k(const uint8_t* b, float* y) {
  const float d = half_at(b), dmin = half_at(b + 2);
  for (int s = 0; s < 8; ++s) {
    const auto [c, m] = k4_scale_min(b + 4, s);
    const float scale = d * static_cast<float>(c), min = dmin * static_cast<float>(m);
    const uint8_t* qs = b + 48 + 32 * (s / 2);
    for (int l = 0; l < 32; ++l) {
      const float high = static_cast<float>(((b[16 + l] >> s) & 1) << 4);
      y[32 * s + l] = scale * (nibble(qs[l], s % 2 == 1) + high) - min;
    }
  }
}

void decode_q6_k(const uint8_t* b, float* y) {
  const uint8_t* qh = b + 128;
  const uint8_t* scales = b + 192;
  const float d = half_at(b + 208);
  for (int e = 0; e < 256; ++e) {
    const int a = e / 128, g = (e % 128) / 32, l = e % 32;
    const uint8_t low = b[64 * a + 32 * (g & 1) + l];
    const int q = (g < 2 ? low & 15 : low >> 4) | (((qh[32 * a + l] >> (2 * g)) & 3) << 4);
    const float scale = d * static_cast<float>(static_cast<int8_t>(scales[8 * a + 2 * g + l / 16]));
    y[e] = scale * static_cast<float>(q - 32);
  }
}

void decode_iq4_nl(const uint8_t* b, float* y) {
  const float d = half_at(b);
  for (int e = 0; e < 32; ++e) y[e] = d * static_cast<float>(kIq4Values[b[2 + e % 16] >> (e < 16 ? 0 : 4) & 15]);
}

void decode_iq4_xs(const uint8_t* b, float* y) {
  const float d = half_at(b);
  for (int s = 0; s < 8; ++s) {
    const float scale = d * static_cast<float>(iq4_xs_scale(b, s));
    const uint8_t* qs = b + 8 + 16 * s;
    for (int l = 0; l < 32; ++l)
      y[32 * s + l] = scale * static_cast<float>(kIq4Values[qs[l % 16] >> (l < 16 ? 0 : 4) & 15]);
  }
}

void decode_mxfp4(const uint8_t* b, float* y) {
  const float d = half_e8m0(b[0]);
  for (int e = 0; e < 32; ++e) y[e] = d * static_cast<float>(kFp4Halves[b[1 + e % 16] >> (e < 16 ? 0 : 4) & 15]);
}

using DecodeBlock = void (*)(const uint8_t*, float*);
DecodeBlock decoder(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
      return decode_q4_0;
    case DType::kQ4_1:
      return decode_q4_1;
    case DType::kQ5_0:
      return decode_q5_0;
    case DType::kQ5_1:
      return decode_q5_1;
    case DType::kQ8_0:
      return decode_q8_0;
    case DType::kQ2_K:
      return decode_q2_k;
    case DType::kQ3_K:
      return decode_q3_k;
    case DType::kQ4_K:
      return decode_q4_k;
    case DType::kQ5_K:
      return decode_q5_k;
    case DType::kQ6_K:
      return decode_q6_k;
    case DType::kIQ4_NL:
      return decode_iq4_nl;
    case DType::kIQ4_XS:
      return decode_iq4_xs;
    case DType::kMXFP4:
      return decode_mxfp4;
    default:
      throw BackendError("decode_blocks: " + std::string(dtype_info(dtype).name) + " is no block type");
  }
}

}  // namespace

void decode_blocks(DType dtype, const uint8_t* blocks, int64_t elems, float* out) {
  const DTypeInfo& info = dtype_info(dtype);
  const DecodeBlock decode = decoder(dtype);
  for (int64_t e = 0; e < elems; e += info.block_elems, blocks += info.block_bytes) decode(blocks, out + e);
}

}  // namespace mhub::kernels
