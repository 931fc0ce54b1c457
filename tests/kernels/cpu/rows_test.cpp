// SPDX-License-Identifier: Apache-2.0
// Row operations on each instruction set: norm, activation, rotation, lookup.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "isas.h"
#include "support/random_matrix.h"
#include "support/ref_ops.h"

namespace mhub::kernels {
namespace {

using testing::random_floats;

class RowsTest : public ::testing::TestWithParam<std::string> {
 protected:
  std::mt19937 rng_{1};
  std::unique_ptr<Backend> backend_ = backend(GetParam());
};

TEST_P(RowsTest, RmsNorm) {
  for (int64_t rows : {0, 1, 3, 64}) {
    for (int64_t cols : {1, 7, 16, 33, 576, 2048}) {
      const std::vector<float> w = random_floats(rng_, cols);
      std::vector<float> x = random_floats(rng_, rows * cols), y = random_floats(rng_, rows * cols), out(x.size());
      backend_->rms_norm(view(out, rows, cols), view(x, rows, cols), w.data(), 1e-5f);
      std::vector<double> expected = ref::rms_norm(x, w, 1e-5);
      for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], expected[i], 2e-5 * (1 + std::abs(expected[i])));

      std::vector<float> residual = x, sum = x;
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += y[i];
      backend_->add_rms_norm(view(out, rows, cols), view(residual, rows, cols), view(y, rows, cols), w.data(), 1e-5f);
      expected = ref::rms_norm(sum, w, 1e-5);
      EXPECT_EQ(residual, sum);
      for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], expected[i], 2e-5 * (1 + std::abs(expected[i])));
    }
  }
}

TEST_P(RowsTest, SiluMul) {
  for (int64_t rows : {0, 1, 5, 40}) {
    for (int64_t cols : {1, 15, 16, 1536}) {
      std::vector<float> x = random_floats(rng_, rows * 2 * cols, 4.0f), out(static_cast<size_t>(rows * cols));
      if (!x.empty()) x.front() = 120.0f, x.back() = -2.0f;
      if (x.size() > 1) x[1] = -120.0f;
      backend_->silu_mul(view(out, rows, cols), view(x, rows, 2 * cols));
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < cols; ++c) {
          const double up = x[static_cast<size_t>(r * 2 * cols + cols + c)];
          const double e = ref::silu(x[static_cast<size_t>(r * 2 * cols + c)]) * up;
          ASSERT_NEAR(out[static_cast<size_t>(r * cols + c)], e, 1e-5 * (1e-3 + std::abs(e))) << r << "," << c;
        }
      }
    }
  }
}

TEST_P(RowsTest, GatedActivations) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{0, 8}, {1, 1}, {3, 37}, {40, 640}}) {
    std::vector<float> x = random_floats(rng_, rows * cols * 2, 4.0f), out(static_cast<size_t>(rows * cols));
    if (x.size() > 4) x[0] = 60.0f, x[1] = -60.0f;
    const auto check = [&](const GatedActivation& activation, const auto& reference) {
      backend_->gated_activation(view(out, rows, cols), view(x, rows, 2 * cols), activation);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < cols; ++c) {
          const double e = reference(static_cast<double>(x[static_cast<size_t>(r * 2 * cols + c)]),
                                     static_cast<double>(x[static_cast<size_t>(r * 2 * cols + cols + c)]));
          ASSERT_NEAR(out[static_cast<size_t>(r * cols + c)], e, 2e-6 * (1 + std::abs(e))) << r << "," << c;
        }
      }
    };
    check({Activation::kSilu}, [](double gate, double up) { return ref::silu(gate) * up; });
    check({Activation::kGeluTanh}, [](double gate, double up) { return ref::gelu_tanh(gate) * up; });
    check({Activation::kClampedSilu, 1.702f, 7.0f}, [](double gate, double up) {
      const double g = std::min(gate, 7.0), u = std::clamp(up, -7.0, 7.0);
      return g / (1.0 + std::exp(-static_cast<double>(1.702f) * g)) * (u + 1.0);
    });
  }
}

