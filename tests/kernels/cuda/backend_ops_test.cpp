// SPDX-License-Identifier: Apache-2.0
// Every operation of the CUDA back end against double references, over odd shapes. Skipped where there is no device.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "device.h"
#include "support/random_matrix.h"
#include "support/ref_ops.h"

namespace mhub::kernels {
namespace {

using mhub::testing::random_floats;
using testing::cuda_backend;
using testing::DeviceTensor;
using testing::rounded;
using testing::tolerance;

std::string type_name(const ::testing::TestParamInfo<DType>& info) {
  return std::string(dtype_info(info.param).name);
}

class CudaOps : public ::testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    std::string why;
    backend_ = cuda_backend(type_, &why);
    if (!backend_) GTEST_SKIP() << why;
  }
  std::vector<float> randoms(int64_t count, float spread = 1.0f) {
    return rounded(type_, random_floats(rng_, count, spread));
  }
  std::unique_ptr<Buffer> vector_of(const std::vector<float>& values) {
    auto buffer = backend_->allocate(values.size() * sizeof(float));
    backend_->copy_to_device(buffer->data(), values.data(), values.size() * sizeof(float));
    return buffer;
  }
  std::unique_ptr<PreparedWeight> weight_of(const std::vector<float>& values, int64_t rows, int64_t cols) {
    MatrixSource source;
    source.rows = rows;
    source.cols = cols;
    source.data = values.data();
    std::string why;
    auto weight = backend_->prepare({&source, 1}, false, &why);
    EXPECT_NE(weight, nullptr) << why;
    return weight;
  }
  void expect_near(const std::vector<float>& found, const std::vector<double>& expected, double scale = 1.0) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i)
      ASSERT_NEAR(found[i], expected[i], tolerance(type_) * (scale + std::abs(expected[i]))) << "element " << i;
  }

  const DType type_ = GetParam();
  std::mt19937 rng_{7};
  std::unique_ptr<Backend> backend_;
};

TEST_P(CudaOps, Norms) {
  for (const int64_t rows : {0, 1, 3, 70}) {
    for (const int64_t cols : {1, 7, 64, 576, 4096, 8200}) {
      for (const int64_t gap : {0, 8, 3}) {
        SCOPED_TRACE(::testing::Message() << rows << " x " << cols << " gap " << gap);
        const std::vector<float> weight = random_floats(rng_, cols);
        const auto w = vector_of(weight);
        const auto* device_weight = static_cast<const float*>(w->data());
        const std::vector<float> x = randoms(rows * cols), y = randoms(rows * cols);
        DeviceTensor in(*backend_, type_, rows, cols, x, gap), out(*backend_, type_, rows, cols, gap);
        backend_->rms_norm(out.view(), in.view(), device_weight, 1e-5f);
        expect_near(out.read(), ref::rms_norm(x, weight, 1e-5));

        std::vector<float> sum = x;
        for (size_t i = 0; i < sum.size(); ++i) sum[i] += y[i];
        sum = rounded(type_, sum);
        DeviceTensor residual(*backend_, type_, rows, cols, x, gap), added(*backend_, type_, rows, cols, y, gap);
        backend_->add_rms_norm(out.view(), residual.view(), added.view(), device_weight, 1e-5f);
        EXPECT_EQ(residual.read(), sum);
        expect_near(out.read(), ref::rms_norm(sum, weight, 1e-5));
      }
    }
  }
}

TEST_P(CudaOps, HeadNorms) {
  for (const int64_t dim : {3, 32, 128}) {
    const int64_t rows = 5, heads = 3;
    const std::vector<float> weight = random_floats(rng_, dim), x = randoms(rows * heads * dim);
    const auto w = vector_of(weight);
    DeviceTensor in(*backend_, type_, rows, heads * dim, x, 5);
    backend_->head_rms_norm(in.view(), dim, static_cast<const float*>(w->data()), 1e-6f);
    expect_near(in.read(), ref::rms_norm(x, weight, 1e-6));
  }
}

