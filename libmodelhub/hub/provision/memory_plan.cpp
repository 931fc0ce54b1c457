// SPDX-License-Identifier: Apache-2.0
#include "mhub/hub/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "mhub/base/json.h"

namespace mhub::hub {
namespace {

constexpr uint64_t kMiB = 1u << 20;
constexpr uint64_t kGroup = 128;           // of quantized weights
constexpr uint64_t kStepTokens = 2048;     // one step of the engine
constexpr uint64_t kRuntime = 512 * kMiB;  // of driver and libraries, per card
constexpr uint64_t kLargestNumber = uint64_t{1} << 40;

struct Card {
  std::string_view name;
  uint64_t mib;
};
// As nvidia-smi shows them.
constexpr std::array kCards = {
    Card{"a10", 23028},     Card{"a100-40", 40960}, Card{"a100", 81920}, Card{"b200", 183359},   Card{"h100", 81559},
    Card{"h200", 143771},   Card{"l4", 23034},      Card{"l40s", 46068}, Card{"rtx3090", 24576}, Card{"rtx4090", 24564},
    Card{"rtx5090", 32607}, Card{"t4", 15360},      Card{"v100", 32768},
};

// Typed reads of one object; the first error stays.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}
  bool has(const char* name) const { return object_.contains(name) && !object_.at(name).is_null(); }
  uint64_t number(std::initializer_list<const char*> names, uint64_t absent) {
    for (const char* name : names) {
      if (!has(name)) continue;
      const Json& value = object_.at(name);
      if (value.is_number_unsigned() && value.get<uint64_t>() <= kLargestNumber) return value.get<uint64_t>();
      fail(fmt::format("'{}' is no number from 0 to 2^40", name));
      return absent;
    }
    return absent;
  }
  uint64_t needed(const char* name) {
    const uint64_t value = number({name}, 0);
    if (value == 0) fail(fmt::format("'{}' is missing or 0", name));
    return value;
  }
  std::string text(const char* name) const {
    return has(name) && object_.at(name).is_string() ? object_.at(name).get<std::string>() : "";
  }
  bool flag(const char* name, bool absent) const {
    return has(name) && object_.at(name).is_boolean() ? object_.at(name).get<bool>() : absent;
  }
  const Json* object(const char* name) const {
    return has(name) && object_.at(name).is_object() ? &object_.at(name) : nullptr;
  }
  const Json* array(const char* name) const {
    return has(name) && object_.at(name).is_array() ? &object_.at(name) : nullptr;
  }
  void fail(const std::string& what) {
    if (error_.empty()) error_ = what;
  }
  const std::string& error() const { return error_; }

