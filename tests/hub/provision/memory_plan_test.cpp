// SPDX-License-Identifier: Apache-2.0
#include "mhub/hub/memory_plan.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "mhub/base/bytes.h"
#include "support/temp_dir.h"

namespace mhub::hub {
namespace {

using mhub::test::read_file;
using ::testing::HasSubstr;

std::string data(const std::string& name) {
  return read_file(std::string(std::getenv("MHUB_SOURCE_DIR")) + "/tests/data/deepseek-r1/" + name + ".json");
}
ModelShape shape_of(const std::string& name) {
  auto shape = read_model_shape(data(name));
  EXPECT_TRUE(shape) << shape.error().one_line();
  return shape ? *shape : ModelShape{};
}

// The published checkpoints have exactly so many weights.
TEST(ModelShape, ParametersAreThoseOfThePublishedFiles) {
  EXPECT_EQ(shape_of("distill-qwen-1.5b").parameters(), 1'777'088'000u);
  EXPECT_EQ(shape_of("distill-qwen-7b").parameters(), 7'615'616'512u);
  EXPECT_EQ(shape_of("distill-llama-8b").parameters(), 8'030'261'248u);
  EXPECT_EQ(shape_of("distill-qwen-14b").parameters(), 14'770'033'664u);
  EXPECT_EQ(shape_of("distill-qwen-32b").parameters(), 32'763'876'352u);
  EXPECT_EQ(shape_of("distill-llama-70b").parameters(), 70'553'706'496u);
  EXPECT_EQ(shape_of("r1-671b").parameters(), 671'026'419'200u);
}

TEST(ModelShape, ActiveParametersOfExperts) {
  const ModelShape r1 = shape_of("r1-671b");
  EXPECT_NEAR(static_cast<double>(r1.active_parameters), 37e9, 1e9) << "37 B a token, as published";
  EXPECT_NEAR(static_cast<double>(r1.extra_parameters), 13.6e9, 1e9) << "what makes the files 685 B";
}

TEST(MemoryPlan, KeysAndValuesPerToken) {
  EXPECT_EQ(plan_memory(shape_of("distill-qwen-7b"), {}, {}).kv_bytes_per_token, 57'344u);
  EXPECT_EQ(plan_memory(shape_of("distill-llama-70b"), {}, {}).kv_bytes_per_token, 327'680u);
  EXPECT_EQ(plan_memory(shape_of("r1-671b"), {}, {}).kv_bytes_per_token, 70'272u)
      << "61 layers of 512 + 64 latent values";
  MemoryAsk half;
  half.kv_bits = 8;
  EXPECT_EQ(plan_memory(shape_of("distill-qwen-7b"), half, {}).kv_bytes_per_token, 28'672u);
}

TEST(MemoryPlan, WeightsComputedStoredOrQuantized) {
  const ModelShape shape = shape_of("distill-llama-8b");
  EXPECT_EQ(plan_memory(shape, {}, {}).weights_bytes, 16'060'522'496u);
  const MemoryPlan stored = plan_memory(shape, {}, 123);
  EXPECT_EQ(stored.weights_bytes, 123u);
  EXPECT_TRUE(stored.weights_as_stored);
  MemoryAsk four;
  four.bits = 4;
  const MemoryPlan quantized = plan_memory(shape, four, 123);
  EXPECT_FALSE(quantized.weights_as_stored);
  EXPECT_NEAR(static_cast<double>(quantized.weights_bytes), 5.73e9, 0.05e9);
  EXPECT_NEAR(static_cast<double>(plan_memory(shape_of("r1-671b"), {}, {}).weights_bytes), 673e9, 3e9);
}

TEST(MemoryPlan, FitsAndWhatWouldFit) {
  const ModelShape shape = shape_of("distill-llama-8b");
  MemoryAsk ask;
  ask.memory = uint64_t{24} << 30;
  ask.context = 8192;
  const MemoryPlan plan = plan_memory(shape, ask, {});
  EXPECT_TRUE(plan.fits);
  EXPECT_EQ(plan.total_bytes, plan.weights_bytes + plan.kv_bytes + plan.workspace_bytes);
  // The edges are exact: one more token or sequence would not fit.
  for (const uint64_t more : {0, 1}) {
    MemoryAsk edge = ask;
    edge.context = plan.largest_context + more;
    EXPECT_EQ(plan_memory(shape, edge, {}).fits, more == 0);
    edge = ask;
    edge.concurrency = plan.largest_concurrency + more;
    EXPECT_EQ(plan_memory(shape, edge, {}).fits, more == 0);
  }
  ask.memory = uint64_t{8} << 30;
  const MemoryPlan small = plan_memory(shape, ask, {});
  EXPECT_FALSE(small.fits);
  EXPECT_EQ(small.largest_context, 0u);
  EXPECT_EQ(small.largest_concurrency, 0u);
}

TEST(MemoryPlan, ContextIsLoweredToTheModels) {
  MemoryAsk ask;
  ask.context = 1'000'000;
  EXPECT_EQ(plan_memory(shape_of("distill-llama-8b"), ask, {}).context, 131'072u);
}

TEST(MemoryPlan, ModelsThatSlideInEveryLayerStopGrowing) {
  const auto kv_bytes = [](const char* last_layer) {
    const auto shape = read_model_shape(fmt::format(R"({{"model_type": "gemma3_text", "hidden_size": 64,
      "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16, "vocab_size": 100,
      "intermediate_size": 128, "sliding_window": 512, "layer_types": ["sliding_attention", "{}"]}})",
                                                    last_layer));
    EXPECT_TRUE(shape && shape->tied_embeddings);
    MemoryAsk ask;
    ask.context = 8192;
    return plan_memory(*shape, ask, {}).kv_bytes;
  };
  EXPECT_EQ(kv_bytes("sliding_attention"), 64u * 2 * (512 + 2 * 2048));
  EXPECT_EQ(kv_bytes("full_attention"), 64u * 2 * 8192);
}

TEST(ModelShape, RefusesWhatItCannotCount) {
  for (const char* text : {"", "[]", "{}", R"({"hidden_size": 1})", R"({"hidden_size": -1, "num_hidden_layers": 1,
       "num_attention_heads": 1, "vocab_size": 1})",
                           R"({"hidden_size": "64", "num_hidden_layers": 1,
       "num_attention_heads": 1, "vocab_size": 1})",
                           R"({"hidden_size": 1099511627776, "num_hidden_layers": 1,
       "num_attention_heads": 1, "vocab_size": 1})",
                           R"({"hidden_size": 64, "num_hidden_layers": 1.5,
       "num_attention_heads": 1, "vocab_size": 1})"}) {
    const auto shape = read_model_shape(text);
    ASSERT_FALSE(shape) << text;
    EXPECT_EQ(shape.error().code, ErrorCode::kBadModel);
  }
}

// The table of docs/memory.md is made here.
std::string row(const std::string& label, const std::string& name) {
  const ModelShape shape = shape_of(name);
  const MemoryPlan stored = plan_memory(shape, {}, {});
  MemoryAsk eight, four;
  eight.bits = 8;
  four.bits = 4;
  const auto first_that_fits = [&](MemoryAsk ask) -> std::string {
    for (const char* cards : {"l4", "rtx5090", "l40s", "h100", "h200", "h100:2", "h200:2", "h100:4", "h200:4", "h100:8",
                              "h200:8", "h100:16"}) {
      const auto card = card_memory(cards);
      ask.memory = card->bytes;
      ask.cards = card->cards;
      if (plan_memory(shape, ask, {}).fits) return cards;
    }
    return "-";
  };
  return fmt::format("| {} | {:.2f} B | {}: {} | {} | {} | {} | {} | {} | {} | {} |", label,
                     static_cast<double>(shape.parameters()) / 1e9, stored.weights, human_bytes(stored.weights_bytes),
                     human_bytes(plan_memory(shape, eight, {}).weights_bytes),
                     human_bytes(plan_memory(shape, four, {}).weights_bytes), human_bytes(stored.kv_bytes_per_token),
                     human_bytes(stored.kv_bytes), human_bytes(stored.total_bytes), first_that_fits({}),
                     first_that_fits(four));
}

TEST(MemoryPlan, TheTableOfTheDocumentationIsTrue) {
  const std::string page = read_file(std::string(std::getenv("MHUB_SOURCE_DIR")) + "/docs/memory.md");
  for (const auto& [label, name] :
       {std::pair("R1-Distill-Qwen-1.5B", "distill-qwen-1.5b"), std::pair("R1-Distill-Qwen-7B", "distill-qwen-7b"),
        std::pair("R1-Distill-Llama-8B", "distill-llama-8b"), std::pair("R1-Distill-Qwen-14B", "distill-qwen-14b"),
        std::pair("R1-Distill-Qwen-32B", "distill-qwen-32b"), std::pair("R1-Distill-Llama-70B", "distill-llama-70b"),
        std::pair("DeepSeek-R1 (671B)", "r1-671b")}) {
    EXPECT_THAT(page, HasSubstr(row(label, name)));
  }
}

TEST(CardMemory, NamesAndCounts) {
  EXPECT_EQ(card_memory("h200")->bytes, uint64_t{143771} << 20);
  EXPECT_EQ(card_memory("H100:8")->bytes, uint64_t{8 * 81559} << 20);
  EXPECT_EQ(card_memory("H100:8")->cards, 8u);
  for (const char* text : {"", "h300", "h100:", "h100:0", "h100:x", "h100:99999"}) {
    const auto card = card_memory(text);
    ASSERT_FALSE(card) << text;
    EXPECT_THAT(card.error().hint, HasSubstr("rtx4090"));
  }
}

}  // namespace
}  // namespace mhub::hub
