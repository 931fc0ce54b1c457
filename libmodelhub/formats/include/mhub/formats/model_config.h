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
  double low_freq_factor = 1.0, high_freq_factor = 4.0;            // llama3
  double beta_fast = 32.0, beta_slow = 1.0;                        // yarn
  std::optional<double> attention_factor, mscale, mscale_all_dim;  // yarn
  bool truncate = true;                                            // yarn
  int64_t original_max_position_embeddings = 0;                    // 0 = max_position_embeddings
  std::vector<double> long_factor, short_factor;                   // longrope
};

// Mixture of experts. num_experts 0 = every layer is dense.
struct ExpertsConfig {
  int64_t num_experts = 0;
  int64_t num_experts_per_tok = 0;
  int64_t intermediate_size = 0;         // of one routed expert
  int64_t shared_intermediate_size = 0;  // of the expert that every token takes; 0 = there is none
  bool sigmoid_scores = false;           // else softmax
  bool norm_topk_prob = false;
  double routed_scaling_factor = 1.0;
  int64_t n_group = 1, topk_group = 1;              // experts come from the best topk_group of n_group groups
  double swiglu_alpha = 1.702, swiglu_limit = 7.0;  // gpt-oss
  std::vector<bool> sparse_layers;                  // one per layer: routed experts, else a dense MLP
};

// Multi-head latent attention (DeepSeek). kv_lora_rank 0 = ordinary attention.
struct LatentAttentionConfig {
  int64_t q_lora_rank = 0;  // 0 = queries come straight from the hidden state
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
};

// quantization_config as far as this build serves it: compressed-tensors, fp8, gptq, awq and mxfp4.
struct CompressedTensors {
  // compressed-tensors: "pack-quantized" | "int-quantized" | "float-quantized"; else the method: "fp8" | "gptq" |
  // "awq" | "mxfp4".
  std::string format;
  int num_bits = 4;
  int64_t group_size = 0;  // 0 = one scale per output row ("channel")
  bool symmetric = true;
  bool zeros_less_one = false;      // gptq: stored zero points are one less than they mean
  std::vector<std::string> ignore;  // exact module names or "re:..." patterns
};

// The fields of config.json (or of GGUF metadata) that the engine uses. Hugging Face names.
struct ModelConfig {
  std::string architecture;  // "LlamaForCausalLM", "Gemma3ForCausalLM"; GGUF names are mapped to these
  std::string model_type;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;    // of a query and key; latent attention: nope and rope parts together
  int64_t vocab_size = 0;  // rows of the embedding (padded)
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  double partial_rotary_factor = 1.0;
  bool tie_word_embeddings = false;
  bool attention_bias = false;  // bias on q,k,v (and o for Llama)
  bool mlp_bias = false;
  std::string hidden_act = "silu";
  std::optional<int64_t> sliding_window;        // set only when some layer really uses one
  std::vector<bool> sliding_layers;             // one per layer, empty without sliding_window
  std::optional<double> rope_local_theta;       // rope of the sliding layers where it differs (Gemma 3)
  std::optional<double> query_pre_attn_scalar;  // attention is scaled by its inverse square root, not head_dim's
  double attn_logit_softcapping = 0, final_logit_softcapping = 0;  // 0 = none
  ExpertsConfig experts;
  LatentAttentionConfig latent;
  int64_t num_nextn_predict_layers = 0;  // layers past the last that predict further tokens; this build skips them
  std::optional<kernels::DType> torch_dtype;
  std::vector<int64_t> eos_token_ids;  // union of config.json, generation_config.json (or GGUF eos/eot/eom)
  std::optional<int64_t> bos_token_id;
  std::optional<CompressedTensors> quantization;

  bool slides(int64_t layer) const { return !sliding_layers.empty() && sliding_layers[static_cast<size_t>(layer)]; }
  bool sparse(int64_t layer) const {
    return !experts.sparse_layers.empty() && experts.sparse_layers[static_cast<size_t>(layer)];
  }
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
