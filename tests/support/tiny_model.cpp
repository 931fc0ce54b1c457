// SPDX-License-Identifier: Apache-2.0
#include "support/tiny_model.h"

#include <cmath>
#include <cstring>

#include "mhub/base/json.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace mhub::test {
namespace {

// Uniform in [-1, 1), the same everywhere.
class Stream {
 public:
  explicit Stream(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x1234567u) {}
  float next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    const uint64_t bits = state_ ^ (state_ >> 29);
    return static_cast<float>((bits >> 20) & 0xffffff) / 8388608.0f - 1.0f;
  }

 private:
  uint64_t state_;
};

float rounded(float value, const std::string& dtype) {
  if (dtype != "BF16") return value;
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u;
  std::memcpy(&value, &bits, 4);
  return value;
}

std::string utf8(uint32_t code_point) {
  std::string out;
  if (code_point < 0x80) {
    out += static_cast<char>(code_point);
  } else {
    out += static_cast<char>(0xc0 | (code_point >> 6));
    out += static_cast<char>(0x80 | (code_point & 0x3f));
  }
  return out;
}

// GPT-2's printable stand-in of each byte.
std::vector<std::string> byte_tokens() {
  std::vector<std::string> tokens(256);
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    tokens[byte] = utf8(printable ? byte : next++);
  }
  return tokens;
}

Json added_token(int32_t id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

std::string tokenizer_json() {
  Json vocab = Json::object();
  const auto tokens = byte_tokens();
  for (size_t id = 0; id < tokens.size(); ++id) vocab[tokens[id]] = id;
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const Json json = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", Json::array({added_token(kTinyEos, "<|endoftext|>"), added_token(kTinyImStart, "<|im_start|>"),
                                    added_token(kTinyImEnd, "<|im_end|>")})},
      {"normalizer", nullptr},
      {"pre_tokenizer", byte_level},
      {"post_processor", byte_level},
      {"decoder", byte_level},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"vocab", vocab},
        {"merges", Json::array()}}}};
  return dump_json(json, 1);
}

std::string tokenizer_config_json() {
  const Json json = {
      {"tokenizer_class", "GPT2Tokenizer"},
      {"eos_token", "<|im_end|>"},
      {"bos_token", nullptr},
      {"add_bos_token", false},
      {"clean_up_tokenization_spaces", false},
      {"chat_template",
       "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
       "'<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"}};
  return dump_json(json, 1);
}

}  // namespace

std::map<std::string, TinyTensor> tiny_tensors(const TinyModelOptions& o) {
  std::map<std::string, TinyTensor> tensors;
  Stream stream(o.seed);
  const auto matrix = [&](const std::string& name, int64_t rows, int64_t cols) {
    TinyTensor& tensor = tensors[name];
    tensor.shape = {rows, cols};
    const float scale = o.spread / std::sqrt(static_cast<float>(cols) / 16.0f);
    for (int64_t i = 0; i < rows * cols; ++i) tensor.values.push_back(rounded(stream.next() * scale, o.dtype));
  };
  const auto vector = [&](const std::string& name, int64_t length, float base) {
    TinyTensor& tensor = tensors[name];
    tensor.shape = {length};
    for (int64_t i = 0; i < length; ++i) tensor.values.push_back(rounded(base + stream.next() * 0.2f, o.dtype));
  };
  const auto linear = [&](const std::string& module, int64_t rows, int64_t cols, bool bias) {
    matrix(module + ".weight", rows, cols);
    if (bias) vector(module + ".bias", rows, 0.0f);
  };
  const bool qwen2 = o.architecture == "Qwen2ForCausalLM";
  const int64_t q_size = o.num_attention_heads * o.head_dim, kv_size = o.num_key_value_heads * o.head_dim;
  matrix("model.embed_tokens.weight", o.vocab_size, o.hidden_size);
  for (int64_t i = 0; i < o.num_hidden_layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    vector(layer + "input_layernorm.weight", o.hidden_size, 1.0f);
    linear(layer + "self_attn.q_proj", q_size, o.hidden_size, qwen2 || o.attention_bias);
    linear(layer + "self_attn.k_proj", kv_size, o.hidden_size, qwen2 || o.attention_bias);
    linear(layer + "self_attn.v_proj", kv_size, o.hidden_size, qwen2 || o.attention_bias);
    linear(layer + "self_attn.o_proj", o.hidden_size, q_size, !qwen2 && o.attention_bias);
    vector(layer + "post_attention_layernorm.weight", o.hidden_size, 1.0f);
    linear(layer + "mlp.gate_proj", o.intermediate_size, o.hidden_size, o.mlp_bias);
    linear(layer + "mlp.up_proj", o.intermediate_size, o.hidden_size, o.mlp_bias);
    linear(layer + "mlp.down_proj", o.hidden_size, o.intermediate_size, o.mlp_bias);
  }
  vector("model.norm.weight", o.hidden_size, 1.0f);
  if (!o.tie_word_embeddings) matrix("lm_head.weight", o.vocab_size, o.hidden_size);
  return tensors;
}

