// SPDX-License-Identifier: Apache-2.0
// gpt-oss: a learned sink beside every head's scores, a window on every other layer, biases everywhere, and experts
// with a clamped gate whose weights are stored stacked, in MXFP4 as published (weights/stacked_experts.cpp).
#include "families/families.h"
#include "layers/decoder.h"
#include "layers/load_layers.h"
#include "weights/family_tables.h"

namespace mhub::model {
namespace {
const ExpertNames kNames{.router = "router"};
}

std::vector<WeightSpec> gpt_oss_weights(const formats::ModelConfig& c) {
  WeightTable table;
  add_vocabulary(table, c);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(i);
    table.vector(layer + "input_layernorm.weight", c.hidden_size);
    add_attention(table, c, layer + "self_attn.", {.qkv = c.attention_bias, .o = c.attention_bias});
    table.vector(layer + "self_attn.sinks", c.num_attention_heads);
    table.vector(layer + "post_attention_layernorm.weight", c.hidden_size);
    add_experts(table, c, layer + "mlp.", kNames, true);
    table.vector(layer + "mlp.router.bias", c.experts.num_experts);
  }
  return std::move(table).take();
}

Result<std::unique_ptr<CausalLM>> load_gpt_oss(const formats::ModelConfig& c, const WeightLoader& loader) {
  return PreNormDecoder::load(
      c, loader, [&](PreNormDecoder::Layer& layer, int64_t i, const std::string& prefix) -> Result<void> {
        MHUB_TRY(auto attention, load_attention(c, loader, prefix + "self_attn.", i));
        MHUB_TRY(attention->sinks, loader.vector(prefix + "self_attn.sinks"));
        layer.self_attn = std::move(attention);
        MHUB_TRY(auto mlp, load_expert_mlp(c, loader, prefix + "mlp.", kNames));
        mlp->activation = {kernels::Activation::kClampedSilu, static_cast<float>(c.experts.swiglu_alpha),
                           static_cast<float>(c.experts.swiglu_limit)};
        layer.mlp = std::move(mlp);
        return {};
      });
}

}  // namespace mhub::model
