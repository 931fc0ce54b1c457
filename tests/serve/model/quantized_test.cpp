// SPDX-License-Identifier: Apache-2.0
// compressed-tensors checkpoints give the logits of the same matrices written out as floats.
#include <gtest/gtest.h>

#include <cmath>

#include "mhub/base/bytes.h"
#include "mhub/base/json.h"
#include "serve/model/loaded.h"
#include "support/reference_model.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace mhub::model {
namespace {

struct Scheme {
  std::string format;
  int bits = 4;
  int64_t group_size = 32;  // 0: one scale per row
  bool symmetric = true;
  bool i8_zeros = false;   // zero points as older writers stored them
  bool reordered = false;  // weight_g_idx names groups of columns that are not neighbours
};

void put_word(std::string& bytes, size_t word, uint32_t value) {
  store_le(bytes.data() + word * 4, load_le<uint32_t>(bytes.data() + word * 4) | value);
}

// Rounds `tensor` to the scheme, adds its tensors to the file and replaces its values by what they mean.
void quantize(const std::string& name, test::TinyTensor& tensor, const Scheme& s, test::SafetensorsBuilder& file) {
  const int64_t rows = tensor.shape[0], cols = tensor.shape[1];
  const int64_t group = s.group_size ? s.group_size : cols, groups = (cols + group - 1) / group;
  const int64_t per_word = 32 / s.bits, words = (cols + per_word - 1) / per_word;
  const int low = -(1 << (s.bits - 1)), high = -low - 1;
  std::string packed(static_cast<size_t>(rows * words * 4), '\0'), plain(static_cast<size_t>(rows * cols), '\0');
  const int64_t zero_rows = (rows + per_word - 1) / per_word;
  std::string zeros(static_cast<size_t>(zero_rows * groups * 4), '\0'),
      old_zeros(static_cast<size_t>(rows * groups), '\0');
  std::string scales, order;
  std::vector<std::vector<int64_t>> members(static_cast<size_t>(groups));  // columns of each group
  for (int64_t c = 0; c < cols; ++c) {
    const auto g = static_cast<int32_t>((s.reordered ? c * 7 % cols : c) / group);
    members[static_cast<size_t>(g)].push_back(c);
    order.append(reinterpret_cast<const char*>(&g), 4);
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t g = 0; g < groups; ++g) {
      float most = 1e-6f;
      for (const int64_t c : members[static_cast<size_t>(g)])
        most = std::max(most, std::abs(tensor.values[static_cast<size_t>(r * cols + c)]));
      const float scale = most / static_cast<float>(high - 2);
      const int zero = s.symmetric ? 0 : static_cast<int>((r + g) % 5) - 2;
      scales.append(reinterpret_cast<const char*>(&scale), 4);
      const auto stored_zero = static_cast<uint32_t>(zero - low);
      put_word(zeros, static_cast<size_t>(r / per_word * groups + g), stored_zero << (r % per_word * s.bits));
      old_zeros[static_cast<size_t>(r * groups + g)] = static_cast<char>(zero);
      for (const int64_t col : members[static_cast<size_t>(g)]) {
        const auto i = static_cast<size_t>(r * cols + col);
        const int q = std::clamp(static_cast<int>(std::lround(tensor.values[i] / scale)) + zero, low, high);
        tensor.values[i] = scale * static_cast<float>(q - zero);
        put_word(packed, static_cast<size_t>(r * words + col / per_word),
                 static_cast<uint32_t>(q - low) << (col % per_word * s.bits));
        plain[i] = static_cast<char>(q);
      }
    }
  }
  if (s.format == "pack-quantized") {
    file.add(name + "_packed", "I32", {rows, words}, packed);
    std::string shape(16, '\0');
    store_le(shape.data(), rows);
    store_le(shape.data() + 8, cols);
    file.add(name + "_shape", "I64", {2}, shape);
  } else {
    file.add(name, "I8", {rows, cols}, plain);
  }
  file.add(name + "_scale", "F32", {rows, groups}, scales);
  if (s.reordered) file.add(name + "_g_idx", "I32", {cols}, order);
  if (s.symmetric) return;
  if (s.i8_zeros)
    file.add(name + "_zero_point", "I8", {rows, groups}, old_zeros);
  else
    file.add(name + "_zero_point", "I32", {zero_rows, groups}, zeros);
}

