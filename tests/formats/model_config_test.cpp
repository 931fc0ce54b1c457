// SPDX-License-Identifier: Apache-2.0
#include "mhub/formats/model_config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "mhub/base/json.h"
#include "support/safetensors_builder.h"
#include "support/shared_dir.h"
#include "support/temp_dir.h"

namespace mhub::formats {
namespace {
using test::write_file;

Json llama() {
  return Json::parse(
      R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,"intermediate_size":128,
    "num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":256,"max_position_embeddings":512,
    "rms_norm_eps":1e-5,"hidden_act":"silu","tie_word_embeddings":false,"bos_token_id":1,"eos_token_id":2,
    "rope_theta":10000.0,"rope_scaling":null,"torch_dtype":"float32","attention_bias":false,"mlp_bias":false})");
}

class Config : public ::testing::Test {
 protected:
  Result<ModelConfig> read(const Json& json) { return read_text(json.dump()); }
  Result<ModelConfig> read_text(const std::string& text) {
    write_file(dir / "config.json", text);
    return read_model_config(dir.path());
  }
  ModelConfig good(const Json& json) {
    auto config = read(json);
    EXPECT_TRUE(config) << config.error().message;
    return config ? *config : ModelConfig{};
  }
  void refused(const Json& json, const std::string& what) { refused_text(json.dump(), what); }
  void refused_text(const std::string& text, const std::string& what) {
    const auto config = read_text(text);
    ASSERT_FALSE(config) << "accepted: " << text.substr(0, 1000) << "\nexpected: " << what;
    EXPECT_EQ(config.error().code, ErrorCode::kBadModel);
    EXPECT_NE(config.error().message.find("config.json"), std::string::npos) << config.error().message;
    EXPECT_NE(config.error().message.find(what), std::string::npos) << config.error().message << "\nexpected: " << what;
  }
  Json with(const std::string& key, const Json& value) {
    Json json = llama();
    json[key] = value;
    return json;
  }
  test::TempDir dir;
};

TEST_F(Config, ReadsTheFields) {
  const auto c = good(llama());
  EXPECT_EQ(c.architecture, "LlamaForCausalLM");
  EXPECT_EQ(c.hidden_size, 64);
  EXPECT_EQ(c.head_dim, 16);
  EXPECT_EQ(c.num_key_value_heads, 2);
  EXPECT_EQ(c.rms_norm_eps, 1e-5);
  EXPECT_EQ(c.rope_scaling.rope_type, "default");
  EXPECT_EQ(c.torch_dtype, kernels::DType::kF32);
  EXPECT_EQ(c.eos_token_ids, std::vector<int64_t>{2});
  EXPECT_EQ(c.bos_token_id, 1);
  EXPECT_FALSE(c.sliding_window);
  EXPECT_FALSE(c.quantization);
}

TEST_F(Config, AbsentMeansTheClassDefault) {
  const auto l = good(Json{{"architectures", {"LlamaForCausalLM"}}});
  EXPECT_EQ(l.hidden_size, 4096);
  EXPECT_EQ(l.num_key_value_heads, 32);
  EXPECT_EQ(l.max_position_embeddings, 2048);
  EXPECT_EQ(l.rms_norm_eps, 1e-6);
  EXPECT_EQ(l.eos_token_ids, std::vector<int64_t>{2});
  const auto m = good(Json{{"model_type", "mistral"}});
  EXPECT_EQ(m.architecture, "MistralForCausalLM");
  EXPECT_EQ(m.num_key_value_heads, 8);
  EXPECT_EQ(m.sliding_window, 4096);
  EXPECT_EQ(m.max_position_embeddings, 131072);
  const auto q = good(Json{{"architectures", {"Qwen2ForCausalLM"}}});
  EXPECT_EQ(q.vocab_size, 151936);
  EXPECT_TRUE(q.attention_bias);
  EXPECT_FALSE(q.sliding_window);
  EXPECT_TRUE(q.eos_token_ids.empty());
  Json kv_null{{"model_type", "mistral"}, {"num_key_value_heads", nullptr}, {"sliding_window", nullptr}};
  EXPECT_EQ(good(kv_null).num_key_value_heads, 32);
  EXPECT_FALSE(good(kv_null).sliding_window);
}

TEST_F(Config, BothSpellingsOfRopeAndDtype) {
  Json json = llama();
  for (const char* key : {"rope_theta", "rope_scaling", "torch_dtype"}) json.erase(key);
  json["rope_parameters"] = {{"rope_theta", 100000.0}, {"rope_type", "default"}};
  json["dtype"] = "bfloat16";
  const auto c = good(json);
  EXPECT_EQ(c.rope_theta, 100000.0);
  EXPECT_EQ(c.torch_dtype, kernels::DType::kBF16);
  json["rope_theta"] = 100000.0;
  json["torch_dtype"] = "torch.bfloat16";
  good(json);
  json["rope_theta"] = 500000.0;
  refused(json, "/rope_parameters/rope_theta: 100000 contradicts /rope_theta 500000");
  json["rope_theta"] = 100000.0;
  json["torch_dtype"] = "float16";
  refused(json, "/dtype: \"bfloat16\" contradicts torch_dtype \"float16\"");
  refused(with("torch_dtype", "bf16"), "/torch_dtype: unknown type \"bf16\"");
}

TEST_F(Config, RopeTypes) {
  const auto llama3 = good(with("rope_scaling", {{"rope_type", "llama3"},
                                                 {"factor", 8.0},
                                                 {"low_freq_factor", 1.0},
                                                 {"high_freq_factor", 4.0},
                                                 {"original_max_position_embeddings", 128}}));
  EXPECT_EQ(llama3.rope_scaling.rope_type, "llama3");
  EXPECT_EQ(llama3.rope_scaling.original_max_position_embeddings, 128);
  const auto yarn = good(
      with("rope_scaling", {{"type", "yarn"}, {"factor", 4}, {"beta_fast", 30}, {"mscale", 1.0}, {"truncate", false}}));
  EXPECT_EQ(yarn.rope_scaling.rope_type, "yarn");
  EXPECT_EQ(yarn.rope_scaling.factor, 4);
  EXPECT_EQ(yarn.rope_scaling.beta_fast, 30);
  EXPECT_FALSE(yarn.rope_scaling.truncate);
  EXPECT_EQ(yarn.rope_scaling.mscale, 1.0);
  EXPECT_EQ(good(with("rope_scaling", {{"type", "linear"}, {"factor", 2.5}})).rope_scaling.factor, 2.5);
  const Json factors = Json::array({1, 2, 3, 4, 5, 6, 7, 8});
  Json longrope{
      {"type", "su"}, {"long_factor", factors}, {"short_factor", factors}, {"original_max_position_embeddings", 64}};
  EXPECT_EQ(good(with("rope_scaling", longrope)).rope_scaling.rope_type, "longrope");
  longrope["short_factor"] = {1, 2};
  refused(with("rope_scaling", longrope), "/rope_scaling/short_factor: 2 entries, the head needs 8");
  refused(with("rope_scaling", {{"type", "ntk"}}), "/rope_scaling/type: unknown rope type \"ntk\"");
  refused(with("rope_scaling", {{"rope_type", "linear"}}), "/rope_scaling/factor: missing");
  refused(with("rope_scaling", {{"rope_type", "linear"}, {"factor", 0.5}}),
          "/rope_scaling/factor: 0.5 is not a number from 1");
  refused(with("rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}), "missing, rope type llama3 needs it");
  refused(with("rope_scaling", {{"rope_type", "yarn"}, {"factor", 4}, {"attn_factor", 1}}),
          "/rope_scaling/attn_factor: unknown field");
  refused(with("rope_scaling", {{"rope_type", "yarn"}, {"type", "linear"}, {"factor", 4}}), "contradicts rope_type");
  refused(with("rope_scaling", "linear"), "/rope_scaling: \"linear\" is not an object");
  refused(with("rope_parameters", {{"full_attention", {{"rope_theta", 1e4}}}}), "rope by layer type is not supported");
  Json both = with("rope_scaling", {{"type", "linear"}, {"factor", 2.0}});
  both["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 4.0}};
  refused(both, "/rope_parameters: it contradicts /rope_scaling");
}

// C01: every numeric field against every kind of wrong value.
TEST_F(Config, EveryNumberIsCheckedForTypeAndRange) {
  const std::vector<std::string> integers = {
      "hidden_size",         "intermediate_size", "num_hidden_layers",       "num_attention_heads",
      "num_key_value_heads", "vocab_size",        "max_position_embeddings", "head_dim"};
  for (const auto& key : integers) {
    for (const char* bad : {"0", "-1", "-0.0", "64.0", "1e308", "9007199254740993", "2147483647", "9223372036854775808",
                            "\"64\"", "true", "[]", "{}"}) {
      SCOPED_TRACE(key + " = " + bad);
      Json json = llama();
      json[key] = Json::parse(bad);
      refused(json, "/" + key + ": ");
    }
  }
  for (const auto& key : {"rms_norm_eps", "rope_theta"}) {
    for (const char* bad : {"0", "-1", "1e308", "\"1\"", "[1]", "false"}) {
      SCOPED_TRACE(std::string(key) + " = " + bad);
      Json json = llama();
      json[key] = Json::parse(bad);
      refused(json, std::string("/") + key + ": ");
    }
  }
  for (const auto& key : {"tie_word_embeddings", "attention_bias", "mlp_bias"})
    refused(with(key, 1), std::string("/") + key + ": 1 is not true or false");
  refused_text(R"({"model_type":"llama","model_type":"llama"})", "duplicate key");
  refused_text("[]", "the top level is not an object");
  refused_text("", "malformed JSON");
  refused_text("{\"vocab_size\": NaN}", "malformed JSON");
}

TEST_F(Config, FieldsAgreeWithEachOther) {  // G07's cross checks, for config.json
  refused(with("num_key_value_heads", 3), "not a multiple of 3 key-value heads");
  refused(with("num_key_value_heads", 8), "not a multiple of 8 key-value heads");
  Json json = llama();
  json["num_attention_heads"] = 6;
  json["num_key_value_heads"] = 6;
  refused(json, "/hidden_size: 64 is not divisible by num_attention_heads 6");
  json["head_dim"] = 16;
  EXPECT_EQ(good(json).head_dim, 16);
  refused(with("head_dim", 15), "head_dim 15 is odd");
  refused(with("partial_rotary_factor", 0.2), "rotates 3 values");
  EXPECT_EQ(good(with("partial_rotary_factor", 0.5)).partial_rotary_factor, 0.5);
  refused(with("eos_token_id", 256), "/eos_token_id: 256 is not an integer from 0 to 255");
  refused(with("bos_token_id", -1), "/bos_token_id");
  EXPECT_EQ(good(with("eos_token_id", {2, 3, 2})).eos_token_ids, (std::vector<int64_t>{2, 3}));
  refused(with("eos_token_id", std::vector<int>(1025, 1)), "1025 entries, over the limit of 1024");
  refused(with("hidden_act", "gelu"), "/hidden_act: \"gelu\" is not supported");
}

TEST_F(Config, ArchitecturesAreNeverGuessed) {  // C03
  refused(with("architectures", {"GemmaForCausalLM"}), "/architectures/0: \"GemmaForCausalLM\" is not supported");
  refused(Json{{"model_type", "phi"}}, "/model_type: \"phi\" is not supported");
  refused(Json::object(), "/architectures: missing");
  refused(with("model_type", "qwen2"), "/model_type: \"qwen2\" contradicts");
  refused(with("architectures", "LlamaForCausalLM"), "/architectures");
  good(with("auto_map", {{"AutoModel", "evil.Model"}}));  // read past, never run
  const auto hint = read(with("architectures", {"X"})).error().hint;
  EXPECT_NE(hint.find("LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM"), std::string::npos) << hint;
}

TEST_F(Config, SlidingWindowOnlyWhenUsed) {
  Json qwen = llama();
  qwen["architectures"] = {"Qwen2ForCausalLM"};
  qwen["model_type"] = "qwen2";
  qwen["sliding_window"] = 128;
  EXPECT_FALSE(good(qwen).sliding_window);
  qwen["use_sliding_window"] = true;
  EXPECT_FALSE(good(qwen).sliding_window);  // max_window_layers 28 of 2 layers
  qwen["max_window_layers"] = 1;
  EXPECT_EQ(good(qwen).sliding_window, 128);
  qwen["sliding_window"] = 512;
  EXPECT_FALSE(good(qwen).sliding_window);  // as long as the context
  qwen["layer_types"] = {"full_attention"};
  refused(qwen, "/layer_types: 1 entries for 2 layers");
  qwen["layer_types"] = {"full_attention", "linear_attention"};
  refused(qwen, "unknown layer type \"linear_attention\"");
  qwen["sliding_window"] = nullptr;
  qwen["layer_types"] = {"full_attention", "sliding_attention"};
  refused(qwen, "sliding_attention without a sliding window");
}

TEST_F(Config, DepthBombs) {  // C02
  const auto nested = [](int depth) {
    return "{\"model_type\":\"llama\",\"x\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_TRUE(read_text(nested(31)));
  EXPECT_TRUE(read_text(nested(32)));
  refused_text(nested(33), "nested deeper than 32");
  refused_text(nested(100'000), "nested deeper than 32");
  refused_text("{\"x\":" + std::string(1'000'000, '['), "nested deeper than 32");
}

TEST_F(Config, SizeLimit) {
  std::string text = llama().dump();
  text.append((8u << 20) - text.size(), ' ');
  EXPECT_TRUE(read_text(text));
  refused_text(text + " ", "over the limit of 8388608");
}

Json compressed(const Json& weights, const std::string& format) {
  Json json = llama();
  json["quantization_config"] = {
      {"quant_method", "compressed-tensors"},
      {"format", format},
      {"ignore", {"lm_head"}},
      {"config_groups",
       {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}, {"input_activations", nullptr}}}}}};
  return json;
}

TEST_F(Config, CompressedTensors) {
  const Json weights{
      {"num_bits", 4}, {"type", "int"}, {"symmetric", false}, {"strategy", "group"}, {"group_size", 128}};
  const auto q = good(compressed(weights, "pack-quantized")).quantization;
  ASSERT_TRUE(q);
  EXPECT_EQ(q->num_bits, 4);
  EXPECT_EQ(q->group_size, 128);
  EXPECT_FALSE(q->symmetric);
  EXPECT_EQ(q->ignore, std::vector<std::string>{"lm_head"});
  const Json channel{{"num_bits", 8}, {"type", "int"}, {"symmetric", true}, {"strategy", "channel"}};
  EXPECT_EQ(good(compressed(channel, "int-quantized")).quantization->group_size, 0);
  const auto changed = [&](const std::string& key, const Json& value) {
    Json w = weights;
    w[key] = value;
    return compressed(w, "pack-quantized");
  };
  refused(changed("num_bits", 3), "/quantization_config/config_groups/group_0/weights/num_bits: 3 is not supported");
  refused(changed("type", "float"), "weights/type: \"float\" of 4 bits");
  refused(changed("strategy", "tensor"), "weights/strategy: \"tensor\" is not supported");
  refused(changed("group_size", nullptr), "weights/group_size: missing");
  EXPECT_TRUE(good(changed("actorder", "group")).quantization);  // the files' weight_g_idx says what it means
  refused(changed("actorder", "sorted"), "weights/actorder: unknown value \"sorted\"");
  refused(changed("dynamic", true), "weights/dynamic");
  refused(compressed(weights, "marlin-24"), "/quantization_config/format: \"marlin-24\" is not supported");
  Json two = compressed(weights, "pack-quantized");
  two["quantization_config"]["config_groups"]["group_1"] = two["quantization_config"]["config_groups"]["group_0"];
  refused(two, "2 groups, exactly one is supported");
  for (const char* method : {"bitsandbytes", "something"}) {
    refused(with("quantization_config", {{"quant_method", method}, {"bits", 4}}),
            std::string("/quantization_config/quant_method: \"") + method + "\" is not supported");
  }
  refused(with("quantization_config", {{"bits", 4}}), "/quantization_config/quant_method: missing");
  const auto gptq = good(with("quantization_config", {{"quant_method", "gptq"}, {"bits", 8}, {"group_size", -1}}));
  EXPECT_EQ(gptq.quantization->num_bits, 8);
  EXPECT_EQ(gptq.quantization->group_size, 0);
  EXPECT_TRUE(gptq.quantization->zeros_less_one);
  EXPECT_FALSE(
      good(with("quantization_config", {{"quant_method", "gptq"}, {"bits", 4}, {"checkpoint_format", "gptq_v2"}}))
          .quantization->zeros_less_one);
  refused(with("quantization_config", {{"quant_method", "gptq"}, {"bits", 3}}), "/quantization_config/bits: 3");
  refused(with("quantization_config", {{"quant_method", "gptq"}, {"bits", 4}, {"is_marlin_format", true}}), "marlin");
  refused(with("quantization_config", {{"quant_method", "awq"}, {"bits", 4}, {"version", "gemv"}}), "\"gemv\"");
  EXPECT_EQ(good(with("quantization_config", {{"quant_method", "fp8"}})).quantization->format, "fp8");
  write_file(dir / "quantize_config.json", "{}");
  const auto hidden = read(llama());
  ASSERT_FALSE(hidden);
  EXPECT_NE(hidden.error().message.find("quantize_config.json"), std::string::npos);
}

TEST_F(Config, GenerationConfig) {
  write_file(dir / "generation_config.json",
             R"({"eos_token_id":[7,2],"temperature":0.7,"top_p":0.8,"top_k":20,"repetition_penalty":1.05})");
  const auto c = good(llama());
  EXPECT_EQ(c.eos_token_ids, (std::vector<int64_t>{2, 7}));
  const auto g = read_generation_defaults(dir.path());
  ASSERT_TRUE(g) << g.error().message;
  EXPECT_EQ(g->temperature, 0.7);
  EXPECT_EQ(g->top_k, 20);
  EXPECT_TRUE(g->do_sample);
  EXPECT_FALSE(g->min_p);
  const std::vector<std::pair<std::string, std::string>> bad = {
      // C04
      {R"({"temperature":"hot"})", "/temperature"},
      {R"({"temperature":-1})", "/temperature"},
      {R"({"temperature":1e308})", "/temperature"},
      {R"({"top_p":1.5})", "/top_p"},
      {R"({"top_k":9223372036854775807})", "/top_k"},
      {R"({"top_k":1.5})", "/top_k"},
      {R"({"max_new_tokens":9223372036854775808})", "/max_new_tokens"},
      {R"({"repetition_penalty":0})", "/repetition_penalty"},
      {R"({"do_sample":"no"})", "/do_sample"},
      {R"({"temperature":NaN})", "malformed"},
      {"[]", "top level"}};
  for (const auto& [text, what] : bad) {
    write_file(dir / "generation_config.json", text);
    const auto result = read_generation_defaults(dir.path());
    ASSERT_FALSE(result) << text;
    EXPECT_NE(result.error().message.find(what), std::string::npos) << result.error().message;
  }
  write_file(dir / "generation_config.json", Json{{"eos_token_id", std::vector<int>(1'000'000, 1)}}.dump());
  const auto huge = read_model_config(dir.path());
  ASSERT_FALSE(huge);
  EXPECT_NE(huge.error().message.find("generation_config.json"), std::string::npos);
}

TEST(ModelConfigReal, PublishedConfigs) {
  const auto shared = test::shared_dir();
  if (!shared) GTEST_SKIP() << "no MHUB_SHARED_DIR";
  const std::filesystem::path& root = *shared;
  std::vector<std::filesystem::path> dirs = {root / "models/stories260k", root / "models/doclm-19m"};
  for (const auto& entry : std::filesystem::directory_iterator(root / "fixtures")) dirs.push_back(entry.path());
  EXPECT_GE(dirs.size(), 19u);
  for (const auto& dir : dirs) {
    const auto config = read_model_config(dir);
    EXPECT_TRUE(config) << dir << ": " << config.error().message;
    EXPECT_TRUE(open_safetensors_dir(dir)) << dir;
    EXPECT_TRUE(read_generation_defaults(dir)) << dir;
  }
  EXPECT_EQ(read_model_config(root / "fixtures/mistral_swa")->sliding_window, 24);
}

}  // namespace
}  // namespace mhub::formats