 private:
  const Json& object_;
  std::string error_;
};

double bits_of(const std::string& dtype) {
  if (dtype == "float32") return 32;
  if (dtype.starts_with("float8")) return 8;
  return 16;
}

// Bits of a quantized weight with its share of scale and zero point.
double bits_with_scales(double bits, double group) {
  return group > 0 ? bits + (16 + bits) / group : bits;
}

void read_quantization(const Json& quantization, ModelShape& shape) {
  Fields fields(quantization);
  const std::string method = fields.text("quant_method");
  if (method == "fp8") {
    // One float32 scale for each block of the weight.
    double block = 0;
    if (const Json* size = fields.array("weight_block_size"); size && size->size() == 2) {
      if ((*size)[0].is_number_unsigned() && (*size)[1].is_number_unsigned()) {
        block = static_cast<double>((*size)[0].get<uint64_t>()) * static_cast<double>((*size)[1].get<uint64_t>());
      }
    }
    shape.matrix_bits = block > 0 ? 8 + 32 / block : 8;
    shape.weights = "FP8";
    return;
  }
  double bits = static_cast<double>(fields.number({"bits", "w_bit"}, 0));
  double group = static_cast<double>(fields.number({"group_size", "q_group_size"}, 0));
  if (const Json* groups = fields.object("config_groups"); groups && !groups->empty()) {
    const Json& first = *groups->begin();
    if (first.is_object() && first.contains("weights") && first.at("weights").is_object()) {
      Fields weights(first.at("weights"));
      bits = static_cast<double>(weights.number({"num_bits"}, 0));
      group = static_cast<double>(weights.number({"group_size"}, 0));
    }
  }
  if (fields.flag("load_in_4bit", false)) bits = 4, group = 64;
  if (fields.flag("load_in_8bit", false)) bits = 8;
  if (method == "mxfp4") bits = 4, group = 64;  // 8 bits of scale for 32 weights
  if (bits < 1 || bits > 16) return;            // unknown: as if not quantized
  shape.matrix_bits = bits_with_scales(bits, group);
  shape.weights = fmt::format("{}-bit ({})", bits, method.empty() ? "quantized" : method);
}

void read_experts(Fields& fields, ModelShape& shape) {
  shape.experts = fields.number({"n_routed_experts", "num_local_experts", "num_experts"}, 0);
  if (shape.experts == 0) return;
  shape.experts_per_token = fields.number({"num_experts_per_tok", "num_experts_per_token"}, 1);
  shape.expert_intermediate = fields.number({"moe_intermediate_size"}, shape.intermediate);
  shape.shared_experts = fields.number({"n_shared_experts"}, 0);
  shape.shared_intermediate =
      fields.number({"shared_expert_intermediate_size"}, shape.shared_experts * shape.expert_intermediate);
  shape.dense_layers = std::min(fields.number({"first_k_dense_replace"}, 0), shape.layers);
}

void read_windows(Fields& fields, ModelShape& shape) {
  const uint64_t window = fields.number({"sliding_window"}, 0);
  if (window == 0 || !fields.flag("use_sliding_window", true)) return;
  uint64_t windowed = 0;
  if (const Json* types = fields.array("layer_types")) {
    windowed = static_cast<uint64_t>(std::count(types->begin(), types->end(), "sliding_attention"));
  } else if (const uint64_t pattern = fields.number({"sliding_window_pattern"}, 0); pattern > 0) {
    windowed = shape.layers - shape.layers / pattern;
  } else if (!fields.has("use_sliding_window") && !fields.has("max_window_layers")) {
    windowed = shape.layers;
  }
  shape.window = window;
  shape.windowed_layers = std::min(windowed, shape.layers);
}

struct LayerParameters {
  uint64_t matrices = 0, others = 0;
};

LayerParameters attention_of(const ModelShape& s) {
  LayerParameters p;
  if (s.kv_rank > 0) {
    const uint64_t query_dim = s.heads * (s.nope_dim + s.rope_dim);
    p.matrices = s.q_rank > 0 ? s.hidden * s.q_rank + s.q_rank * query_dim : s.hidden * query_dim;
    p.matrices += s.hidden * (s.kv_rank + s.rope_dim) + s.kv_rank * s.heads * (s.nope_dim + s.value_dim) +
                  s.heads * s.value_dim * s.hidden;
    p.others = s.q_rank + s.kv_rank;
  } else {
    const uint64_t query_dim = s.heads * s.head_dim, kv_dim = s.kv_heads * s.head_dim;
    p.matrices = s.hidden * (2 * query_dim + 2 * kv_dim);
    if (s.qkv_bias) p.others = query_dim + 2 * kv_dim;
  }
  p.others += 2 * s.hidden;  // the two norms
  return p;
}

void count_parameters(ModelShape& s) {
  const LayerParameters attention = attention_of(s);
  const uint64_t dense_mlp = 3 * s.hidden * s.intermediate;
  const uint64_t expert = 3 * s.hidden * s.expert_intermediate, shared = 3 * s.hidden * s.shared_intermediate;
  const uint64_t router = s.hidden * s.experts + (s.kv_rank > 0 ? s.experts : 0);
  const uint64_t moe_layers = s.experts > 0 ? s.layers - s.dense_layers : 0;
  const uint64_t plain_layers = s.layers - moe_layers;
  const uint64_t embedding = s.vocab * s.hidden * (s.tied_embeddings ? 1 : 2);
  s.matrix_parameters =
      s.layers * attention.matrices + plain_layers * dense_mlp + moe_layers * (s.experts * expert + shared);
  s.other_parameters = s.layers * attention.others + moe_layers * router + embedding + s.hidden;
  const uint64_t active_moe = s.experts_per_token * expert + shared + router;
  s.active_parameters = s.layers * (attention.matrices + attention.others) + plain_layers * dense_mlp +
                        moe_layers * active_moe + s.vocab * s.hidden + s.hidden;
  // Each brings a layer like the last, a projection of two hidden states, three norms, and copies of embedding and
  // head.
  const uint64_t last_mlp = moe_layers > 0 ? s.experts * expert + shared + router : dense_mlp;
  s.extra_parameters = s.extra_predict_layers * (attention.matrices + attention.others + last_mlp +
                                                 2 * s.hidden * s.hidden + 3 * s.hidden + 2 * s.vocab * s.hidden);
}

Error bad_config(const std::string& what) {
  return {ErrorCode::kBadModel, fmt::format("plan memory from config.json: {}", what),
          "the arithmetic needs a Hugging Face config of a decoder", ""};
}

}  // namespace