Json quantization_config(const Scheme& s) {
  Json weights = {{"num_bits", s.bits},
                  {"type", "int"},
                  {"symmetric", s.symmetric},
                  {"strategy", s.group_size ? "group" : "channel"},
                  {"group_size", s.group_size ? Json(s.group_size) : Json()}};
  return {{"quant_method", "compressed-tensors"},
          {"format", s.format},
          {"ignore", {"lm_head"}},
          {"config_groups", {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}}}}}};
}

class QuantizedTest : public testing::TestWithParam<Scheme> {
 protected:
  void SetUp() override {
    write_config();
    write_tensors("");
  }
  void write_config() {
    Json config = Json::parse(test::tiny_config_json(options_));
    config["quantization_config"] = quantization_config(GetParam());
    test::write_file(dir_ / "config.json", dump_json(config));
  }
  // `skip`: a tensor to leave out. quantized_head: adds an lm_head in quantized form.
  void write_tensors(const std::string& skip, bool quantized_head = false) {
    auto tensors = test::tiny_tensors(options_);
    test::SafetensorsBuilder file;
    for (auto& [name, tensor] : tensors) {
      const bool linear = name.find("_proj.weight") != std::string::npos;
      if (name == skip) continue;
      if (linear)
        quantize(name, tensor, GetParam(), file);
      else
        file.add_f32(name, tensor.shape, tensor.values);
    }
    if (quantized_head) {
      auto head = tensors.at("model.embed_tokens.weight");
      quantize("lm_head.weight", head, GetParam(), file);
    }
    tensors_ = tensors;
    test::write_file(dir_ / "model.safetensors", file.build());
  }
  void expect_reference() {
    auto loaded = try_load(float32_options(dir_.path()));
    ASSERT_TRUE(loaded) << loaded.error().one_line();
    const std::vector<int32_t> tokens = {1, 50, 100, 150, 200, 250, 3, 5};
    const auto ours = all_logits(**loaded, tokens);
    const auto expected = test::reference_logits(options_, tensors_, tokens);
    for (size_t t = 0; t < tokens.size(); ++t) {
      for (size_t i = 0; i < ours[t].size(); ++i) ASSERT_NEAR(ours[t][i], expected[t][i], 1e-4) << t << " " << i;
    }
  }
  test::TinyModelOptions options_;
  test::TempDir dir_;
  std::map<std::string, test::TinyTensor> tensors_;
};

TEST_P(QuantizedTest, EqualsTheWrittenOutMatrices) {
  expect_reference();
}

TEST_P(QuantizedTest, TiedFlagWinsOverAQuantizedHead) {
  options_.tie_word_embeddings = true;
  write_config();
  write_tensors("", true);
  expect_reference();
}

TEST_P(QuantizedTest, MissingPartsAreNamed) {
  write_tensors("model.layers.0.mlp.gate_proj.weight");
  const auto loaded = try_load(float32_options(dir_.path()));
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("model.layers.0.mlp.gate_proj.weight is missing"), std::string::npos)
      << loaded.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Schemes, QuantizedTest,
    testing::Values(Scheme{"pack-quantized", 4, 32, true, false}, Scheme{"pack-quantized", 4, 32, false, false},
                    Scheme{"pack-quantized", 4, 32, false, true}, Scheme{"pack-quantized", 4, 0, true, false},
                    Scheme{"pack-quantized", 8, 32, true, false}, Scheme{"pack-quantized", 8, 32, false, false},
                    Scheme{"pack-quantized", 4, 32, true, false, true},
                    Scheme{"pack-quantized", 4, 32, false, false, true},
                    Scheme{"pack-quantized", 8, 32, false, true, true}, Scheme{"int-quantized", 8, 0, true, false}));

}  // namespace
}  // namespace mhub::model
