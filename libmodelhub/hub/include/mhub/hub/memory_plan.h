// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"

namespace mhub::hub {

// What decides a decoder's memory, out of config.json alone (docs/memory.md has the arithmetic).
struct ModelShape {
  std::string architecture, model_type;
  uint64_t hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, intermediate = 0, vocab = 0, max_context = 0;
  bool tied_embeddings = false, qkv_bias = false;
  // Mixture of experts; experts 0 = every layer is dense.
  uint64_t experts = 0, experts_per_token = 0, shared_experts = 0, expert_intermediate = 0, shared_intermediate = 0;
  uint64_t dense_layers = 0;  // the first ones, without experts
  // Latent attention; kv_rank 0 = keys and values per head.
  uint64_t kv_rank = 0, q_rank = 0, rope_dim = 0, nope_dim = 0, value_dim = 0;
  uint64_t extra_predict_layers = 0;         // multi-token prediction, stored beside the model
  uint64_t window = 0, windowed_layers = 0;  // layers that look back only so far
  std::string dtype = "bfloat16";            // of what is not quantized
  double matrix_bits = 16;                   // per weight of the matrices, scales included
  std::string weights = "BF16";              // in words

  uint64_t matrix_parameters = 0, other_parameters = 0;  // quantizable or not, without the extra layers
  uint64_t extra_parameters = 0;                         // of the extra layers
  uint64_t active_parameters = 0;                        // used for one token
  uint64_t parameters() const { return matrix_parameters + other_parameters; }
};
// kBadModel names the field that is missing or out of range.
Result<ModelShape> read_model_shape(std::string_view config_json);

struct MemoryAsk {
  uint64_t context = 8192, concurrency = 1;  // context is lowered to the model's own
  std::optional<int> bits;                   // weights quantized to that, in groups of 128
  int kv_bits = 16;
  std::optional<uint64_t> memory;            // of all cards together
  uint64_t cards = 1;
  double utilization = 0.9;
};
struct MemoryPlan {
  uint64_t weights_bytes = 0, kv_bytes_per_token = 0, kv_bytes = 0, workspace_bytes = 0, total_bytes = 0;
  uint64_t context = 0, concurrency = 0;
  std::string weights;
  bool weights_as_stored = false;
  // Only with a memory to fit into.
  uint64_t usable_bytes = 0;
  bool fits = false;
  uint64_t largest_context = 0, largest_concurrency = 0;  // at the other one as asked
};
// `stored_bytes`: of the weight files, where they are known.
MemoryPlan plan_memory(const ModelShape& shape, const MemoryAsk& ask, std::optional<uint64_t> stored_bytes);

// "h200", "rtx4090", "h100:8": memory of so many cards. kUsage lists the names.
struct CardMemory {
  std::string name;
  uint64_t bytes = 0, cards = 1;
};
Result<CardMemory> card_memory(std::string_view text);

}  // namespace mhub::hub