Result<ModelShape> read_model_shape(std::string_view config_json) {
  const auto document = parse_json(config_json);
  if (!document) return bad_config(document.error().message);
  if (!document->is_object()) return bad_config("it is no object");
  const Fields top(*document);
  ModelShape shape;
  if (const Json* names = top.array("architectures"); names && !names->empty() && names->front().is_string()) {
    shape.architecture = names->front().get<std::string>();
  }
  const Json* inner = top.object("text_config");
  Fields fields(inner ? *inner : *document);
  shape.model_type = fields.text("model_type");
  shape.hidden = fields.needed("hidden_size");
  shape.layers = fields.needed("num_hidden_layers");
  shape.heads = fields.needed("num_attention_heads");
  shape.vocab = fields.needed("vocab_size");
  shape.intermediate = fields.number({"intermediate_size"}, 0);
  shape.kv_heads = fields.number({"num_key_value_heads"}, shape.heads);
  shape.head_dim = fields.number({"head_dim"}, shape.heads == 0 ? 0 : shape.hidden / shape.heads);
  shape.max_context = fields.number({"max_position_embeddings"}, 0);
  const bool gemma = shape.model_type.starts_with("gemma");
  shape.tied_embeddings = fields.flag("tie_word_embeddings", top.flag("tie_word_embeddings", gemma));
  shape.qkv_bias = fields.flag("attention_bias", shape.model_type.starts_with("qwen2"));
  shape.kv_rank = fields.number({"kv_lora_rank"}, 0);
  shape.q_rank = fields.number({"q_lora_rank"}, 0);
  shape.rope_dim = fields.number({"qk_rope_head_dim"}, 0);
  shape.nope_dim = fields.number({"qk_nope_head_dim"}, 0);
  shape.value_dim = fields.number({"v_head_dim"}, 0);
  shape.extra_predict_layers = fields.number({"num_nextn_predict_layers"}, 0);
  read_experts(fields, shape);
  read_windows(fields, shape);
  for (const Fields* place : {static_cast<const Fields*>(&fields), &top}) {
    for (const char* name : {"dtype", "torch_dtype"}) {
      if (const std::string dtype = place->text(name); !dtype.empty()) shape.dtype = dtype;
    }
  }
  shape.matrix_bits = bits_of(shape.dtype);
  shape.weights = shape.dtype == "float32" ? "F32" : shape.dtype == "float16" ? "F16" : "BF16";
  const Json* quantization = top.object("quantization_config");
  if (!quantization) quantization = fields.object("quantization_config");
  if (quantization) read_quantization(*quantization, shape);
  const bool sane =
      shape.hidden <= (1u << 20) && shape.layers <= 10'000 && shape.heads <= (1u << 16) &&
      shape.kv_heads <= (1u << 16) && shape.head_dim <= (1u << 16) && shape.vocab <= (1u << 26) &&
      shape.intermediate <= (1u << 22) && shape.expert_intermediate <= (1u << 22) &&
      shape.shared_intermediate <= (1u << 22) && shape.experts <= (1u << 16) &&
      std::max({shape.kv_rank, shape.q_rank, shape.rope_dim, shape.nope_dim, shape.value_dim}) <= (1u << 20) &&
      shape.extra_predict_layers <= 100 && shape.experts_per_token <= shape.experts;
  if (!sane) fields.fail("a size is out of every range");
  if (!fields.error().empty()) return bad_config(fields.error());
  count_parameters(shape);
  return shape;
}

