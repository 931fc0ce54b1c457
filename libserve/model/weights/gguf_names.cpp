// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "weights/tensor_check.h"

namespace mhub::model {
namespace {

struct NamePair {
  std::string_view hf, gguf;
};
constexpr std::array<NamePair, 3> kModelNames = {
    {{"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}}};
constexpr std::array<NamePair, 9> kLayerNames = {{{"input_layernorm", "attn_norm"},
                                                  {"self_attn.q_proj", "attn_q"},
                                                  {"self_attn.k_proj", "attn_k"},
                                                  {"self_attn.v_proj", "attn_v"},
                                                  {"self_attn.o_proj", "attn_output"},
                                                  {"post_attention_layernorm", "ffn_norm"},
                                                  {"mlp.gate_proj", "ffn_gate"},
                                                  {"mlp.up_proj", "ffn_up"},
                                                  {"mlp.down_proj", "ffn_down"}}};
constexpr std::string_view kLayerPrefix = "model.layers.";

}  // namespace

std::string gguf_tensor_name(std::string_view hf_name) {
  const size_t dot = hf_name.rfind('.');
  if (dot == std::string_view::npos) return "";
  const std::string suffix(hf_name.substr(dot));  // ".weight" or ".bias"
  const std::string_view module = hf_name.substr(0, dot);
  for (const auto& [hf, gguf] : kModelNames) {
    if (module == hf) return std::string(gguf) + suffix;
  }
  if (!module.starts_with(kLayerPrefix)) return "";
  const std::string_view in_layer = module.substr(kLayerPrefix.size());
  const size_t end = in_layer.find('.');
  if (end == std::string_view::npos) return "";
  for (const auto& [hf, gguf] : kLayerNames) {
    if (in_layer.substr(end + 1) == hf)
      return "blk." + std::string(in_layer.substr(0, end)) + "." + std::string(gguf) + suffix;
  }
  return "";
}

}  // namespace mhub::model
