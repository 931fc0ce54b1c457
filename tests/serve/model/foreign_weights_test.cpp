// SPDX-License-Identifier: Apache-2.0
// GPTQ, AWQ and F8_E4M3 checkpoints give the logits of the same matrices written out as floats.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "mhub/base/bytes.h"
#include "mhub/base/json.h"
#include "serve/model/loaded.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace mhub::model {
namespace {

struct Scheme {
  std::string method;  // gptq, gptq_v2, awq, or how many scales an F8 matrix has: one, rows, blocks
  int bits = 4;
  int64_t group = 32;
  bool reordered = false;  // gptq: g_idx is not the column's own group
};

class ForeignWeights : public testing::TestWithParam<Scheme> {
 protected:
  uint32_t draw(uint32_t below) { return static_cast<uint32_t>(rng_()) % below; }
  static void put(std::string& bytes, int64_t word, uint32_t value) {
    char* at = bytes.data() + 4 * word;
    store_le(at, load_le<uint32_t>(at) | value);
  }

  // Replaces the values of `tensor` by random codes' and adds the tensors that hold those.
  void groups(const std::string& module, test::TinyTensor& tensor, test::SafetensorsBuilder& file) {
    const Scheme& s = GetParam();
    const bool awq = s.method == "awq";
    const int64_t rows = tensor.shape[0], cols = tensor.shape[1], count = cols / s.group, per_word = 32 / s.bits;
    const std::array<int64_t, 8> order = {0, 4, 1, 5, 2, 6, 3, 7};
    const auto out_shift = [&](int64_t row) {
      return s.bits * (awq ? order[static_cast<size_t>(row % 8)] : row % per_word);
    };
    std::string codes(static_cast<size_t>(rows * cols / per_word) * 4, '\0');
    std::string zeros(static_cast<size_t>(count * rows / per_word) * 4, '\0'), scales, index;
    std::vector<int32_t> group_of(static_cast<size_t>(cols));
    for (int64_t c = 0; c < cols; ++c) group_of[static_cast<size_t>(c)] = static_cast<int32_t>(c / s.group);
    if (s.reordered) std::shuffle(group_of.begin(), group_of.end(), rng_);
    for (const int32_t g : group_of) index.append(reinterpret_cast<const char*>(&g), 4);
    const uint32_t levels = 1u << s.bits;
    std::vector<float> scale_of(static_cast<size_t>(count * rows));
    std::vector<int> zero_of(scale_of.size());
    for (int64_t g = 0; g < count; ++g) {
      for (int64_t r = 0; r < rows; ++r) {
        const uint32_t exponent = 4 + draw(3);  // F16 2^-11 .. 2^-9
        const auto half = static_cast<uint16_t>(exponent << 10 | draw(1024));
        scales.append(reinterpret_cast<const char*>(&half), 2);
        const auto at = static_cast<size_t>(g * rows + r);
        scale_of[at] = std::ldexp(1.0f + static_cast<float>(half & 1023) / 1024.0f, static_cast<int>(exponent) - 15);
        const uint32_t zero = levels / 2 - 2 + draw(4);
        zero_of[at] = static_cast<int>(zero);
        const uint32_t stored = s.method == "gptq" ? (zero - 1) & (levels - 1) : zero;
        put(zeros, g * (rows / per_word) + r / per_word, stored << out_shift(r));
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        const uint32_t code = draw(levels);
        if (awq)
          put(codes, c * (rows / 8) + r / 8, code << out_shift(r));
        else
          put(codes, c / per_word * rows + r, code << (s.bits * (c % per_word)));
        const auto at = static_cast<size_t>(group_of[static_cast<size_t>(c)] * rows + r);
        tensor.values[static_cast<size_t>(r * cols + c)] =
            scale_of[at] * static_cast<float>(static_cast<int>(code) - zero_of[at]);
      }
    }
    file.add(module + "qweight", "I32",
             awq ? std::vector<int64_t>{cols, rows / 8} : std::vector<int64_t>{cols / per_word, rows}, codes);
    file.add(module + "qzeros", "I32", {count, rows / per_word}, zeros);
    file.add(module + "scales", "F16", {count, rows}, scales);
    if (!awq) file.add(module + "g_idx", "I32", {cols}, index);
  }

