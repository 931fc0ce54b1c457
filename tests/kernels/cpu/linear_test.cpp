// SPDX-License-Identifier: Apache-2.0
// Products with every weight type, on each instruction set, as float32 and fast.
#include <gtest/gtest.h>

#include "isas.h"
#include "support/random_matrix.h"
#include "support/ref_ops.h"

namespace mhub::kernels {
namespace {

using testing::MatrixKind;
using testing::random_floats;

std::vector<MatrixKind> kinds() {
  std::vector<MatrixKind> all;
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,
                            DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K, DType::kQ4_K, DType::kQ5_K,
                            DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS, DType::kMXFP4})
    all.push_back({.dtype = dtype});
  all.push_back({.dtype = DType::kU4, .group_size = 32, .scale_dtype = DType::kBF16});
  all.push_back({.dtype = DType::kU4, .group_size = 128, .zeros = true});
  all.push_back({.dtype = DType::kU4, .group_size = 24});                                   // no multiple of any tile
  all.push_back({.dtype = DType::kI8, .group_size = 1 << 20, .scale_dtype = DType::kF32});  // one scale per row
  all.push_back({.dtype = DType::kI8, .group_size = 64, .zeros = true, .packed_i8 = true});
  return all;
}

std::string describe(const MatrixKind& k, int64_t t, int64_t n, int64_t cols) {
  return std::string(dtype_info(k.dtype).name) + " group " + std::to_string(k.group_size) + " T=" + std::to_string(t) +
         " N=" + std::to_string(n) + " K=" + std::to_string(cols);
}

class LinearTest : public ::testing::TestWithParam<std::tuple<std::string, Compute, int>> {
 protected:
  Compute compute() const { return std::get<1>(GetParam()); }
  // Error allowed per unit of |x| * |w|, both Euclidean: rounding of float32 sums, or of 8-bit activations and
  // bfloat16 factors.
  double tolerance() const { return compute() == Compute::kFloat32 ? 1e-6 : 8e-3; }

  struct Shape {
    int64_t t, n, k;
    bool bias, keep_source;
  };

  // w: the decoded sources.
  void expect_products(std::span<const MatrixSource> sources, const std::vector<float>& w, const Shape& s,
                       const std::string& what) {
    std::string why;
    const auto weight = backend_->prepare(sources, s.keep_source, &why);
    ASSERT_NE(weight, nullptr) << why;
    ASSERT_EQ(weight->rows(), s.n);
    const int64_t stride = s.n + 3;  // a wider buffer: the columns beyond stay untouched
    const std::vector<float> bias = random_floats(rng_, s.n);
    std::vector<float> x = random_floats(rng_, s.t * s.k), out(static_cast<size_t>(s.t * stride), 99.0f);
    TensorView to = view(out, s.t, s.n);
    to.stride = stride;
    const float* added = s.bias ? bias.data() : nullptr;
    backend_->linear(to, view(x, s.t, s.k), *weight, added);

    const auto norm = [&](const std::vector<float>& m, int64_t row) {
      double sum = 0;
      for (int64_t c = 0; c < s.k; ++c) sum += std::pow(m[static_cast<size_t>(row * s.k + c)], 2);
      return std::sqrt(sum);
    };
    const std::vector<double> expected = ref::linear(x, w, added, s.t, s.n, s.k);
    for (int64_t i = 0; i < s.t; ++i) {
      const double x_norm = norm(x, i);
      for (int64_t j = 0; j < stride; ++j) {
        const float got = out[static_cast<size_t>(i * stride + j)];
        if (j >= s.n) {
          ASSERT_EQ(got, 99.0f) << what << ": wrote past the row";
        } else {
          ASSERT_NEAR(got, expected[static_cast<size_t>(i * s.n + j)], tolerance() * x_norm * norm(w, j) + 1e-5)
              << what << " at " << i << "," << j;
        }
      }
    }
  }

  void check(const MatrixKind& kind, int64_t t, int64_t n, int64_t k, bool with_bias, bool keep) {
    MatrixKind exact = kind;
    if (kind.group_size > k) exact.group_size = k;
    const auto a = testing::random_matrix(rng_, exact, n, k, keep ? 2 : 1);
    const auto b = testing::random_matrix(rng_, exact, 5, k);
    std::vector<float> w = a.decoded();
    const std::vector<float> more = b.decoded();
    w.insert(w.end(), more.begin(), more.end());
    const MatrixSource sources[] = {a.source, b.source};
    expect_products(sources, w, {t, n + 5, k, with_bias, keep}, describe(kind, t, n, k));
  }