TEST_P(CudaOps, Activations) {
  for (const int64_t rows : {0, 1, 5, 40}) {
    for (const int64_t cols : {1, 15, 16, 1536}) {
      std::vector<float> x = randoms(rows * 2 * cols, 4.0f);
      if (!x.empty()) x.front() = 100.0f, x.back() = -2.0f;
      if (x.size() > 1) x[1] = -100.0f;
      DeviceTensor in(*backend_, type_, rows, 2 * cols, x, 8), out(*backend_, type_, rows, cols, 8);
      const auto expected = [&](auto activation) {
        std::vector<double> e;
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t c = 0; c < cols; ++c)
            e.push_back(activation(static_cast<double>(x[static_cast<size_t>(r * 2 * cols + c)]),
                                   static_cast<double>(x[static_cast<size_t>(r * 2 * cols + cols + c)])));
        }
        return e;
      };
      backend_->silu_mul(out.view(), in.view());
      expect_near(out.read(), expected([](double gate, double up) { return ref::silu(gate) * up; }), 1e-3);
      backend_->gated_activation(out.view(), in.view(), {.kind = Activation::kGeluTanh});
      expect_near(out.read(), expected([](double gate, double up) { return ref::gelu_tanh(gate) * up; }), 0.1);
    }
  }
}

TEST_P(CudaOps, ElementByElement) {
  const int64_t rows = 3, cols = 37;
  const std::vector<float> x = randoms(rows * cols, 3.0f), y = randoms(rows * cols), gate = randoms(rows);
  DeviceTensor a(*backend_, type_, rows, cols, x, 3), b(*backend_, type_, rows, cols, y, 1);
  DeviceTensor g(*backend_, type_, rows, 1, gate, 2);
  std::vector<double> expected(x.size());
  const auto apply = [&](auto f) {
    for (size_t i = 0; i < expected.size(); ++i) expected[i] = f(i);
  };
  apply([&](size_t i) { return x[i] + y[i]; });
  backend_->add(a.view(), b.view());
  expect_near(a.read(), expected);
  std::vector<float> now = a.read();
  apply([&](size_t i) { return now[i] * 0.25; });
  backend_->scale(a.view(), 0.25f);
  expect_near(a.read(), expected);
  now = a.read();
  apply([&](size_t i) { return ref::soft_cap(now[i], 0.5); });
  backend_->soft_cap(a.view(), 0.5f);
  expect_near(a.read(), expected);
  now = a.read();
  apply([&](size_t i) { return now[i] + y[i] / (1.0 + std::exp(-static_cast<double>(gate[i / cols]))); });
  backend_->add_gated(a.view(), b.view(), g.view());
  expect_near(a.read(), expected);

  DeviceTensor heads(*backend_, type_, rows, 2 * 10, 1);
  backend_->copy_heads(heads.view(), 10, b.view(), 17, 2, 10);
  const std::vector<float> copied = heads.read();
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < 20; ++c)
      ASSERT_EQ(copied[static_cast<size_t>(r * 20 + c)], y[static_cast<size_t>(r * cols + c / 10 * 17 + c % 10)]);
  }
}

TEST_P(CudaOps, RowsByIndex) {
  for (const int64_t cols : {1, 12, 576}) {
    const int64_t table_rows = 11;
    const std::vector<float> table = randoms(table_rows * cols);
    const std::vector<int32_t> ids = {10, 0, 3, 3, 9};
    std::vector<float> expected;
    for (const int32_t id : ids)
      expected.insert(expected.end(), table.begin() + id * cols, table.begin() + (id + 1) * cols);
    const auto weight = weight_of(table, table_rows, cols);
    DeviceTensor out(*backend_, type_, 5, cols, 2), x(*backend_, type_, table_rows, cols, table, 4);
    backend_->embedding(out.view(), ids, *weight);
    EXPECT_EQ(out.read(), expected);
    DeviceTensor gathered(*backend_, type_, 5, cols);
    backend_->gather_rows(gathered.view(), x.view(), ids);
    EXPECT_EQ(gathered.read(), expected);
    EXPECT_THROW(backend_->embedding(out.view(), std::vector<int32_t>{0, 0, 0, 0, 11}, *weight), BackendError);
  }
}

