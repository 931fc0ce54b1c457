// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mhub::test {

// A small random checkpoint in Hugging Face layout: config.json, generation_config.json, model.safetensors,
// tokenizer.json (byte-level, no merges: ids 0..255 are the bytes), tokenizer_config.json (ChatML template).
// The same options and seed give the same bytes on every machine.
struct TinyModelOptions {
  std::string architecture = "LlamaForCausalLM";  // or MistralForCausalLM, Qwen2ForCausalLM (q, k, v biases)
  int64_t hidden_size = 64, intermediate_size = 96, num_hidden_layers = 2;
  int64_t num_attention_heads = 4, num_key_value_heads = 2, head_dim = 16;
  int64_t vocab_size = 288;  // rows of the embedding; ids 0..258 are real, the rest is padding
  int64_t max_position_embeddings = 512;
  double rope_theta = 10000.0;
  std::string rope_scaling = "";  // JSON object text, or empty
  bool tie_word_embeddings = false, attention_bias = false, mlp_bias = false;
  std::string dtype = "F32";  // or "BF16"
  float spread = 0.4f;        // weights are uniform in (-spread, spread) / sqrt(in features / 16)
  uint64_t seed = 1;
};

inline constexpr int32_t kTinyEos = 256, kTinyImStart = 257,
                         kTinyImEnd = 258;  // <|endoftext|>, <|im_start|>, <|im_end|>

// Tensors by Hugging Face name: shape and values (already rounded to the dtype).
struct TinyTensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
};
std::map<std::string, TinyTensor> tiny_tensors(const TinyModelOptions& options);

// Writes all files into `dir` (created when missing).
void write_tiny_model(const std::filesystem::path& dir, const TinyModelOptions& options = {});
std::string tiny_config_json(const TinyModelOptions& options);
// The bytes of model.safetensors with these tensors.
std::string tiny_safetensors(const std::map<std::string, TinyTensor>& tensors, const std::string& dtype);

}  // namespace mhub::test
