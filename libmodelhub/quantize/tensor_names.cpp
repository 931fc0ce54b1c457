// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <charconv>

#include "source_model.h"

namespace mhub::quantize {
namespace {

struct NamePair {
  std::string_view gguf, hugging_face;
};
constexpr std::array<NamePair, 3> kTop = {
    {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}}};
constexpr std::array<NamePair, 9> kLayer = {{{"attn_norm", "input_layernorm"},
                                             {"attn_q", "self_attn.q_proj"},
                                             {"attn_k", "self_attn.k_proj"},
                                             {"attn_v", "self_attn.v_proj"},
                                             {"attn_output", "self_attn.o_proj"},
                                             {"ffn_norm", "post_attention_layernorm"},
                                             {"ffn_gate", "mlp.gate_proj"},
                                             {"ffn_up", "mlp.up_proj"},
                                             {"ffn_down", "mlp.down_proj"}}};

// Splits "PREFIX.N.REST" into N's text and REST.
std::optional<std::pair<std::string_view, std::string_view>> split_layer(std::string_view name,
                                                                         std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  const auto number = name.substr(0, dot);
  unsigned value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size()) return std::nullopt;
  return std::pair(number, name.substr(dot + 1));
}

// "attn_q.weight" with its stem replaced.
template <size_t N>
std::optional<std::string> replace_stem(const std::array<NamePair, N>& table, std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto stem = name.substr(0, dot), ending = name.substr(dot);
  if (ending != ".weight" && ending != ".bias") return std::nullopt;
  for (const auto& pair : table) {
    if (pair.gguf == stem) return std::string(pair.hugging_face) + std::string(ending);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> hugging_face_name(std::string_view gguf_name) {
  if (const auto layer = split_layer(gguf_name, "blk.")) {
    const auto rest = replace_stem(kLayer, layer->second);
    return rest ? std::optional("model.layers." + std::string(layer->first) + "." + *rest) : std::nullopt;
  }
  return replace_stem(kTop, gguf_name);
}

bool is_decoder_linear(std::string_view name) {
  const auto layer = split_layer(name, "model.layers.");
  if (!layer || !layer->second.ends_with("_proj.weight")) return false;
  for (const auto& pair : kLayer) {
    if (layer->second.substr(0, layer->second.rfind('.')) == pair.hugging_face) return true;
  }
  return false;
}

}  // namespace mhub::quantize