  std::mt19937 rng_{2};
  std::unique_ptr<Backend> backend_ = backend(std::get<0>(GetParam()), compute(), std::get<2>(GetParam()));
};

TEST_P(LinearTest, EveryTypeAndShape) {
  for (const MatrixKind& kind : kinds()) {
    const int64_t block = is_block_type(kind.dtype) ? dtype_info(kind.dtype).block_elems : 0;
    const int64_t small = block > 0 ? block : 8, odd = block > 0 ? 3 * block : 200;
    check(kind, 0, 16, small, true, false);
    check(kind, 1, 1, small, false, false);
    check(kind, 1, 40, odd, true, true);
    check(kind, 3, 16, odd, false, false);
    check(kind, 4, 33, 2 * small, true, true);
    check(kind, 17, 31, odd, true, false);
    check(kind, 70, 80, odd, true, true);
  }
}

TEST_P(LinearTest, OddColumnsOfPlainTypes) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const int64_t k : {1, 7, 17, 37, 65}) check({.dtype = dtype}, 6, 19, k, true, true);
  }
}

TEST_P(LinearTest, MatricesOfDifferentTypesStack) {
  const auto a = testing::random_matrix(rng_, {.dtype = DType::kQ4_K}, 24, 256);
  const auto b = testing::random_matrix(rng_, {.dtype = DType::kQ6_K}, 8, 256);
  const auto c = testing::random_matrix(rng_, {.dtype = DType::kBF16}, 3, 256);
  const MatrixSource sources[] = {a.source, b.source, c.source};
  std::vector<float> w = a.decoded();
  for (const auto* m : {&b, &c}) {
    const std::vector<float> more = m->decoded();
    w.insert(w.end(), more.begin(), more.end());
  }
  expect_products(sources, w, {2, 35, 256, true, false}, "stack");
}

TEST_P(LinearTest, ResidentBytesStayNearTheFiles) {
  for (const MatrixKind& kind : kinds()) {
    if (kind.group_size == 24) continue;
    MatrixKind exact = kind;
    if (kind.group_size > 768) exact.group_size = 768;
    const auto m = testing::random_matrix(rng_, exact, 576, 768);
    const auto weight = backend_->prepare({&m.source, 1}, false, nullptr);
    const size_t file = m.data.size() + m.scales.size() + m.zeros.size();
    EXPECT_LE(static_cast<double>(weight->resident_bytes()), 1.2 * static_cast<double>(file))
        << dtype_info(kind.dtype).name;
  }
}

TEST_P(LinearTest, RefusesWhatNoKernelMultiplies) {
  std::string why;
  float data[64] = {};
  const auto refuse = [&](MatrixSource s) { return backend_->prepare({&s, 1}, false, &why) == nullptr; };
  EXPECT_TRUE(refuse({.dtype = DType::kI64, .rows = 1, .cols = 8, .data = data}));
  EXPECT_NE(why.find("I64"), std::string::npos);
  EXPECT_TRUE(refuse({.dtype = DType::kQ4_K, .rows = 1, .cols = 64, .data = data}));
  EXPECT_NE(why.find("256"), std::string::npos);
  EXPECT_TRUE(refuse({.dtype = DType::kU4, .rows = 1, .cols = 8, .data = data}));
  EXPECT_NE(why.find("scales"), std::string::npos);
  const MatrixSource uneven[] = {{.dtype = DType::kF32, .rows = 1, .cols = 8, .data = data},
                                 {.dtype = DType::kF32, .rows = 1, .cols = 4, .data = data}};
  EXPECT_EQ(backend_->prepare(uneven, false, &why), nullptr);
  EXPECT_EQ(backend_->prepare({}, false, &why), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Isas, LinearTest,
                         ::testing::Combine(::testing::ValuesIn(isas()),
                                            ::testing::Values(Compute::kFloat32, Compute::kFast),
                                            ::testing::Values(1, 2)),
                         [](const auto& p) {
                           return std::get<0>(p.param) + (std::get<1>(p.param) == Compute::kFast ? "_fast" : "_f32") +
                                  "_" + std::to_string(std::get<2>(p.param));
                         });

}  // namespace
}  // namespace mhub::kernels