TEST_P(CudaOps, Linear) {
  struct Case {
    int64_t t, n, k;
  };
  for (const Case& c : {Case{0, 5, 8},
                        {1, 1, 1},
                        {1, 64, 64},
                        {3, 7, 13},
                        {17, 129, 72},
                        {5, 960, 576},
                        {130, 256, 512},
                        {600, 48, 64},
                        {64, 2100, 96},
                        {2, 300, 4096}}) {
    for (const bool biased : {false, true}) {
      for (const int64_t gap : {0, 16, 1}) {
        SCOPED_TRACE(::testing::Message() << c.t << " x " << c.k << " -> " << c.n << " gap " << gap);
        const std::vector<float> x = randoms(c.t * c.k), w = randoms(c.n * c.k, 0.1f);
        const std::vector<float> b = rounded(type_, random_floats(rng_, c.n));
        const auto bias = vector_of(b);
        const auto weight = weight_of(w, c.n, c.k);
        const auto expected = ref::linear(x, w, biased ? b.data() : nullptr, c.t, c.n, c.k);
        DeviceTensor in(*backend_, type_, c.t, c.k, x, gap), out(*backend_, type_, c.t, c.n, gap);
        DeviceTensor logits(*backend_, DType::kF32, c.t, c.n, gap);
        const auto* device_bias = biased ? static_cast<const float*>(bias->data()) : nullptr;
        const double scale = 0.1 * std::sqrt(static_cast<double>(c.k));
        backend_->linear(out.view(), in.view(), *weight, device_bias);
        expect_near(out.read(), expected, scale);
        backend_->linear(logits.view(), in.view(), *weight, device_bias);
        const std::vector<float> found = logits.read();
        for (size_t i = 0; i < found.size(); ++i)
          ASSERT_NEAR(found[i], expected[i], 2e-5 * (scale + std::abs(expected[i])));
      }
    }
  }
}

TEST_P(CudaOps, GatedLinear) {
  struct Case {
    int64_t t, n, k;
  };
  for (const Case& c : {Case{0, 8, 8}, {1, 3, 5}, {8, 130, 64}, {40, 1200, 96}, {128, 72, 200}, {200, 48, 64}}) {
    for (const Activation kind : {Activation::kSilu, Activation::kGeluTanh, Activation::kClampedSilu}) {
      SCOPED_TRACE(::testing::Message() << c.t << " x " << c.k << " -> " << c.n << ", " << static_cast<int>(kind));
      const std::vector<float> x = randoms(c.t * c.k), w = randoms(2 * c.n * c.k, 0.1f);
      const std::vector<float> b = rounded(type_, random_floats(rng_, 2 * c.n));
      const auto bias = vector_of(b);
      const auto weight = weight_of(w, 2 * c.n, c.k);
      const auto sums = ref::linear(x, w, b.data(), c.t, 2 * c.n, c.k);
      const GatedActivation activation{.kind = kind};
      std::vector<double> expected;
      for (int64_t r = 0; r < c.t; ++r) {
        for (int64_t i = 0; i < c.n; ++i) {
          double gate = sums[static_cast<size_t>(r * 2 * c.n + i)],
                 up = sums[static_cast<size_t>(r * 2 * c.n + c.n + i)];
          if (kind == Activation::kClampedSilu) {
            gate = std::min<double>(gate, activation.limit);
            up = std::clamp<double>(up, -activation.limit, activation.limit);
            expected.push_back(gate / (1.0 + std::exp(-activation.alpha * gate)) * (up + 1.0));
          } else {
            expected.push_back((kind == Activation::kSilu ? ref::silu(gate) : ref::gelu_tanh(gate)) * up);
          }
        }
      }
      DeviceTensor in(*backend_, type_, c.t, c.k, x, 8), scratch(*backend_, type_, c.t, 2 * c.n),
          out(*backend_, type_, c.t, c.n, 8);
      for (int repeat = 0; repeat < 2; ++repeat) {  // the first chooses how
        backend_->gated_linear(out.view(), scratch.view(), in.view(), *weight, static_cast<const float*>(bias->data()),
                               activation);
        expect_near(out.read(), expected, 1.0 + 0.1 * std::sqrt(static_cast<double>(c.k)));
      }
    }
  }
}

