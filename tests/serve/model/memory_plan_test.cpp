// SPDX-License-Identifier: Apache-2.0
#include "memory_plan.h"

#include <gtest/gtest.h>

namespace mhub::model {
namespace {

constexpr uint64_t kMiB = 1u << 20, kGiB = 1ull << 30;

kernels::DeviceFacts device(const std::string& name, uint64_t total, uint64_t available) {
  kernels::DeviceFacts facts;
  facts.name = name;
  facts.memory_bytes = total;
  facts.memory_available_bytes = available;
  return facts;
}

// 1 GiB of weights, 1 MiB per block of 16 tokens, 4096 positions: 256 blocks a sequence.
MemoryDemand demand() {
  MemoryDemand d;
  d.weights_bytes = kGiB;
  d.workspace_bytes = 64 * kMiB;
  d.rope_bytes_per_token = 512;
  d.block_bytes = kMiB;
  d.native_len = d.longest_len = 4096;
  return d;
}

TEST(MemoryPlan, GpuTakesItsShareUpToWhatAllSequencesNeed) {
  RunnerOptions options;
  options.gpu_memory_utilization = 0.5;
  const auto plan = plan_memory(demand(), options, device("cuda", 8 * kGiB, 8 * kGiB));
  ASSERT_TRUE(plan) << plan.error().one_line();
  EXPECT_EQ(plan->num_blocks, 4096 - 1024 - 64 - 2);  // MiB: half of 8 GiB less weights, workspace, rope table
  EXPECT_EQ(plan->kv_bytes, static_cast<uint64_t>(plan->num_blocks) * kMiB);
  EXPECT_EQ(plan->max_model_len, 4096);
  EXPECT_FALSE(plan->max_model_len_lowered);
  // What is taken already counts into the share.
  EXPECT_EQ(plan_memory(demand(), options, device("cuda", 8 * kGiB, 7 * kGiB))->num_blocks, plan->num_blocks - 1024);
  options.max_num_seqs = 2;
  EXPECT_EQ(plan_memory(demand(), options, device("cuda", 8 * kGiB, 8 * kGiB))->num_blocks, 512);
}

TEST(MemoryPlan, CpuPoolIsModestByDefault) {
  RunnerOptions options;
  EXPECT_EQ(plan_memory(demand(), options, device("cpu", 64 * kGiB, 60 * kGiB))->num_blocks, 4096);  // 4 GiB
  options.max_num_seqs = 2;
  EXPECT_EQ(plan_memory(demand(), options, device("cpu", 64 * kGiB, 60 * kGiB))->num_blocks, 512);
  options.kv_cache_memory_bytes = 10 * kGiB;
  EXPECT_EQ(plan_memory(demand(), options, device("cpu", 64 * kGiB, 60 * kGiB))->num_blocks, 10240);
  // What others use is not planned with.
  options.kv_cache_memory_bytes = 0;
  options.max_num_seqs = 256;
  EXPECT_EQ(plan_memory(demand(), options, device("cpu", 64 * kGiB, 2 * kGiB))->num_blocks, 2048 - 1024 - 66);
}

// One group that keeps everything and three whose layers see 256 positions.
TEST(MemoryPlan, WindowsHoldTheirWindowOnly) {
  MemoryDemand d = demand();
  d.kv_windows = {0, 256, 256, 256};
  RunnerOptions options;
  options.max_num_seqs = 2;
  options.max_num_batched_tokens = 128;
  // 256 blocks, and for each window 256 positions and two steps of 128: 32 blocks and one that is cut.
  const auto plan = plan_memory(d, options, device("cpu", 64 * kGiB, 60 * kGiB));
  ASSERT_TRUE(plan) << plan.error().one_line();
  EXPECT_EQ(plan->num_blocks, 2 * (256 + 3 * 33));
  EXPECT_EQ(plan->kv_windows, d.kv_windows);
  options.kv_cache_memory_bytes = 200 * kMiB;
  const auto lowered = plan_memory(d, options, device("cpu", 64 * kGiB, 60 * kGiB));
  ASSERT_TRUE(lowered);
  EXPECT_EQ(lowered->max_model_len, 16 * (200 - 3 * 33));
  options.max_model_len = 4096;
  const auto refused = plan_memory(d, options, device("cpu", 64 * kGiB, 60 * kGiB));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("needs 355.0 MiB of KV cache (355 blocks of 16 tokens, 1.0 MiB each)"),
            std::string::npos)
      << refused.error().message;
}

TEST(MemoryPlan, LongGivenContextMayPassTheCpuDefault) {
  MemoryDemand d = demand();
  d.native_len = d.longest_len = 131072;
  RunnerOptions options;
  auto plan = plan_memory(d, options, device("cpu", 64 * kGiB, 60 * kGiB));
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->max_model_len_lowered);
  EXPECT_EQ(plan->max_model_len, 65536);
  options.max_model_len = 131072;
  plan = plan_memory(d, options, device("cpu", 64 * kGiB, 60 * kGiB));
  ASSERT_TRUE(plan) << plan.error().one_line();
  EXPECT_EQ(plan->num_blocks, 8192);
  EXPECT_FALSE(plan->max_model_len_lowered);
}

