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
constexpr auto kLayerNames = std::to_array<NamePair>({
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.qkv_proj", "attn_qkv"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"self_attn.q_a_proj", "attn_q_a"},
    {"self_attn.q_a_layernorm", "attn_q_a_norm"},
    {"self_attn.q_b_proj", "attn_q_b"},
    {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"},
    {"self_attn.kv_a_layernorm", "attn_kv_a_norm"},
    {"self_attn.kv_b_proj", "attn_kv_b"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.gate_up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"mlp.gate", "ffn_gate_inp"},
    {"mlp.router", "ffn_gate_inp"},
    {"block_sparse_moe.gate", "ffn_gate_inp"},
    {"mlp.shared_expert_gate", "ffn_gate_inp_shexp"},
});
// Modules of an expert, routed (ffn_gate_exps) or shared (ffn_gate_shexp).
constexpr auto kExpertNames = std::to_array<NamePair>({{"gate_proj", "ffn_gate"},
                                                       {"up_proj", "ffn_up"},
                                                       {"down_proj", "ffn_down"},
                                                       {"w1", "ffn_gate"},
                                                       {"w3", "ffn_up"},
                                                       {"w2", "ffn_down"}});
constexpr std::string_view kLayerPrefix = "model.layers.";

template <size_t N>
std::string_view find(const std::array<NamePair, N>& names, std::string_view hf) {
  for (const auto& pair : names) {
    if (pair.hf == hf) return pair.gguf;
  }
  return "";
}

// The module after "model.layers.N.", without .weight or .bias.
std::string layer_module(std::string_view module, bool norms_after) {
  if (module == "post_attention_layernorm") return norms_after ? "post_attention_norm" : "ffn_norm";
  const size_t last = module.rfind('.');
  if (last == std::string_view::npos) return std::string(find(kLayerNames, module));
  const std::string_view outer = module.substr(0, last);
  const bool shared = outer == "mlp.shared_expert" || outer == "mlp.shared_experts";
  if (shared || outer.find(".experts.") != std::string_view::npos) {
    const std::string_view name = find(kExpertNames, module.substr(last + 1));
    return name.empty() ? "" : std::string(name) + (shared ? "_shexp" : "_exps");
  }
  return std::string(find(kLayerNames, module));
}

}  // namespace

std::string gguf_tensor_name(std::string_view hf_name, bool norms_after) {
  const size_t dot = hf_name.rfind('.');
  if (dot == std::string_view::npos) return "";
  const std::string suffix(hf_name.substr(dot));  // ".weight" or ".bias"
  const std::string_view module = hf_name.substr(0, dot);
  if (const auto name = find(kModelNames, module); !name.empty()) return std::string(name) + suffix;
  if (!module.starts_with(kLayerPrefix)) return "";
  const std::string_view in_layer = module.substr(kLayerPrefix.size());
  const size_t end = in_layer.find('.');
  const std::string block = "blk." + std::string(in_layer.substr(0, end)) + ".";
  if (suffix == ".sinks") return block + "attn_sinks.weight";
  if (suffix == ".e_score_correction_bias") return block + "exp_probs_b.bias";
  if (end == std::string_view::npos) return "";
  const std::string name = layer_module(in_layer.substr(end + 1), norms_after);
  return name.empty() ? "" : block + name + suffix;
}

}  // namespace mhub::model