MemoryPlan plan_memory(const ModelShape& s, const MemoryAsk& ask, std::optional<uint64_t> stored_bytes) {
  MemoryPlan plan;
  plan.context = s.max_context > 0 ? std::min(ask.context, s.max_context) : ask.context;
  plan.concurrency = ask.concurrency;
  const double other_bits = bits_of(s.dtype);
  const double matrix_bits = ask.bits ? bits_with_scales(*ask.bits, kGroup) : s.matrix_bits;
  const double exact = static_cast<double>(s.matrix_parameters) * matrix_bits / 8 +
                       static_cast<double>(s.other_parameters) * other_bits / 8;
  plan.weights_as_stored = stored_bytes && !ask.bits;
  plan.weights_bytes = plan.weights_as_stored ? *stored_bytes : static_cast<uint64_t>(std::llround(exact));
  plan.weights = ask.bits ? fmt::format("{}-bit, groups of {}", *ask.bits, kGroup) : s.weights;

  const uint64_t per_layer =
      (s.kv_rank > 0 ? s.kv_rank + s.rope_dim : 2 * s.kv_heads * s.head_dim) * static_cast<uint64_t>(ask.kv_bits) / 8;
  plan.kv_bytes_per_token = per_layer * s.layers;
  // Where some layers see the whole context, the CUDA back end keeps it for all of them. Steps in flight write up to
  // twice a step's tokens beyond a window.
  const bool all_slide = s.windowed_layers == s.layers;
  const auto kv_of = [&](uint64_t context) {
    return per_layer * s.layers * (all_slide ? std::min(context, s.window + 2 * kStepTokens) : context);
  };
  plan.kv_bytes = kv_of(plan.context) * plan.concurrency;

  const uint64_t widest = std::max(s.intermediate, s.experts_per_token * s.expert_intermediate + s.shared_intermediate);
  const auto workspace_of = [&](uint64_t concurrency) {
    return kStepTokens * (6 * s.hidden + 3 * widest) * 2 + concurrency * s.vocab * 4 + ask.cards * kRuntime;
  };
  plan.workspace_bytes = workspace_of(plan.concurrency);
  plan.total_bytes = plan.weights_bytes + plan.kv_bytes + plan.workspace_bytes;
  if (!ask.memory) return plan;

  plan.usable_bytes = static_cast<uint64_t>(static_cast<double>(*ask.memory) * ask.utilization);
  plan.fits = plan.total_bytes <= plan.usable_bytes;
  const auto fits = [&](uint64_t context, uint64_t concurrency) {
    return plan.weights_bytes + kv_of(context) * concurrency + workspace_of(concurrency) <= plan.usable_bytes;
  };
  // The largest that fits, by halving; 0 when none does.
  const auto largest = [](uint64_t limit, const auto& good) {
    uint64_t low = 0, high = limit;
    while (low < high) {
      const uint64_t middle = low + (high - low + 1) / 2;
      if (good(middle)) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  };
  plan.largest_context = largest(s.max_context > 0 ? s.max_context : uint64_t{1} << 24,
                                 [&](uint64_t context) { return fits(context, plan.concurrency); });
  plan.largest_concurrency = largest(1u << 16, [&](uint64_t concurrency) { return fits(plan.context, concurrency); });
  return plan;
}

Result<CardMemory> card_memory(std::string_view text) {
  const size_t colon = text.find(':');
  CardMemory memory;
  memory.name = std::string(text.substr(0, colon));
  std::transform(memory.name.begin(), memory.name.end(), memory.name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  const auto card =
      std::find_if(kCards.begin(), kCards.end(), [&](const Card& known) { return known.name == memory.name; });
  bool good = card != kCards.end();
  if (good && colon != std::string_view::npos) {
    const std::string_view count = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), memory.cards);
    good = error == std::errc() && end == count.data() + count.size() && memory.cards >= 1 && memory.cards <= 1024;
  }
  if (good) {
    memory.bytes = card->mib * kMiB * memory.cards;
    return memory;
  }
  std::string names;
  for (const Card& known : kCards) names += (names.empty() ? "" : ", ") + std::string(known.name);
  return Error{ErrorCode::kUsage, fmt::format("read --device '{}': unknown card", printable(text)),
               fmt::format("write one of {}, with :N for several; or --memory 24GiB", names), ""};
}

}  // namespace mhub::hub
