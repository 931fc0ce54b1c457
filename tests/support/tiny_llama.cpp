// SPDX-License-Identifier: Apache-2.0
#include "support/tiny_llama.h"

#include <random>

#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace mhub::test {
namespace {

constexpr int64_t kHidden = 64, kMlp = 128, kVocab = 96, kHeads = 4, kKvHeads = 2, kHeadDim = 16, kLayers = 2;

const std::vector<std::pair<std::string, std::string>>& gguf_stems() {
  static const std::vector<std::pair<std::string, std::string>> kStems = {
      {"self_attn.q_proj", "attn_q"},      {"self_attn.k_proj", "attn_k"},   {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"}, {"mlp.gate_proj", "ffn_gate"},    {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"},       {"input_layernorm", "attn_norm"}, {"post_attention_layernorm", "ffn_norm"}};
  return kStems;
}

// The converter's permutation: within a head, row j * d/2 + i moves to 2i + j.
std::vector<float> interleave(const std::vector<float>& rows, int64_t heads, int64_t cols) {
  std::vector<float> out(rows.size());
  const int64_t d = kHeadDim;
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t r = 0; r < d; ++r) {
      const int64_t to = 2 * (r % (d / 2)) + r / (d / 2);
      for (int64_t c = 0; c < cols; ++c)
        out[static_cast<size_t>((h * d + to) * cols + c)] = rows[static_cast<size_t>((h * d + r) * cols + c)];
    }
  }
  return out;
}

// A WordLevel tokenizer of the same size.
std::string word_tokenizer() {
  std::string vocab;
  for (int64_t id = 0; id < kVocab; ++id)
    vocab += (id == 0 ? "\"w" : ",\"w") + std::to_string(id) + "\":" + std::to_string(id);
  return R"({"version":"1.0","added_tokens":[],"model":{"type":"WordLevel","unk_token":"w0","vocab":{)" + vocab + "}}}";
}

// Printable ASCII in ByteLevel's alphabet, then two merges' results and a control token.
std::vector<std::string> vocabulary() {
  std::vector<std::string> out = {"<|end|>", "\u0120"};
  for (char c = '!'; c < 'z'; ++c) out.push_back(std::string(1, c));
  out.push_back("th");
  out.push_back("the");
  out.resize(static_cast<size_t>(kVocab), "");
  return out;
}

}  // namespace

TinyLlama::TinyLlama() {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 0.1f);
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    std::vector<float> values(static_cast<size_t>(n));
    for (auto& x : values) x = normal(random);
    weights[name] = std::move(values);
    shapes[name] = std::move(shape);
  };
  add("model.embed_tokens.weight", {kVocab, kHidden});
  add("model.norm.weight", {kHidden});
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string p = "model.layers." + std::to_string(i) + ".";
    add(p + "self_attn.q_proj.weight", {kHeads * kHeadDim, kHidden});
    add(p + "self_attn.k_proj.weight", {kKvHeads * kHeadDim, kHidden});
    add(p + "self_attn.v_proj.weight", {kKvHeads * kHeadDim, kHidden});
    add(p + "self_attn.o_proj.weight", {kHidden, kHeads * kHeadDim});
    add(p + "mlp.gate_proj.weight", {kMlp, kHidden});
    add(p + "mlp.up_proj.weight", {kMlp, kHidden});
    add(p + "mlp.down_proj.weight", {kHidden, kMlp});
    add(p + "input_layernorm.weight", {kHidden});
    add(p + "post_attention_layernorm.weight", {kHidden});
  }
}

void TinyLlama::write_directory(const std::filesystem::path& dir) const {
  SafetensorsBuilder builder;
  builder.metadata("format", "pt");
  for (const auto& [name, values] : weights) builder.add_f32(name, shapes.at(name), values);
  write_file(dir / "model.safetensors", builder.build());
  write_file(dir / "config.json",
             R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,"intermediate_size":128,
"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":96,"max_position_embeddings":256,"rms_norm_eps":1e-5,
"rope_theta":10000.0,"tie_word_embeddings":true,"bos_token_id":0,"eos_token_id":0,"torch_dtype":"float32","zebra":"kept"})");
  write_file(dir / "tokenizer.json", word_tokenizer());
}

GgufBuilder TinyLlama::gguf(const std::string& pre) const {
  GgufBuilder b;
  b.text("general.architecture", "llama").u32("llama.block_count", kLayers).u32("llama.context_length", 256);
  b.u32("llama.embedding_length", kHidden)
      .u32("llama.feed_forward_length", kMlp)
      .u32("llama.attention.head_count", kHeads);
  b.u32("llama.attention.head_count_kv", kKvHeads).f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  b.u32("llama.rope.dimension_count", kHeadDim).f32("llama.rope.freq_base", 10000.0f);
  std::vector<int32_t> types;
  auto tokens = vocabulary();
  for (size_t i = 0; i < tokens.size(); ++i) {
    types.push_back(tokens[i].empty() ? 5 : tokens[i] == "<|end|>" ? 3 : 1);
    if (tokens[i].empty()) tokens[i] = "[PAD" + std::to_string(i) + "]";
  }
  b.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", pre).texts("tokenizer.ggml.tokens", tokens);
  b.i32s("tokenizer.ggml.token_type", types).texts("tokenizer.ggml.merges", {"t h", "th e"});
  b.u32("tokenizer.ggml.bos_token_id", 0)
      .u32("tokenizer.ggml.eos_token_id", 0)
      .text("tokenizer.chat_template", "{{ messages }}");
  const auto ne = [&](const std::string& name) {
    return std::vector<uint64_t>(shapes.at(name).rbegin(), shapes.at(name).rend());
  };
  b.tensor_f32("token_embd.weight", ne("model.embed_tokens.weight"), weights.at("model.embed_tokens.weight"));
  b.tensor_f32("output_norm.weight", ne("model.norm.weight"), weights.at("model.norm.weight"));
  for (int64_t i = 0; i < kLayers; ++i) {
    for (const auto& [hf, gguf_stem] : gguf_stems()) {
      const std::string name = "model.layers." + std::to_string(i) + "." + hf + ".weight";
      auto values = weights.at(name);
      if (gguf_stem == "attn_q") values = interleave(values, kHeads, kHidden);
      if (gguf_stem == "attn_k") values = interleave(values, kKvHeads, kHidden);
      b.tensor_f32("blk." + std::to_string(i) + "." + gguf_stem + ".weight", ne(name), values);
    }
  }
  return b;
}

}  // namespace mhub::test
