// SPDX-License-Identifier: Apache-2.0
// A ragged batch over a paged cache whose every unused byte is NaN, and what attention over it is in double precision.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "cuda/attention/attention.h"

namespace mhub::kernels::cuda {

struct SequenceCase {
  int q_len;
  int len;  // 0: padding
};

struct AttentionCase {
  AttentionShape shape;
  std::vector<SequenceCase> seqs;
  int window = 0;
  float soft_cap = 0.0f;
  bool sinks = false;
  bool batch_invariant = false;
  uint32_t seed = 1;
};

inline uint16_t to_bits(AttentionType type, float x) {
  if (type == AttentionType::kFloat16) return __half_raw(__float2half_rn(x)).x;
  return __nv_bfloat16_raw(__float2bfloat16_rn(x)).x;
}
inline float from_bits(AttentionType type, uint16_t bits) {
  if (type == AttentionType::kFloat16) return __half2float(__half(__half_raw{bits}));
  return __bfloat162float(__nv_bfloat16(__nv_bfloat16_raw{bits}));
}

// Host arrays of a case.
struct AttentionData {
  std::vector<uint16_t> q, kv;
  std::vector<int32_t> cu_seqlens_q, seq_lens, block_tables;
  std::vector<float> sinks;
  int max_blocks = 0, num_tokens = 0;
  int64_t q_stride = 0, block_stride = 0;
  float scale = 0;
};

inline int first_visible(const AttentionCase& c, int position) {
  return c.window > 0 ? std::max(0, position + 1 - c.window) : 0;
}

inline int64_t kv_index(const AttentionCase& c, const AttentionData& d, int seq, int token, bool value, int head) {
  const int block = d.block_tables[static_cast<size_t>(seq) * d.max_blocks + token / c.shape.block_size];
  return block * d.block_stride + ((static_cast<int64_t>(value) * c.shape.num_kv_heads + head) * c.shape.block_size +
                                   token % c.shape.block_size) *
                                      c.shape.head_dim;
}

inline AttentionData make_data(const AttentionCase& c) {
  std::mt19937 random(c.seed);
  std::normal_distribution<float> normal;
  AttentionData d;
  const AttentionShape& s = c.shape;
  const uint16_t nan = to_bits(s.type, NAN);
  d.cu_seqlens_q = {0};
  int blocks = 1;  // block 0 stays NaN: what unused table entries name
  for (const SequenceCase& seq : c.seqs) {
    d.num_tokens += seq.q_len;
    d.cu_seqlens_q.push_back(d.num_tokens);
    d.seq_lens.push_back(seq.len);
    const int own = (seq.len + s.block_size - 1) / s.block_size;
    d.max_blocks = std::max(d.max_blocks, own + 1);
    blocks += own;
  }
  std::vector<int32_t> order;
  for (int i = 1; i < blocks; ++i) order.push_back(i);
  std::shuffle(order.begin(), order.end(), random);
  d.block_tables.assign(c.seqs.size() * d.max_blocks, 0);
  d.q_stride = static_cast<int64_t>(s.num_q_heads) * s.head_dim + 2 * s.num_kv_heads * s.head_dim;  // q inside qkv
  d.block_stride = 2LL * s.num_kv_heads * s.block_size * s.head_dim;
  d.q.assign(static_cast<size_t>(d.num_tokens * d.q_stride), nan);
  d.kv.assign(static_cast<size_t>(blocks * d.block_stride), nan);
  d.scale = 1.0f / std::sqrt(static_cast<float>(s.head_dim));
  for (size_t i = 0; i < c.seqs.size(); ++i) {
    const SequenceCase& seq = c.seqs[i];
    if (seq.len == 0) continue;
    const int visible = first_visible(c, seq.len - seq.q_len);
    for (int b = visible / s.block_size; b * s.block_size < seq.len; ++b) {
      d.block_tables[i * d.max_blocks + b] = order.back();
      order.pop_back();
    }
    for (int token = visible; token < seq.len; ++token) {
      for (int head = 0; head < s.num_kv_heads; ++head) {
        for (const bool value : {false, true}) {
          uint16_t* to = &d.kv[static_cast<size_t>(kv_index(c, d, static_cast<int>(i), token, value, head))];
          for (int x = 0; x < s.head_dim; ++x) to[x] = to_bits(s.type, normal(random));
        }
      }
    }
    for (int t = d.cu_seqlens_q[i]; t < d.cu_seqlens_q[i + 1]; ++t) {
      for (int x = 0; x < s.num_q_heads * s.head_dim; ++x)
        d.q[static_cast<size_t>(t * d.q_stride + x)] = to_bits(s.type, 2.0f * normal(random));
    }
  }
  for (int h = 0; c.sinks && h < s.num_q_heads; ++h) d.sinks.push_back(normal(random));
  return d;
}

// One head of one query row: values, and the bound on what rounding weights and then results may add.
struct ReferenceRow {
  std::vector<double> out, bound;
};

inline ReferenceRow reference_row(const AttentionCase& c, const AttentionData& d, int seq, int token, int q_head) {
  const AttentionShape& s = c.shape;
  const int dim = s.head_dim, head = q_head / s.group();
  const int row = d.cu_seqlens_q[static_cast<size_t>(seq)] + token;
  const int position = c.seqs[static_cast<size_t>(seq)].len - c.seqs[static_cast<size_t>(seq)].q_len + token;
  const int first = first_visible(c, position);
  const auto values = [&](const std::vector<uint16_t>& from, int64_t at) {
    std::vector<double> result;
    for (int x = 0; x < dim; ++x) result.push_back(from_bits(s.type, from[static_cast<size_t>(at + x)]));
    return result;
  };
  const std::vector<double> q = values(d.q, row * d.q_stride + static_cast<int64_t>(q_head) * dim);
  std::vector<double> scores;
  double top = c.sinks ? d.sinks[static_cast<size_t>(q_head)] : -INFINITY;
  for (int key = first; key <= position; ++key) {
    const std::vector<double> k = values(d.kv, kv_index(c, d, seq, key, false, head));
    double score = 0;
    for (int x = 0; x < dim; ++x) score += q[static_cast<size_t>(x)] * k[static_cast<size_t>(x)];
    score *= static_cast<double>(d.scale);
    if (c.soft_cap != 0.0f) score = c.soft_cap * std::tanh(score / c.soft_cap);
    scores.push_back(score);
    top = std::max(top, score);
  }
  double sum = c.sinks ? std::exp(d.sinks[static_cast<size_t>(q_head)] - top) : 0.0;
  for (const double score : scores) sum += std::exp(score - top);
  ReferenceRow result{std::vector<double>(static_cast<size_t>(dim)), std::vector<double>(static_cast<size_t>(dim))};
  const double epsilon = s.type == AttentionType::kFloat16 ? 0x1p-11 : 0x1p-8;
  for (int key = first; key <= position; ++key) {
    const double weight = std::exp(scores[static_cast<size_t>(key - first)] - top) / sum;
    const std::vector<double> v = values(d.kv, kv_index(c, d, seq, key, true, head));
    for (int x = 0; x < dim; ++x) {
      const auto i = static_cast<size_t>(x);
      result.out[i] += weight * v[i];
      // Half precision's smallest steps add an absolute error to small weights.
      result.bound[i] += std::fabs(v[i]) * (1.02 * epsilon * weight + 0x1p-24 / sum);
    }
  }
  for (size_t i = 0; i < result.bound.size(); ++i) result.bound[i] += epsilon * std::fabs(result.out[i]) + 1e-5;
  return result;
}

}  // namespace mhub::kernels::cuda
