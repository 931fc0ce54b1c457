// SPDX-License-Identifier: Apache-2.0
// Mixture of experts on the CUDA back end against the CPU's, which is tested against plain references. Skipped where
// there is no device.
#include <gtest/gtest.h>

#include <random>

#include "device.h"
#include "support/random_matrix.h"

namespace mhub::kernels {
namespace {

using mhub::testing::random_floats;
using testing::cuda_backend;
using testing::DeviceTensor;
using testing::rounded;
using testing::tolerance;

// The arrays of an ExpertRows in a back end's memory.
struct Routing {
  Routing(Backend& on, int64_t tokens, int64_t top_k, int64_t experts) : backend(on) {
    rows.tokens = tokens, rows.top_k = top_k, rows.experts = experts;
    const auto array = [&](int64_t count) {
      buffers.push_back(backend.allocate(static_cast<size_t>(count) * 4));
      return buffers.back()->data();
    };
    rows.offsets = static_cast<int32_t*>(array(experts + 1));
    rows.row_tokens = static_cast<int32_t*>(array(rows.rows()));
    rows.choice_rows = static_cast<int32_t*>(array(rows.rows()));
    rows.choice_weights = static_cast<float*>(array(rows.rows()));
  }
  template <class T>
  std::vector<T> read(const T* from, int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    backend.copy_to_host(values.data(), from, values.size() * sizeof(T));
    return values;
  }
  Backend& backend;
  ExpertRows rows;
  std::vector<std::unique_ptr<Buffer>> buffers;
};

class CudaExperts : public ::testing::TestWithParam<DType> {};

TEST_P(CudaExperts, AgreeWithTheCpu) {
  const DType type = GetParam();
  std::string why;
  const auto cuda = cuda_backend(type, &why);
  if (!cuda) GTEST_SKIP() << why;
  BackendOptions cpu_options;
  cpu_options.compute = Compute::kFloat32;
  cpu_options.num_threads = 1;
  const auto cpu = make_cpu_backend(cpu_options);
  struct Case {
    int64_t tokens, hidden, out, experts;
    RouterOptions options;
    bool biased;
  };
  const std::vector<Case> cases = {
      {1, 64, 48, 8, {.top_k = 2, .renormalize = true}, false},
      {5, 32, 17, 4, {.top_k = 4}, true},
      {70,
       96,
       40,
       16,
       {.top_k = 3,
        .sigmoid = true,
        .groups = 4,
        .kept_groups = 2,
        .group_by_top_two = true,
        .renormalize = true,
        .scale = 2.5f},
       true},
      {9, 20, 12, 128, {.top_k = 8, .groups = 8, .kept_groups = 3}, false},
      {200, 64, 64, 2, {.top_k = 1}, false},
      // Many rows an expert: tiles, with tails of rows, columns and sums.
      {150, 96, 200, 4, {.top_k = 2, .renormalize = true}, true},
      {700, 160, 130, 130, {.top_k = 6}, false},
  };
  std::mt19937 rng(3);
  for (const Case& c : cases) {
    SCOPED_TRACE(::testing::Message() << c.tokens << " tokens, " << c.experts << " experts");
    const std::vector<float> logits = rounded(type, random_floats(rng, c.tokens * c.experts));
    const std::vector<float> x = rounded(type, random_floats(rng, c.tokens * c.hidden));
    const std::vector<float> weights = rounded(type, random_floats(rng, c.experts * c.out * c.hidden, 0.1f));
    const std::vector<float> bias = random_floats(rng, c.experts * c.out);
    std::vector<std::vector<float>> combined, grouped;
    std::vector<std::vector<int32_t>> integers;
    for (Backend* backend : {cpu.get(), cuda.get()}) {
      const DType dtype = backend->activation_dtype();
      Routing routing(*backend, c.tokens, c.options.top_k, c.experts);
      DeviceTensor router(*backend, dtype, c.tokens, c.experts, logits, 8),
          in(*backend, dtype, c.tokens, c.hidden, x, 8);
      backend->route_experts(routing.rows, router.view(), c.options);
      std::vector<int32_t> all = routing.read(routing.rows.offsets, c.experts + 1);
      for (const int32_t* array : {routing.rows.row_tokens, routing.rows.choice_rows}) {
        const auto values = routing.read(array, routing.rows.rows());
        all.insert(all.end(), values.begin(), values.end());
      }
      integers.push_back(all);
      std::vector<MatrixSource> sources;
      for (int64_t e = 0; e < c.experts; ++e) {
        MatrixSource& source = sources.emplace_back();
        source.rows = c.out;
        source.cols = c.hidden;
        source.data = weights.data() + e * c.out * c.hidden;
      }
      const auto stacked = backend->prepare(sources, false, &why);
      ASSERT_NE(stacked, nullptr) << why;
      const auto device_bias = backend->allocate(bias.size() * sizeof(float));
      backend->copy_to_device(device_bias->data(), bias.data(), bias.size() * sizeof(float));
      DeviceTensor products(*backend, dtype, routing.rows.rows(), c.out, 8), sum(*backend, dtype, c.tokens, c.out, 3);
      backend->grouped_linear(products.view(), in.view(), routing.rows, true, *stacked,
                              c.biased ? static_cast<const float*>(device_bias->data()) : nullptr);
      backend->combine_experts(sum.view(), products.view(), routing.rows);
      grouped.push_back(products.read());
      combined.push_back(sum.read());
    }
    EXPECT_EQ(integers[0], integers[1]);
    for (size_t i = 0; i < grouped[0].size(); ++i)
      ASSERT_NEAR(grouped[0][i], grouped[1][i], tolerance(type) * (1 + std::abs(grouped[0][i]))) << i;
    for (size_t i = 0; i < combined[0].size(); ++i)
      ASSERT_NEAR(combined[0][i], combined[1][i], 2 * tolerance(type) * (2 + std::abs(combined[0][i]))) << i;
  }
}

std::string type_name(const ::testing::TestParamInfo<DType>& param) {
  return std::string(dtype_info(param.param).name);
}
INSTANTIATE_TEST_SUITE_P(Types, CudaExperts, ::testing::Values(DType::kF32, DType::kBF16, DType::kF16), type_name);

}  // namespace
}  // namespace mhub::kernels