TEST_P(CudaOps, WeightsOfEveryKind) {
  const std::vector<mhub::testing::MatrixKind> kinds = {{DType::kF32},  {DType::kF16},          {DType::kBF16},
                                                        {DType::kQ4_1}, {DType::kQ8_0},         {DType::kQ4_K},
                                                        {DType::kQ6_K}, {DType::kU4, 32, true}, {DType::kI8, 256}};
  for (const auto& kind : kinds) {
    SCOPED_TRACE(dtype_info(kind.dtype).name);
    const int64_t n = 24, k = 256;
    const auto one = mhub::testing::random_matrix(rng_, kind, n, k),
               two = mhub::testing::random_matrix(rng_, kind, n, k);
    const std::vector<MatrixSource> sources = {one.source, two.source};
    std::string why;
    const auto weight = backend_->prepare(sources, false, &why);
    ASSERT_NE(weight, nullptr) << why;
    std::vector<float> decoded = one.decoded();
    const std::vector<float> second = two.decoded();
    decoded.insert(decoded.end(), second.begin(), second.end());
    std::vector<int32_t> all(static_cast<size_t>(2 * n));
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
    DeviceTensor out(*backend_, type_, 2 * n, k);
    backend_->embedding(out.view(), all, *weight);
    EXPECT_EQ(out.read(), rounded(type_, decoded));
  }
}

TEST_P(CudaOps, StandInsAreTheValuesOfTheirKey) {
  MatrixSource source;
  source.dtype = DType::kF32;
  source.rows = 3;
  source.cols = 5;
  source.random_key = 0x1234567890abcdef;
  std::string why;
  const auto weight = backend_->prepare({&source, 1}, false, &why);
  ASSERT_NE(weight, nullptr) << why;
  std::vector<float> expected;
  for (uint64_t i = 0; i < 15; ++i) {
    uint64_t x = *source.random_key + i * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    expected.push_back((static_cast<float>(x & 0xffff) / 32768.0f - 1.0f) * 0.035f);
  }
  DeviceTensor out(*backend_, type_, 3, 5);
  backend_->embedding(out.view(), std::vector<int32_t>{0, 1, 2}, *weight);
  EXPECT_EQ(out.read(), rounded(type_, expected));
}

TEST_P(CudaOps, GreedySampling) {
  const int64_t rows = 6, vocab = 20011;
  std::vector<float> logits = random_floats(rng_, rows * vocab);
  const auto at = [&](int64_t row, int64_t id) -> float& { return logits[static_cast<size_t>(row * vocab + id)]; };
  at(0, 17) = at(0, 19000) = 9.0f;  // the lower id of equals
  at(1, vocab - 1) = 9.0f;
  for (int64_t i = 0; i < vocab; ++i) at(2, i) = -INFINITY, at(3, i) = -1.0f - static_cast<float>(i);
  at(4, 12345) = NAN;
  at(5, 0) = 9.0f, at(5, 3) = -INFINITY;
  DeviceTensor tensor(*backend_, DType::kF32, rows, vocab, logits, 5);
  std::vector<int32_t> out(6, 99);
  const std::vector<SampleSpec> greedy(6);
  for (int repeat = 0; repeat < 2; ++repeat) {
    ASSERT_TRUE(backend_->sample(out, tensor.view(), greedy));
    EXPECT_EQ(out, (std::vector<int32_t>{17, static_cast<int32_t>(vocab - 1), -1, 0, -1, 0}));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, CudaOps, ::testing::Values(DType::kF32, DType::kBF16, DType::kF16), type_name);

}  // namespace
}  // namespace mhub::kernels
