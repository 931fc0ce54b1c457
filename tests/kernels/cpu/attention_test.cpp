// SPDX-License-Identifier: Apache-2.0
// Paged attention on ragged batches, written through rope_and_write_kv and compared with a double reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "isas.h"
#include "support/random_matrix.h"
#include "support/ref_ops.h"

namespace mhub::kernels {
namespace {

using testing::random_floats;

struct Sequence {
  int32_t queries, context;
};
struct Case {
  int64_t kv_heads, group, dim, block;
  std::vector<Sequence> batch;
  int64_t window = 0;
  float soft_cap = 0;
  bool sinks = false;
  int64_t latent = 0;  // the last `latent` elements of a key are its value
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {1, 1, 8, 16, {{1, 1}}},
      {3, 3, 64, 16, {{1, 100}}},
      {3, 3, 64, 16, {{1, 100}, {40, 40}, {5, 77}, {1, 1}, {17, 130}}},
      {2, 4, 80, 8, {{1, 9}, {3, 3}}},
      {1, 7, 100, 5, {{33, 200}}},
      {1, 1, 128, 32, {{1, 4000}}},
      {2, 40, 16, 16, {{2, 30}}},
      {1, 2, 64, 128, {{1, 1500}, {2, 1100}}},
      {2, 1, 20, 1, {{4, 6}, {0, 3}, {1, 2}}},
      {2, 2, 32, 16, {{1, 100}, {90, 90}, {7, 230}, {1, 20}}, 24},
      {1, 4, 64, 16, {{1, 3000}, {2, 2000}}, 1500},
      {1, 2, 48, 16, {{40, 200}, {1, 70}}, 1},
      {2, 2, 32, 16, {{1, 100}, {70, 150}}, 0, 5.0f},
      {2, 3, 32, 16, {{1, 100}, {70, 150}}, 33, 2.0f, true},
      {1, 4, 64, 16, {{1, 3000}}, 0, 0, true},
      {1, 16, 72, 16, {{1, 100}, {20, 61}}, 0, 0, false, 64},
      {1, 5, 40, 4, {{1, 3000}, {3, 9}}, 0, 0, false, 32},
  };
  return all;
}

class AttentionTest : public ::testing::TestWithParam<std::tuple<std::string, DType, int>> {
 protected:
  void check(const Case& c) {
    const auto [isa, dtype, threads] = GetParam();
    const auto device = backend(isa, Compute::kFast, threads);
    const int64_t kv_cols = c.kv_heads * c.dim, q_cols = kv_cols * c.group;
    const int64_t value_dim = c.latent > 0 ? c.latent : c.dim, out_cols = c.kv_heads * c.group * value_dim;
    int64_t blocks = 0, max_blocks = 0, rows = 0;
    for (const Sequence& s : c.batch) {
      const int64_t need = (s.context + c.block - 1) / c.block;
      blocks += need;
      max_blocks = std::max(max_blocks, need + 1);
      rows += s.queries;
    }
    std::vector<int32_t> free(static_cast<size_t>(blocks + 2));
    std::iota(free.begin(), free.end(), 0);
    std::shuffle(free.begin(), free.end(), rng_);
    auto cache = device->make_kv_cache({.layers = 2,
                                        .num_blocks = blocks + 2,
                                        .block_size = c.block,
                                        .num_kv_heads = c.kv_heads,
                                        .head_dim = c.dim,
                                        .latent_dim = c.latent},
                                       dtype);
    ASSERT_NE(cache, nullptr);

    std::vector<int32_t> cu = {0}, lens, tables;
    std::vector<std::vector<float>> keys, values;
    const std::vector<float> unrotated(static_cast<size_t>(2), 0.0f);
    for (const Sequence& s : c.batch) {
      cu.push_back(cu.back() + s.queries);
      lens.push_back(s.context);
      std::vector<int32_t> table;
      for (int64_t b = 0; b * c.block < s.context; ++b) {
        table.push_back(free.back());
        free.pop_back();
      }
      keys.push_back(random_floats(rng_, s.context * kv_cols));
      values.push_back(random_floats(rng_, s.context * kv_cols));
      std::vector<int32_t> slots;
      for (int32_t i = 0; i < s.context; ++i)
        slots.push_back(table[static_cast<size_t>(i / c.block)] * static_cast<int32_t>(c.block) +
                        i % static_cast<int32_t>(c.block));
      std::vector<float> none(static_cast<size_t>(s.context * q_cols));
      device->rope_and_write_kv(view(none, s.context, q_cols), view(keys.back(), s.context, kv_cols),
                                view(values.back(), s.context, kv_cols),
                                std::vector<int32_t>(static_cast<size_t>(s.context), 0), slots, unrotated.data(), 0,
                                RopeStyle::kHalf, *cache, 1);
      table.resize(static_cast<size_t>(max_blocks), -1);
      tables.insert(tables.end(), table.begin(), table.end());
    }
    std::vector<float> q = random_floats(rng_, rows * q_cols);
    std::vector<float> out(static_cast<size_t>(rows * out_cols), 99.0f);
    const std::vector<float> sinks = random_floats(rng_, c.kv_heads * c.group, 3.0f);
    const float scale = 1.5f / std::sqrt(static_cast<float>(c.dim));
    const AttentionOptions options{
        .scale = scale, .window = c.window, .soft_cap = c.soft_cap, .sinks = c.sinks ? sinks.data() : nullptr};
    device->attention(view(out, rows, out_cols), view(q, rows, q_cols), {cu, lens, tables, max_blocks}, options, *cache,
                      1);

    const double tolerance = dtype == DType::kF32 ? 1e-5 : dtype == DType::kF16 ? 4e-3 : 3e-2;
    for (size_t s = 0; s < c.batch.size(); ++s) {
      for (int32_t t = 0; t < c.batch[s].queries; ++t) {
        const int64_t row = cu[s] + t, visible = lens[s] - c.batch[s].queries + t + 1;
        for (int64_t h = 0; h < c.kv_heads * c.group; ++h) {
          std::vector<const float*> ks, vs;
          for (int64_t i = c.window > 0 ? std::max<int64_t>(0, visible - c.window) : 0; i < visible; ++i) {
            ks.push_back(keys[s].data() + i * kv_cols + h / c.group * c.dim);
            vs.push_back(c.latent > 0 ? ks.back() + c.dim - c.latent
                                      : values[s].data() + i * kv_cols + h / c.group * c.dim);
          }
          const int64_t at = row * out_cols + h * value_dim;
          const ref::Attend reference{c.soft_cap, c.sinks ? &sinks[static_cast<size_t>(h)] : nullptr};
          const auto expected =
              ref::attend(q.data() + row * q_cols + h * c.dim, ks, vs, c.dim, scale, value_dim, reference);
          for (int64_t d = 0; d < value_dim; ++d)
            ASSERT_NEAR(out[static_cast<size_t>(at + d)], expected[static_cast<size_t>(d)], tolerance)
                << "sequence " << s << " token " << t << " head " << h << " element " << d;
        }
      }
    }
  }

