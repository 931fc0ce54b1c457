// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "mhub/base/json.h"

namespace mhub::test {

// config.json of a small model of any architecture that is served: 7 layers, a window of 24 where layers slide, 8
// experts where there are experts, 256 tokens. For weights made up at load.
inline Json family_config(const std::string& architecture) {
  Json json = {{"architectures", {architecture}},
               {"hidden_size", 64},
               {"intermediate_size", 96},
               {"num_hidden_layers", 7},
               {"num_attention_heads", 4},
               {"num_key_value_heads", 2},
               {"head_dim", 16},
               {"vocab_size", 256},
               {"bos_token_id", 1},
               {"eos_token_id", 2},
               {"max_position_embeddings", 512},
               {"sliding_window", 24},
               {"moe_intermediate_size", 48},
               {"num_experts_per_tok", 2},
               {"torch_dtype", "float32"}};
  if (architecture.starts_with("Qwen")) json["use_sliding_window"] = true;
  if (architecture.starts_with("Deepseek")) {
    json.update({{"n_routed_experts", 8}, {"first_k_dense_replace", 1}, {"kv_lora_rank", 32}, {"q_lora_rank", 24}});
    json.update({{"qk_nope_head_dim", 16}, {"qk_rope_head_dim", 8}, {"v_head_dim", 12}, {"n_group", 4}});
    json.update({{"topk_group", 2}, {"n_shared_experts", 1}});
  } else if (architecture.find("Moe") != std::string::npos) {
    json.update({{"num_experts", 8}, {"shared_expert_intermediate_size", 32}});
  } else {
    json["num_local_experts"] = 8;
  }
  return json;
}

}  // namespace mhub::test
