// SPDX-License-Identifier: Apache-2.0
#include "mhub/kernels/backend.h"

#include <gtest/gtest.h>

#include "isas.h"

namespace mhub::kernels {
namespace {

TEST(CpuBackend, FactsDescribeTheMachine) {
  const auto device = backend("scalar", Compute::kFast, 3);
  const DeviceFacts& facts = device->facts();
  EXPECT_EQ(facts.name, "cpu");
  EXPECT_EQ(facts.num_threads, 3);
  EXPECT_NE(facts.description.find("scalar"), std::string::npos);
  EXPECT_GT(facts.memory_bytes, facts.memory_available_bytes);
  EXPECT_GT(facts.memory_available_bytes, 0u);
  EXPECT_GE(make_cpu_backend({})->facts().num_threads, 1);
}

TEST(CpuBackend, UnknownInstructionSetIsRefused) {
  EXPECT_THROW(make_cpu_backend({.force_isa = "mmx"}), BackendError);
}

TEST(CpuBackend, MemoryThatDoesNotExistIsRefused) {
  const auto device = backend("scalar");
  EXPECT_EQ(device->allocate(size_t{1} << 60), nullptr);
  EXPECT_EQ(device->make_kv_cache(
                {.layers = 100, .num_blocks = int64_t{1} << 40, .block_size = 16, .num_kv_heads = 8, .head_dim = 128},
                DType::kF16),
            nullptr);
  const auto buffer = device->allocate(100);
  ASSERT_NE(buffer, nullptr);
  EXPECT_EQ(buffer->bytes(), 100u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % 64, 0u);
}

TEST(CpuBackend, KvCacheTakesWhatItsShapeSays) {
  const KvShape shape{.layers = 3, .num_blocks = 7, .block_size = 16, .num_kv_heads = 2, .head_dim = 10};
  EXPECT_EQ(shape.block_bytes(DType::kF16), 2u * 3 * 16 * 2 * 10 * 2);
  const auto cache = backend("scalar")->make_kv_cache(shape, DType::kF16);
  EXPECT_EQ(cache->bytes(), 7 * shape.block_bytes(DType::kF16));
  EXPECT_EQ(cache->num_blocks(), 7);
}

TEST(CpuBackend, WrongShapesThrow) {
  const auto device = backend("scalar");
  std::vector<float> a(64), b(64);
  EXPECT_THROW(device->rms_norm(view(a, 2, 8), view(b, 2, 4), a.data(), 1e-5f), BackendError);
  EXPECT_THROW(device->silu_mul(view(a, 2, 8), view(b, 2, 8)), BackendError);
  TensorView half = view(a, 2, 8);
  half.dtype = DType::kF16;
  EXPECT_THROW(device->rms_norm(half, half, a.data(), 1e-5f), BackendError);
  auto cache = device->make_kv_cache({.layers = 1, .num_blocks = 2, .block_size = 4, .num_kv_heads = 1, .head_dim = 8},
                                     DType::kF32);
  const std::vector<int32_t> cu = {0, 1}, lens = {9}, tables = {0, 1, 2}, ok = {5}, bad = {1, 2};
  EXPECT_THROW(device->paged_attention(view(a, 1, 8), view(b, 1, 8), {cu, lens, tables, 3}, 1, *cache, 0),
               BackendError);
  EXPECT_THROW(device->paged_attention(view(a, 1, 8), view(b, 1, 8), {cu, ok, bad, 2}, 1, *cache, 0), BackendError);
  EXPECT_THROW(device->paged_attention(view(a, 1, 8), view(b, 1, 8), {cu, ok, tables, 3}, 1, *cache, 1), BackendError);
}

TEST(TensorView, PartsPointIntoTheWhole) {
  std::vector<float> data(24);
  const TensorView whole = view(data, 4, 6);
  const TensorView part = whole.rows_at(1, 2).cols_at(2, 3);
  EXPECT_EQ(part.f32_row(1), data.data() + 2 * 6 + 2);
  EXPECT_EQ(part.rows, 2);
  EXPECT_EQ(part.cols, 3);
  EXPECT_THROW(whole.rows_at(3, 2), BackendError);
  EXPECT_THROW(whole.cols_at(-1, 2), BackendError);
}

}  // namespace
}  // namespace mhub::kernels