TEST(MemoryPlan, ContextIsLoweredOrRefusedWithTheArithmetic) {
  RunnerOptions options;
  options.kv_cache_memory_bytes = 100 * kMiB + 5;
  const auto facts = device("cpu", 8 * kGiB, 8 * kGiB);
  const auto plan = plan_memory(demand(), options, facts);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->num_blocks, 100);
  EXPECT_EQ(plan->max_model_len, 1600);
  EXPECT_TRUE(plan->max_model_len_lowered);
  options.max_model_len = 1600;
  EXPECT_FALSE(plan_memory(demand(), options, facts)->max_model_len_lowered);
  options.max_model_len = 1601;
  const auto refused = plan_memory(demand(), options, facts);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kDevice);
  EXPECT_NE(refused.error().message.find("1601 tokens needs 101.0 MiB"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().hint.find("1600"), std::string::npos);
}

TEST(MemoryPlan, APoolOfNoBlockSaysHowLargeItMustBe) {
  RunnerOptions options;
  options.kv_cache_memory_bytes = 10;
  const auto refused = plan_memory(demand(), options, device("cpu", 8 * kGiB, 8 * kGiB));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().hint, "raise --kv-cache-memory-bytes to 1048576 or more");
}

TEST(MemoryPlan, WeightsThatDoNotFitAreRefused) {
  const auto refused = plan_memory(demand(), {}, device("cuda", kGiB, kGiB));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kDevice);
  RunnerOptions options;
  options.kv_cache_memory_bytes = kGiB;
  EXPECT_FALSE(plan_memory(demand(), options, device("cuda", 2 * kGiB, 2 * kGiB)));
}

TEST(MemoryPlan, OptionsAreChecked) {
  const auto refuse = [](auto change) {
    RunnerOptions options;
    change(options);
    const auto plan = plan_memory(demand(), options, device("cpu", 8 * kGiB, 8 * kGiB));
    return !plan && plan.error().code == ErrorCode::kUsage;
  };
  EXPECT_TRUE(refuse([](RunnerOptions& o) { o.block_size = 0; }));
  EXPECT_TRUE(refuse([](RunnerOptions& o) { o.max_num_seqs = 0; }));
  EXPECT_TRUE(refuse([](RunnerOptions& o) { o.max_num_batched_tokens = 0; }));
  EXPECT_TRUE(refuse([](RunnerOptions& o) { o.gpu_memory_utilization = 1.5; }));
  EXPECT_TRUE(refuse([](RunnerOptions& o) { o.max_model_len = 4097; }));
  EXPECT_FALSE(refuse([](RunnerOptions&) {}));
}

TEST(MemoryPlan, RopeScalingDecidesTheLongestContext) {
  formats::ModelConfig config;
  config.max_position_embeddings = 32768;
  EXPECT_EQ(longest_max_model_len(config), 32768);
  config.rope_scaling.rope_type = "yarn";
  config.rope_scaling.factor = 4;
  config.rope_scaling.original_max_position_embeddings = 32768;
  EXPECT_EQ(native_max_model_len(config), 131072);
  config.rope_scaling.rope_type = "linear";
  EXPECT_EQ(native_max_model_len(config), 32768);
  EXPECT_EQ(longest_max_model_len(config), 131072);
}

}  // namespace
}  // namespace mhub::model