  std::mt19937 rng_{3};
};

TEST_P(AttentionTest, MatchesTheReference) {
  for (size_t i = 0; i < cases().size(); ++i) {
    SCOPED_TRACE("case " + std::to_string(i));
    check(cases()[i]);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, AttentionTest,
                         ::testing::Combine(::testing::ValuesIn(isas()),
                                            ::testing::Values(DType::kF32, DType::kF16, DType::kBF16),
                                            ::testing::Values(1, 2)),
                         [](const auto& p) {
                           return std::get<0>(p.param) + "_" + std::string(dtype_info(std::get<1>(p.param)).name) +
                                  "_" + std::to_string(std::get<2>(p.param));
                         });

TEST(Attention, LargeScoresDoNotOverflow) {
  for (const std::string& isa : isas()) {
    const auto device = backend(isa);
    auto cache = device->make_kv_cache(
        {.layers = 1, .num_blocks = 8, .block_size = 16, .num_kv_heads = 1, .head_dim = 16}, DType::kF32);
    std::vector<float> q(16, 100.0f), k(100 * 16, -100.0f), v(100 * 16, 2.0f), out(16);
    std::fill(k.end() - 16, k.end(), 100.0f);
    std::fill(v.end() - 16, v.end(), 3.0f);
    std::vector<int32_t> slots(100);
    std::iota(slots.begin(), slots.end(), 0);
    std::vector<float> none(100 * 16);
    device->rope_and_write_kv(view(none, 100, 16), view(k, 100, 16), view(v, 100, 16), std::vector<int32_t>(100, 0),
                              slots, q.data(), 0, RopeStyle::kHalf, *cache, 0);
    const std::vector<int32_t> cu = {0, 1}, lens = {100}, tables = {0, 1, 2, 3, 4, 5, 6, 7};
    device->paged_attention(view(out, 1, 16), view(q, 1, 16), {cu, lens, tables, 8}, 1.0f, *cache, 0);
    for (const float x : out) EXPECT_EQ(x, 3.0f) << isa;
  }
}

}  // namespace
}  // namespace mhub::kernels
