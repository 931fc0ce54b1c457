// SPDX-License-Identifier: Apache-2.0
// The same weights as GGUF (q and k rows permuted to interleaved rope order for `llama`) give the same logits.
#include <gtest/gtest.h>

#include <cmath>

#include "serve/model/loaded.h"
#include "support/gguf_builder.h"
#include "support/reference_model.h"
#include "support/temp_dir.h"

namespace mhub::model {
namespace {

const std::map<std::string, std::string> kNames = {
    {"input_layernorm", "attn_norm"}, {"self_attn.q_proj", "attn_q"},      {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},   {"self_attn.o_proj", "attn_output"}, {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},    {"mlp.up_proj", "ffn_up"},           {"mlp.down_proj", "ffn_down"}};

std::string gguf_name(const std::string& name) {
  if (name == "model.embed_tokens.weight") return "token_embd.weight";
  if (name == "model.norm.weight") return "output_norm.weight";
  if (name == "lm_head.weight") return "output.weight";
  const size_t begin = std::string("model.layers.").size(), dot = name.find('.', begin), end = name.rfind('.');
  return "blk." + name.substr(begin, dot - begin) + "." + kNames.at(name.substr(dot + 1, end - dot - 1)) +
         name.substr(end);
}

// Rows of each head from (first half, second half) to pairs: reshape(heads, 2, dim / 2, in).swap(1, 2).
std::vector<float> permuted(const test::TinyTensor& tensor, int64_t head_dim) {
  const int64_t rows = tensor.shape[0], cols = tensor.shape.size() > 1 ? tensor.shape[1] : 1;
  std::vector<float> out(tensor.values.size());
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t head = r / head_dim, i = r % head_dim, half = head_dim / 2;
    const int64_t to = head * head_dim + (i < half ? 2 * i : 2 * (i - half) + 1);
    std::copy_n(tensor.values.begin() + r * cols, cols, out.begin() + to * cols);
  }
  return out;
}

std::string build_gguf(const test::TinyModelOptions& o, const std::string& arch, const std::vector<float>& rope_freqs,
                       const std::string& skip = "") {
  test::GgufBuilder b;
  b.text("general.architecture", arch);
  b.u32(arch + ".block_count", static_cast<uint32_t>(o.num_hidden_layers));
  b.u32(arch + ".context_length", static_cast<uint32_t>(o.max_position_embeddings));
  b.u32(arch + ".embedding_length", static_cast<uint32_t>(o.hidden_size));
  b.u32(arch + ".feed_forward_length", static_cast<uint32_t>(o.intermediate_size));
  b.u32(arch + ".attention.head_count", static_cast<uint32_t>(o.num_attention_heads));
  b.u32(arch + ".attention.head_count_kv", static_cast<uint32_t>(o.num_key_value_heads));
  b.f32(arch + ".attention.layer_norm_rms_epsilon", 1e-6f);
  b.f32(arch + ".rope.freq_base", static_cast<float>(o.rope_theta));
  b.u32(arch + ".vocab_size", static_cast<uint32_t>(o.vocab_size));
  if (!rope_freqs.empty()) b.tensor_f32("rope_freqs.weight", {rope_freqs.size()}, rope_freqs);
  for (const auto& [name, tensor] : test::tiny_tensors(o)) {
    if (name == skip) continue;
    const bool rotated = name.find("q_proj") != std::string::npos || name.find("k_proj") != std::string::npos;
    std::vector<uint64_t> ne;
    for (auto it = tensor.shape.rbegin(); it != tensor.shape.rend(); ++it) ne.push_back(static_cast<uint64_t>(*it));
    b.tensor_f32(gguf_name(name), ne, rotated && arch == "llama" ? permuted(tensor, o.head_dim) : tensor.values);
  }
  return b.build();
}

void expect_reference(const test::TinyModelOptions& o, const std::string& file, std::vector<double> inv_freq = {}) {
  test::TempDir dir;
  test::write_file(dir / "tiny.gguf", file);
  auto loaded = try_load(float32_options(dir / "tiny.gguf"));
  ASSERT_TRUE(loaded) << loaded.error().one_line();
  const std::vector<int32_t> tokens = {9, 8, 7, 100, 101, 102, 250, 3, 5, 77};
  const auto ours = all_logits(**loaded, tokens);
  const auto expected = test::reference_logits(o, test::tiny_tensors(o), tokens, std::move(inv_freq));
  for (size_t t = 0; t < tokens.size(); ++t) {
    for (size_t i = 0; i < ours[t].size(); ++i) ASSERT_NEAR(ours[t][i], expected[t][i], 1e-4) << t << " " << i;
  }
}

TEST(GgufModel, LlamaIsInterleaved) {
  test::TinyModelOptions o;
  expect_reference(o, build_gguf(o, "llama", {}));
  o.tie_word_embeddings = true;
  o.attention_bias = true;
  expect_reference(o, build_gguf(o, "llama", {}));
}

TEST(GgufModel, Qwen2IsSplitHalf) {
  test::TinyModelOptions o;
  o.architecture = "Qwen2ForCausalLM";
  expect_reference(o, build_gguf(o, "qwen2", {}));
}

TEST(GgufModel, RopeFreqsDivide) {
  test::TinyModelOptions o;
  o.rope_theta = 500000.0;
  // llama3 scaling of factor 8 over 128 positions, as converters store it.
  std::vector<float> divisors;
  std::vector<double> inv_freq;
  for (int i = 0; i < 8; ++i) {
    const double f = std::pow(o.rope_theta, -i / 8.0), wavelength = 2 * std::acos(-1.0) / f;
    const double smooth = (128 / wavelength - 1) / 3;
    const double scaled = wavelength < 32 ? f : wavelength > 128 ? f / 8 : (1 - smooth) * f / 8 + smooth * f;
    divisors.push_back(static_cast<float>(f / scaled));
    inv_freq.push_back(f / static_cast<double>(divisors.back()));
  }
  expect_reference(o, build_gguf(o, "llama", divisors), inv_freq);
}

TEST(GgufModel, MissingTensorHasItsGgufName) {
  test::TempDir dir;
  test::write_file(dir / "tiny.gguf", build_gguf({}, "llama", {}, "model.layers.1.mlp.down_proj.weight"));
  const auto loaded = try_load(float32_options(dir / "tiny.gguf"));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kBadModel);
  EXPECT_NE(loaded.error().message.find("blk.1.ffn_down.weight is missing"), std::string::npos)
      << loaded.error().message;
}

}  // namespace
}  // namespace mhub::model