std::string tiny_config_json(const TinyModelOptions& o) {
  const std::map<std::string, std::string> types = {
      {"LlamaForCausalLM", "llama"}, {"MistralForCausalLM", "mistral"}, {"Qwen2ForCausalLM", "qwen2"}};
  Json json = {{"architectures", {o.architecture}},
               {"model_type", types.at(o.architecture)},
               {"hidden_act", "silu"},
               {"hidden_size", o.hidden_size},
               {"intermediate_size", o.intermediate_size},
               {"num_hidden_layers", o.num_hidden_layers},
               {"num_attention_heads", o.num_attention_heads},
               {"num_key_value_heads", o.num_key_value_heads},
               {"head_dim", o.head_dim},
               {"vocab_size", o.vocab_size},
               {"max_position_embeddings", o.max_position_embeddings},
               {"rms_norm_eps", 1e-6},
               {"rope_theta", o.rope_theta},
               {"tie_word_embeddings", o.tie_word_embeddings},
               {"bos_token_id", kTinyEos},
               {"eos_token_id", kTinyImEnd},
               {"sliding_window", nullptr},
               {"torch_dtype", o.dtype == "BF16" ? "bfloat16" : "float32"}};
  if (o.architecture == "LlamaForCausalLM") {
    json["attention_bias"] = o.attention_bias;
    json["mlp_bias"] = o.mlp_bias;
  }
  if (o.architecture == "Qwen2ForCausalLM") json["use_sliding_window"] = false;
  if (!o.rope_scaling.empty()) json["rope_scaling"] = Json::parse(o.rope_scaling);
  return dump_json(json, 1);
}

std::string tiny_safetensors(const std::map<std::string, TinyTensor>& tensors, const std::string& dtype) {
  SafetensorsBuilder builder;
  builder.metadata("format", "pt");
  for (const auto& [name, tensor] : tensors) {
    const size_t width = dtype == "BF16" ? 2 : 4;
    std::string data(tensor.values.size() * width, '\0');
    for (size_t i = 0; i < tensor.values.size(); ++i) {
      const auto* value = reinterpret_cast<const char*>(&tensor.values[i]);
      std::memcpy(data.data() + i * width, value + (4 - width), width);
    }
    builder.add(name, dtype, tensor.shape, data);
  }
  return builder.build();
}

void write_tiny_model(const std::filesystem::path& dir, const TinyModelOptions& options) {
  write_file(dir / "config.json", tiny_config_json(options));
  write_file(dir / "generation_config.json", dump_json(Json{{"eos_token_id", {kTinyEos, kTinyImEnd}}}, 1));
  write_file(dir / "model.safetensors", tiny_safetensors(tiny_tensors(options), options.dtype));
  write_file(dir / "tokenizer.json", tokenizer_json());
  write_file(dir / "tokenizer_config.json", tokenizer_config_json());
}

}  // namespace mhub::test
