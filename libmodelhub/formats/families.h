// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace mhub::formats {

// How the layers that slide are found when config.json has no layer_types.
enum class Sliding {
  kNever,
  kAll,        // every layer
  kQwen,       // layers from max_window_layers on, if use_sliding_window
  kEven,       // layers 0, 2, 4 ...
  kFiveInSix,  // all but every sliding_window_pattern-th (6)
};

// What a key that is absent from config.json means, per model_type: the class defaults of transformers.
struct Family {
  std::string_view architecture, model_type;
  std::string_view gguf;  // general.architecture; empty = shares another family's ("llama") or has none
  int64_t hidden_size, intermediate_size, num_hidden_layers, num_attention_heads;
  int64_t num_key_value_heads;  // 0 = num_attention_heads
  int64_t head_dim;             // 0 = hidden_size / num_attention_heads
  int64_t vocab_size, max_position_embeddings;
  double rms_norm_eps;
  double rope_theta;
  std::optional<int64_t> bos, eos, sliding_window;
  Sliding sliding;
  std::string_view activation;  // the one hidden_act of its graph
  bool tied;
};

std::span<const Family> families();

}  // namespace mhub::formats