TEST_P(RowsTest, HeadNormScaleCapAndSums) {
  for (const auto& [rows, heads, dim] : {std::array<int64_t, 3>{1, 1, 7}, {5, 3, 32}, {40, 4, 128}}) {
    const int64_t cols = heads * dim, stride = cols + 5;
    const std::vector<float> w = random_floats(rng_, dim), x0 = random_floats(rng_, rows * stride, 2.0f);
    std::vector<float> x = x0;
    TensorView part = view(x, rows, cols);
    part.stride = stride;
    backend_->head_rms_norm(part, dim, w.data(), 1e-6f);
    for (int64_t r = 0; r < rows; ++r) {
      const std::vector<float> row(x0.begin() + r * stride, x0.begin() + r * stride + cols);
      const std::vector<double> expected = ref::rms_norm(row, w, 1e-6);
      for (int64_t c = 0; c < cols; ++c)
        ASSERT_NEAR(x[static_cast<size_t>(r * stride + c)], expected[static_cast<size_t>(c)], 1e-4);
      for (int64_t c = cols; c < stride; ++c)
        ASSERT_EQ(x[static_cast<size_t>(r * stride + c)], x0[static_cast<size_t>(r * stride + c)]);
    }

    std::vector<float> a = random_floats(rng_, rows * cols, 20.0f), b = a, c = random_floats(rng_, rows * cols), d = c;
    std::vector<float> gate = random_floats(rng_, rows, 3.0f), sum = c;
    backend_->scale(view(a, rows, cols), 1.5f);
    for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(a[i], b[i] * 1.5f);
    backend_->add_gated(view(sum, rows, cols), view(a, rows, cols), view(gate, rows, 1));
    for (size_t i = 0; i < a.size(); ++i) {
      const double g = static_cast<double>(gate[i / static_cast<size_t>(cols)]);
      const double e = static_cast<double>(c[i]) + static_cast<double>(a[i]) / (1.0 + std::exp(-g));
      ASSERT_NEAR(sum[i], e, 1e-6 * (10 + std::abs(e)));
    }
    backend_->add(view(d, rows, cols), view(a, rows, cols));
    for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(d[i], c[i] + a[i]);
    backend_->soft_cap(view(a, rows, cols), 30.0f);
    for (size_t i = 0; i < a.size(); ++i)
      ASSERT_NEAR(a[i], ref::soft_cap(static_cast<double>(b[i] * 1.5f), 30.0), 1e-5);
  }
}

TEST_P(RowsTest, HeadsAreCopiedAndMultipliedOneByOne) {
  constexpr int64_t kRows = 3, kHeads = 4, kIn = 24, kOut = 10, kInStep = 30, kOutStep = 17;
  std::vector<float> x = random_floats(rng_, kRows * kHeads * kInStep);
  std::vector<float> out(kRows * kHeads * kOutStep, 9.0f), copied = out;
  std::vector<std::vector<float>> matrices;
  std::vector<std::unique_ptr<PreparedWeight>> weights;
  std::vector<const PreparedWeight*> heads;
  for (int64_t h = 0; h < kHeads; ++h) {
    matrices.push_back(random_floats(rng_, kOut * kIn));
    const MatrixSource source{.dtype = DType::kF32, .rows = kOut, .cols = kIn, .data = matrices.back().data()};
    weights.push_back(backend_->prepare({&source, 1}, false, nullptr));
    heads.push_back(weights.back().get());
  }
  backend_->linear_heads(view(out, kRows, kHeads * kOutStep), kOutStep, view(x, kRows, kHeads * kInStep), kInStep,
                         heads);
  backend_->copy_heads(view(copied, kRows, kHeads * kOutStep), kOutStep, view(x, kRows, kHeads * kInStep), kInStep,
                       kHeads, 8);
  for (int64_t t = 0; t < kRows; ++t) {
    for (int64_t h = 0; h < kHeads; ++h) {
      const float* from = x.data() + (t * kHeads + h) * kInStep;
      const size_t to = static_cast<size_t>((t * kHeads + h) * kOutStep);
      const std::vector<float> row(from, from + kIn);
      const auto expected = ref::linear(row, matrices[static_cast<size_t>(h)], nullptr, 1, kOut, kIn);
      for (size_t i = 0; i < kOutStep; ++i) {
        ASSERT_NEAR(out[to + i], i < kOut ? expected[i] : 9.0, 1e-4);
        ASSERT_EQ(copied[to + i], i < 8 ? from[i] : 9.0f);
      }
    }
  }
}