  void float8(const std::string& module, test::TinyTensor& tensor, test::SafetensorsBuilder& file) {
    const std::string& method = GetParam().method;
    const int64_t rows = tensor.shape[0], cols = tensor.shape[1];
    const int64_t high = method == "one" ? rows : method == "rows" ? 1 : 128, wide = method == "blocks" ? 128 : cols;
    const int64_t scale_rows = (rows + high - 1) / high, scale_cols = (cols + wide - 1) / wide;
    std::vector<float> scales;
    for (int64_t i = 0; i < scale_rows * scale_cols; ++i)
      scales.push_back(0.01f + 0.001f * static_cast<float>(draw(20)));
    std::string bytes;
    for (int64_t i = 0; i < rows * cols; ++i) {
      const uint32_t exponent = 1 + draw(9), mantissa = draw(8), sign = draw(2);
      bytes += static_cast<char>(sign << 7 | exponent << 3 | mantissa);
      const float value = std::ldexp(1.0f + static_cast<float>(mantissa) / 8.0f, static_cast<int>(exponent) - 7);
      const float scale = scales[static_cast<size_t>(i / cols / high * scale_cols + i % cols / wide)];
      tensor.values[static_cast<size_t>(i)] = (sign ? -value : value) * scale;
    }
    file.add(module + "weight", "F8_E4M3", {rows, cols}, bytes);
    const std::string raw(reinterpret_cast<const char*>(scales.data()), scales.size() * 4);
    if (method == "one")
      file.add(module + "weight_scale", "F32", {}, raw);
    else
      file.add(module + (method == "rows" ? "weight_scale" : "weight_scale_inv"), "F32", {scale_rows, scale_cols}, raw);
  }

  std::mt19937 rng_{9};
};

TEST_P(ForeignWeights, SameLogitsAsFloats) {
  const Scheme& s = GetParam();
  const bool f8 = s.method == "one" || s.method == "rows" || s.method == "blocks";
  test::TinyModelOptions options;
  options.hidden_size = options.intermediate_size = 160;
  test::TempDir plain, quantized;
  auto tensors = test::tiny_tensors(options);
  test::SafetensorsBuilder file;
  for (auto& [name, tensor] : tensors) {
    if (!name.ends_with("_proj.weight")) {
      file.add_f32(name, tensor.shape, tensor.values);
      continue;
    }
    const std::string module = name.substr(0, name.size() - 6);
    f8 ? float8(module, tensor, file) : groups(module, tensor, file);
  }
  test::write_tiny_model(plain.path(), options);
  test::write_file(plain / "model.safetensors", test::tiny_safetensors(tensors, "F32"));
  Json config = Json::parse(test::tiny_config_json(options));
  config["quantization_config"] = {{"quant_method", f8                  ? "fp8"
                                                    : s.method == "awq" ? "awq"
                                                                        : "gptq"},
                                   {"bits", s.bits},
                                   {"group_size", s.group},
                                   {"checkpoint_format", s.method == "gptq_v2" ? "gptq_v2" : "gptq"}};
  test::write_tiny_model(quantized.path(), options);
  test::write_file(quantized / "config.json", dump_json(config, 1));
  test::write_file(quantized / "model.safetensors", file.build());

  const std::vector<int32_t> tokens = {1, 50, 200, 7, 7, 90, 3};
  const auto expected = all_logits(*load(float32_options(plain.path())), tokens);
  const auto got = all_logits(*load(float32_options(quantized.path())), tokens);
  float largest = 0;
  for (const auto& row : expected) {
    for (const float x : row) largest = std::max(largest, std::abs(x));
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    for (size_t j = 0; j < expected[i].size(); ++j) ASSERT_NEAR(got[i][j], expected[i][j], 1e-4f * largest);
  }
}

INSTANTIATE_TEST_SUITE_P(Schemes, ForeignWeights,
                         testing::Values(Scheme{"gptq"}, Scheme{"gptq_v2"}, Scheme{"gptq", 8},
                                         Scheme{"gptq", 4, 32, true}, Scheme{"gptq", 8, 32, true}, Scheme{"awq"},
                                         Scheme{"one"}, Scheme{"rows"}, Scheme{"blocks"}),
                         [](const auto& p) {
                           return p.param.method + "_" + std::to_string(p.param.bits) +
                                  (p.param.reordered ? "_reordered" : "");
                         });

}  // namespace
}  // namespace mhub::model
