// SPDX-License-Identifier: Apache-2.0
// The own products against sums in double, over odd shapes. Memory between and behind the rows is NaN.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "cuda/products/plain_linear.h"
#include "cuda/products/skinny_linear.h"
#include "cuda/products/streamed_linear.h"
#include "device_array.h"
#include "mhub/kernels/half.h"
#include "support/random_matrix.h"
#include "support/ref_ops.h"

namespace mhub::kernels::cuda {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

uint16_t narrow(DType dtype, float x) {
  return dtype == DType::kF16 ? f16_from_float(x) : bf16_from_float(x);
}
float wide(DType dtype, uint16_t bits) {
  return dtype == DType::kF16 ? float_from_f16(bits) : float_from_bf16(bits);
}

// A matrix on the device with `gap` elements of NaN behind each row.
class DeviceMatrix {
 public:
  DeviceMatrix(DType dtype, int64_t rows, int64_t cols, int64_t gap, std::vector<float>* values)
      : view_{nullptr, dtype, rows, cols, cols + gap},
        floats_(dtype == DType::kF32 ? static_cast<size_t>(rows * (cols + gap)) : 0),
        halves_(dtype == DType::kF32 ? 0 : static_cast<size_t>(rows * (cols + gap))) {
    std::vector<float> all(static_cast<size_t>(rows * (cols + gap)), kNaN);
    for (int64_t r = 0; values != nullptr && r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        float& value = (*values)[static_cast<size_t>(r * cols + c)];
        if (dtype != DType::kF32) value = wide(dtype, narrow(dtype, value));
        all[static_cast<size_t>(r * view_.stride + c)] = value;
      }
    }
    if (dtype == DType::kF32) {
      floats_.set(all);
      view_.data = floats_.get();
      return;
    }
    std::vector<uint16_t> halves;
    for (const float x : all) halves.push_back(narrow(dtype, x));
    halves_.set(halves);
    view_.data = halves_.get();
  }
  TensorView view() const { return view_; }
  float at(int64_t row, int64_t col) const { return all_[static_cast<size_t>(row * view_.stride + col)]; }
  void fetch() {
    check(cudaDeviceSynchronize());
    all_.clear();
    if (view_.dtype == DType::kF32)
      all_ = floats_.host();
    else
      for (const uint16_t bits : halves_.host()) all_.push_back(wide(view_.dtype, bits));
  }

 private:
  TensorView view_;
  DeviceArray<float> floats_;
  DeviceArray<uint16_t> halves_;
  std::vector<float> all_;
};

struct Case {
  int64_t rows, n, k;
};
// Every height of StreamedLinear's tiles on a device of some 130 processors, and tails of each dimension.
const std::vector<Case> kCases = {{1, 5, 8},       {2, 64, 64},     {7, 960, 576},   {9, 130, 72},
                                  {16, 2048, 256}, {17, 3000, 96},  {24, 4100, 64},  {31, 5200, 64},
                                  {33, 6144, 128}, {64, 8200, 64},  {40, 10500, 32}, {8, 12600, 64},
                                  {3, 14000, 32},  {65, 16800, 64}, {100, 300, 520}, {128, 1024, 576}};

// multiply(out, x, weight, bias) for both types of input and of output, with and without a bias.
template <class F>
void check_product(const Case& c, F multiply) {
  std::mt19937 rng(3);
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    for (const DType to : {dtype, DType::kF32}) {
      for (const bool biased : {false, true}) {
        SCOPED_TRACE(::testing::Message() << c.rows << " x " << c.k << " -> " << c.n << ", " << dtype_info(dtype).name
                                          << " to " << dtype_info(to).name << (biased ? ", bias" : ""));
        auto x = mhub::testing::random_floats(rng, c.rows * c.k), w = mhub::testing::random_floats(rng, c.n * c.k);
        auto b = mhub::testing::random_floats(rng, c.n);
        const DeviceMatrix dx(dtype, c.rows, c.k, 8, &x), dw(dtype, c.n, c.k, 16, &w), db(to, 1, c.n, 0, &b);
        DeviceMatrix out(to, c.rows, c.n, biased ? 3 : 8, nullptr);
        const auto expected = ref::linear(x, w, biased ? b.data() : nullptr, c.rows, c.n, c.k);
        for (int repeat = 0; repeat < 2; ++repeat)
          multiply(out.view(), dx.view(), dw.view(), biased ? db.view().data : nullptr);
        out.fetch();
        const double share = to == DType::kF32 ? 1e-5 : dtype == DType::kF16 ? 1e-3 : 8e-3;
        for (int64_t r = 0; r < c.rows; ++r) {
          for (int64_t i = 0; i < c.n; ++i) {
            const double exact = expected[static_cast<size_t>(r * c.n + i)];
            ASSERT_NEAR(out.at(r, i), exact, share * (std::sqrt(static_cast<double>(c.k)) + std::abs(exact)))
                << r << "," << i;
          }
          for (int64_t i = c.n; i < out.view().stride; ++i) ASSERT_TRUE(std::isnan(out.at(r, i))) << r << "," << i;
        }
      }
    }
  }
}

