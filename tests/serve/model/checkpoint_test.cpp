// SPDX-License-Identifier: Apache-2.0
// What is wrong with a checkpoint is named before anything is computed.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "serve/model/loaded.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace mhub::model {
namespace {

class CheckpointTest : public testing::Test {
 protected:
  using Tensors = std::map<std::string, test::TinyTensor>;
  // Writes the tiny model after change(tensors) and loads it.
  template <typename Change>
  Result<std::unique_ptr<LoadedModel>> load_changed(Change change, const test::TinyModelOptions& options = {}) {
    test::write_tiny_model(dir_.path(), options);
    Tensors tensors = test::tiny_tensors(options);
    change(tensors);
    test::write_file(dir_ / "model.safetensors", test::tiny_safetensors(tensors, options.dtype));
    return try_load(float32_options(dir_.path()));
  }
  static void expect_bad(const Result<std::unique_ptr<LoadedModel>>& model, const std::string& name,
                         const std::string& what) {
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::kBadModel);
    EXPECT_NE(model.error().message.find(name), std::string::npos) << model.error().message;
    EXPECT_NE(model.error().message.find(what), std::string::npos) << model.error().message;
  }
  test::TempDir dir_;
};

TEST_F(CheckpointTest, MissingTensor) {
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  expect_bad(load_changed([&](Tensors& t) { t.erase(name); }), name, "missing");
  expect_bad(load_changed([](Tensors& t) { t.erase("model.norm.weight"); }), "model.norm.weight", "missing");
}

TEST_F(CheckpointTest, MissingBias) {
  test::TinyModelOptions qwen2;
  qwen2.architecture = "Qwen2ForCausalLM";
  const std::string name = "model.layers.0.self_attn.k_proj.bias";
  expect_bad(load_changed([&](Tensors& t) { t.erase(name); }, qwen2), name, "missing");
}

TEST_F(CheckpointTest, SurplusTensor) {
  const std::string name = "model.layers.0.self_attn.q_norm.weight";
  expect_bad(load_changed([&](Tensors& t) { t[name] = {{1}, {1.0f}}; }), name, "no place");
  // A layer more than the config says.
  expect_bad(load_changed([&](Tensors& t) {
               t["model.layers.2.mlp.up_proj.weight"] = {{1}, {1.0f}};
             }),
             "model.layers.2", "no place");
}

TEST_F(CheckpointTest, KnownLeftoverIsIgnored) {
  const auto model = load_changed([](Tensors& t) {
    t["model.layers.0.self_attn.rotary_emb.inv_freq"] = {{2}, {1.0f, 0.5f}};
  });
  EXPECT_TRUE(model) << model.error().one_line();
}

TEST_F(CheckpointTest, MisshapenTensor) {
  const std::string name = "model.layers.0.self_attn.k_proj.weight";
  expect_bad(load_changed([&](Tensors& t) { std::swap(t[name].shape[0], t[name].shape[1]); }), name,
             "[64, 32], the configuration needs [32, 64]");
}

TEST_F(CheckpointTest, NonFiniteNorm) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    const std::string name = "model.layers.1.input_layernorm.weight";
    expect_bad(load_changed([&](Tensors& t) { t[name].values[5] = bad; }), name, "element 5");
  }
}

TEST_F(CheckpointTest, HeadIsTiedWhenAbsentOrTold) {
  // A model reads its weights from the mapped file, so it is gone before the next one is written over it.
  const auto logits = [&](auto change, const test::TinyModelOptions& options = {}) {
    auto model = load_changed(change, options);
    EXPECT_TRUE(model) << model.error().one_line();
    return all_logits(**model, std::vector<int32_t>{5, 6, 7});
  };
  const auto unchanged = [](Tensors&) {};
  EXPECT_NE(logits(unchanged), logits([](Tensors& t) { t.erase("lm_head.weight"); }));
  test::TinyModelOptions tied;
  tied.tie_word_embeddings = true;
  const auto with_copy = [](Tensors& t) {
    t["lm_head.weight"] = t["model.embed_tokens.weight"];
    t["lm_head.weight"].values[0] += 5;
  };
  EXPECT_EQ(logits(with_copy, tied), logits(unchanged, tied));
}

}  // namespace
}  // namespace mhub::model
