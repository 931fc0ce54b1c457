// SPDX-License-Identifier: Apache-2.0
#include "layers/kv_groups.h"

#include <gtest/gtest.h>

namespace mhub::model {
namespace {

// `pattern`: s = a layer that slides over 64 positions, f = one that sees everything.
formats::ModelConfig config(const std::string& pattern) {
  formats::ModelConfig c;
  c.num_hidden_layers = static_cast<int64_t>(pattern.size());
  for (const char layer : pattern) c.sliding_layers.push_back(layer == 's');
  c.sliding_window = 64;
  return c;
}

std::string places(const KvGroups& groups) {
  std::string out;
  for (const auto& place : groups.places) out += std::to_string(place.group) + std::to_string(place.layer) + " ";
  return out;
}

TEST(KvGroups, OneKindIsOneGroup) {
  formats::ModelConfig plain;
  plain.num_hidden_layers = 3;
  const auto full = kv_groups(plain, 4096, true);
  EXPECT_EQ(full.windows, std::vector<int64_t>{0});
  EXPECT_EQ(full.layers_per_group, 3);
  EXPECT_EQ(places(full), "00 01 02 ");
  const auto sliding = kv_groups(config("sss"), 4096, false);
  EXPECT_EQ(sliding.windows, std::vector<int64_t>{64});
  EXPECT_EQ(sliding.layers_per_group, 3);
}

TEST(KvGroups, LayersOfBothKindsAreGroupsOfEqualSize) {
  const auto alternate = kv_groups(config("sfsf"), 4096, true);  // gpt-oss, Gemma 2
  EXPECT_EQ(alternate.windows, (std::vector<int64_t>{0, 64}));
  EXPECT_EQ(alternate.layers_per_group, 2);
  EXPECT_EQ(places(alternate), "10 00 11 01 ");
  const auto gemma3 = kv_groups(config("ssfssfs"), 4096, true);  // the last group uses one of two layers
  EXPECT_EQ(gemma3.windows, (std::vector<int64_t>{0, 64, 64, 64}));
  EXPECT_EQ(places(gemma3), "10 11 00 20 21 01 30 ");
}

TEST(KvGroups, OneGroupWhereSeveralHelpNobody) {
  for (const auto& groups : {kv_groups(config("sfsf"), 4096, false), kv_groups(config("sfsf"), 64, true)}) {
    EXPECT_EQ(groups.windows, std::vector<int64_t>{0});
    EXPECT_EQ(groups.layers_per_group, 4);
    EXPECT_EQ(places(groups), "00 01 02 03 ");
  }
}

}  // namespace
}  // namespace mhub::model