TEST_P(RowsTest, RopeRotatesAndFillsTheCache) {
  constexpr int64_t kTokens = 37, kHeads = 3, kKvHeads = 2, kDim = 24, kMaxPosition = 50;
  constexpr int32_t kBlock = 4;
  for (const int64_t rotary : {24, 10}) {
    for (const RopeStyle style : {RopeStyle::kHalf, RopeStyle::kInterleaved}) {
      auto cache = backend_->make_kv_cache(
          {.layers = 2, .num_blocks = 12, .block_size = kBlock, .num_kv_heads = kKvHeads, .head_dim = kDim},
          DType::kF32);
      const std::vector<float> table = random_floats(rng_, kMaxPosition * rotary);
      std::vector<float> q = random_floats(rng_, kTokens * kHeads * kDim);
      std::vector<float> k = random_floats(rng_, kTokens * kKvHeads * kDim);
      std::vector<float> v = random_floats(rng_, kTokens * kKvHeads * kDim);
      const std::vector<float> q0 = q, k0 = k;
      std::vector<int32_t> positions, slots;
      for (int32_t t = 0; t < kTokens; ++t) {
        positions.push_back((t * 7) % kMaxPosition);
        slots.push_back((t + 5) % 48);
      }
      backend_->rope_and_write_kv(view(q, kTokens, kHeads * kDim), view(k, kTokens, kKvHeads * kDim),
                                  view(v, kTokens, kKvHeads * kDim), positions, slots, table.data(), rotary, style,
                                  *cache, 1);
      const bool interleaved = style == RopeStyle::kInterleaved;
      for (int64_t t = 0; t < kTokens; ++t) {
        const float* cs = table.data() + positions[static_cast<size_t>(t)] * rotary;
        for (int64_t h = 0; h < kHeads; ++h) {
          const size_t at = static_cast<size_t>((t * kHeads + h) * kDim);
          const auto e = ref::rope(q0.data() + at, kDim, cs, rotary / 2, interleaved);
          for (size_t d = 0; d < kDim; ++d) ASSERT_NEAR(q[at + d], e[d], 1e-5);
        }
      }
      // The cache read back through attention: over one token it gives the value itself, over several it weighs the
      // keys.
      for (size_t t = 0; t < kTokens; ++t) {
        const int64_t count = slots[t] % kBlock + 1;
        if (static_cast<int64_t>(t) + 1 < count) continue;  // its block begins before the first slot written
        const std::vector<float> probe = random_floats(rng_, kKvHeads * kDim);
        std::vector<float> probe_in = probe, out(kKvHeads * kDim);
        const std::vector<int32_t> cu = {0, 1}, lens = {static_cast<int32_t>(count)}, blocks = {slots[t] / kBlock};
        backend_->paged_attention(view(out, 1, kKvHeads * kDim), view(probe_in, 1, kKvHeads * kDim),
                                  {cu, lens, blocks, 1}, 1.0f, *cache, 1);
        for (size_t h = 0; h < kKvHeads; ++h) {
          std::vector<std::vector<float>> rotated;
          std::vector<const float*> keys, values;
          for (size_t i = t + 1 - static_cast<size_t>(count); i <= t; ++i) {
            const size_t at = (i * kKvHeads + h) * kDim;
            const auto e =
                ref::rope(k0.data() + at, kDim, table.data() + positions[i] * rotary, rotary / 2, interleaved);
            rotated.emplace_back(e.begin(), e.end());
            values.push_back(v.data() + at);
          }
          for (const auto& key : rotated) keys.push_back(key.data());
          const auto expected = ref::attend(probe.data() + h * kDim, keys, values, kDim, 1.0);
          for (size_t d = 0; d < kDim; ++d) ASSERT_NEAR(out[h * kDim + d], expected[d], 1e-4) << t << " " << h;
        }
      }
      backend_->rope_and_write_kv(view(q, 0, kHeads * kDim), view(k, 0, kKvHeads * kDim), view(v, 0, kKvHeads * kDim),
                                  {}, {}, table.data(), rotary, style, *cache, 1);
    }
  }
}

TEST_P(RowsTest, EmbeddingAndGather) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0, DType::kQ4_1, DType::kQ6_K}) {
    const auto table = testing::random_matrix(rng_, {.dtype = dtype}, 40, 256);
    const std::vector<float> values = table.decoded();
    for (const bool keep : {false, true}) {
      std::string why;
      const auto weight = backend_->prepare_embedding(table.source, keep, &why);
      ASSERT_NE(weight, nullptr) << why;
      const std::vector<int32_t> ids = {39, 0, 17, 17};
      std::vector<float> out(4 * 256), gathered(2 * 256);
      backend_->embedding(view(out, 4, 256), ids, *weight);
      for (size_t i = 0; i < out.size(); ++i)
        ASSERT_EQ(out[i], values[static_cast<size_t>(ids[i / 256]) * 256 + i % 256]);
      const std::vector<int32_t> rows = {2, 0};
      backend_->gather_rows(view(gathered, 2, 256), view(out, 4, 256), rows);
      EXPECT_TRUE(std::equal(gathered.begin(), gathered.begin() + 256, out.begin() + 512));
      EXPECT_TRUE(std::equal(gathered.begin() + 256, gathered.end(), out.begin()));
      std::vector<float> none;
      backend_->embedding(view(none, 0, 256), {}, *weight);
      EXPECT_THROW(backend_->embedding(view(out, 1, 256), std::vector<int32_t>{40}, *weight), BackendError);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, RowsTest, ::testing::ValuesIn(isas()), [](const auto& p) { return p.param; });

}  // namespace
}  // namespace mhub::kernels