class Products : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!has_device()) GTEST_SKIP() << "no CUDA device";
  }
};

TEST_P(Products, Plain) {
  check_product(GetParam(), [](TensorView out, TensorView x, TensorView w, const void* bias) {
    plain_linear(out, x, w, bias, nullptr);
  });
}

TEST_P(Products, Skinny) {
  const Case& c = GetParam();
  if (c.rows > 32 || c.k % 32 != 0) GTEST_SKIP() << "not for this shape";
  for (int variant = 0; variant < kSkinnyVariants; ++variant) {
    check_product(c, [&](TensorView out, TensorView x, TensorView w, const void* bias) {
      ASSERT_TRUE(skinny_linear_fits(out, x, w));
      skinny_linear(out, x, w, bias, variant, nullptr);
    });
  }
}

TEST_P(Products, Streamed) {
  const StreamedLinear streamed;
  if (!streamed.available()) GTEST_SKIP() << "not on this device";
  check_product(GetParam(), [&](TensorView out, TensorView x, TensorView w, const void* bias) {
    ASSERT_TRUE(streamed.fits(out, x, w));
    streamed.run(out, x, w, bias, nullptr);
  });
}

TEST_P(Products, StreamedWithActivation) {
  const StreamedLinear streamed;
  if (!streamed.available()) GTEST_SKIP() << "not on this device";
  const Case& c = GetParam();
  std::mt19937 rng(4);
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    for (const Activation kind : {Activation::kSilu, Activation::kGeluTanh}) {
      const int64_t n = (c.n + 1) / 2;
      SCOPED_TRACE(::testing::Message() << c.rows << " x " << c.k << " -> " << n << ", " << dtype_info(dtype).name
                                        << (kind == Activation::kSilu ? ", silu" : ", gelu"));
      auto x = mhub::testing::random_floats(rng, c.rows * c.k, 0.5f);
      auto w = mhub::testing::random_floats(rng, 2 * n * c.k, 1.0f / std::sqrt(static_cast<float>(c.k)));
      auto b = mhub::testing::random_floats(rng, 2 * n);
      const DeviceMatrix dx(dtype, c.rows, c.k, 8, &x), dw(dtype, 2 * n, c.k, 16, &w), db(dtype, 1, 2 * n, 0, &b);
      DeviceMatrix out(dtype, c.rows, n, 5, nullptr);
      ASSERT_TRUE(streamed.fits_gated(out.view(), dx.view(), dw.view(), {.kind = kind}));
      streamed.run_gated(out.view(), dx.view(), dw.view(), db.view().data, kind, nullptr);
      out.fetch();
      const auto sums = ref::linear(x, w, b.data(), c.rows, 2 * n, c.k);
      for (int64_t r = 0; r < c.rows; ++r) {
        for (int64_t i = 0; i < n; ++i) {
          const double gate = sums[static_cast<size_t>(r * 2 * n + i)],
                       up = sums[static_cast<size_t>(r * 2 * n + n + i)];
          const double exact = (kind == Activation::kSilu ? ref::silu(gate) : ref::gelu_tanh(gate)) * up;
          ASSERT_NEAR(out.at(r, i), exact, (dtype == DType::kF16 ? 1e-3 : 8e-3) * (0.1 + std::abs(exact)))
              << r << "," << i;
        }
        for (int64_t i = n; i < out.view().stride; ++i) ASSERT_TRUE(std::isnan(out.at(r, i))) << r << "," << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Products, ::testing::ValuesIn(kCases), [](const auto& tested) {
  const Case& c = tested.param;
  return std::to_string(c.rows) + "x" + std::to_string(c.k) + "to" + std::to_string(c.n);
});

TEST(StreamedLinear, RefusesWhatItCannotCopy) {
  if (!has_device()) GTEST_SKIP() << "no CUDA device";
  const StreamedLinear streamed;
  if (!streamed.available()) GTEST_SKIP() << "not on this device";
  const DeviceArray<uint16_t> memory(1 << 20);
  const auto matrix = [&](int64_t rows, int64_t cols, int64_t stride, int64_t offset = 0) {
    return TensorView{memory.get() + offset, DType::kBF16, rows, cols, stride};
  };
  EXPECT_TRUE(streamed.fits(matrix(8, 64, 64), matrix(8, 64, 64), matrix(64, 64, 64)));
  EXPECT_FALSE(streamed.fits(matrix(8, 64, 64), matrix(8, 64, 68), matrix(64, 64, 64)));
  EXPECT_FALSE(streamed.fits(matrix(8, 64, 64), matrix(8, 64, 64), matrix(64, 64, 64, 4)));
  EXPECT_FALSE(streamed.fits(matrix(129, 64, 64), matrix(129, 64, 64), matrix(64, 64, 64)));
  EXPECT_FALSE(streamed.fits_gated(matrix(8, 32, 32), matrix(8, 64, 64), matrix(64, 64, 64),
                                   {.kind = Activation::kClampedSilu}));
}

}  // namespace
}  // namespace mhub::kernels::cuda
