// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/formats/gguf.h"
#include "mhub/kernels/dtype.h"

namespace mhub::formats {

// rope_type and its fields, Hugging Face names. Both spellings of config.json and GGUF keys are read into this.
struct RopeScaling {
  std::string rope_type = "default";  // default | linear | dynamic | llama3 | yarn | longrope
  double factor = 1.0;
  double low_freq_factor = 1.0, high_freq_factor = 4.0;                         // llama3
  double beta_fast = 32.0, beta_slow = 1.0;                                     // yarn
  std::optional<double> attention_factor, mscale, mscale_all_dim;               // yarn
  bool truncate = true;                                                         // yarn
  int64_t original_max_position_embeddings = 0;                                 // 0 = max_position_embeddings
  std::vector<double> long_factor, short_factor;                                // longrope
};

// quantization_config of compressed-tensors as far as this build serves it.
struct CompressedTensors {
  std::string format;             // "pack-quantized" | "int-quantized"
  int num_bits = 4;
  int64_t group_size = 0;         // 0 = one scale per output row ("channel")
  bool symmetric = true;
  std::vector<std::string> ignore;  // exact module names or "re:..." patterns
};

// The fields of config.json (or of GGUF metadata) that the engine uses. Hugging Face names.
struct ModelConfig {
  std::string architecture;  // "LlamaForCausalLM", "Qwen2ForCausalLM" (GGUF "llama" and "qwen2" are mapped to these)
  std::string model_type;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  int64_t vocab_size = 0;                // rows of the embedding (padded)
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  double partial_rotary_factor = 1.0;
  bool tie_word_embeddings = false;
  bool attention_bias = false;           // bias on q,k,v (and o for Llama)
  bool mlp_bias = false;
  std::string hidden_act = "silu";
  std::optional<int64_t> sliding_window;  // set only when the model really uses one
  std::optional<kernels::DType> torch_dtype;
  std::vector<int64_t> eos_token_ids;    // union of config.json, generation_config.json (or GGUF eos/eot/eom)
  std::optional<int64_t> bos_token_id;
  std::optional<CompressedTensors> quantization;
};

// Sampling defaults of generation_config.json; absent fields are nullopt.
struct GenerationDefaults {
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<int64_t> top_k, max_new_tokens;
  bool do_sample = true;
};

// Reads config.json (+ generation_config.json). Every number is range checked and cross checked (heads divide, sizes
// positive, limits of README.md); unknown spelling of a field that matters, an unknown rope type or quantization
// method is kBadModel with a JSON pointer, never a default.
Result<ModelConfig> read_model_config(const std::filesystem::path& dir);
Result<ModelConfig> model_config_from_gguf(const GgufFile& gguf);
Result<GenerationDefaults> read_generation_defaults(const std::filesystem::path& dir);

// What a path holds, decided by content: a directory with config.json, a .gguf file, or a directory with exactly one
// GGUF model. kBadModel otherwise, naming what is missing; pickle files are refused with advice.
struct ModelLocation {
  enum class Kind { kSafetensorsDir, kGguf } kind;
  std::filesystem::path path;  // the directory, or the (first) GGUF file
};
Result<ModelLocation> locate_model(const std::filesystem::path& path);

}  // namespace mhub::formats
