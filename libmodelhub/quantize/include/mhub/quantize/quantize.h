// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mhub/base/json.h"
#include "mhub/base/result.h"

namespace mhub::quantize {

struct QuantizeOptions {
  int bits = 4;              // 4 | 8
  int64_t group_size = 128;  // 32 | 64 | 128; bits 8 without a group: one scale per row (int-quantized)
  bool symmetric = false;
  std::string method = "rtn";
};

// One group-quantized matrix in compressed-tensors layout.
struct QuantizedMatrix {
  std::vector<int32_t> packed;      // [rows, ceil(cols * bits / 32)] (pack-quantized)
  std::vector<int8_t> int8;         // [rows, cols] (int-quantized), else empty
  std::vector<uint16_t> scales;     // BF16 or F16 bits [rows, groups], see writer
  std::vector<int32_t> zero_points;  // packed along rows [ceil(rows/pf), groups]; empty when symmetric
  int64_t rows = 0, cols = 0, groups = 0;
};
// Round-to-nearest of float32 [rows, cols].
QuantizedMatrix quantize_rtn(std::span<const float> weights, int64_t rows, int64_t cols, const QuantizeOptions& options);

// Measures a causal LM; the app fills it with the engine's model runner.
class Evaluator {
 public:
  virtual ~Evaluator() = default;
  virtual int64_t vocab_size() const = 0;
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;  // whole text, no special tokens
  virtual void logits(std::span<const int32_t> tokens,
                      const std::function<void(int64_t position, std::span<const float>)>& sink) = 0;
};
struct QualityCard {
  double source_perplexity = 0, quantized_perplexity = 0;
  int64_t tokens = 0, context = 0;   // scored tokens
  double mean_kl = 0, same_top = 0;
  double bits_per_weight = 0;
  uint64_t source_bytes = 0, quantized_bytes = 0;
  std::string method;
  int64_t group_size = 0;
  bool symmetric = false;
  Json to_json() const;              // exactly the contract's object
};
// Perplexity of one model as docs/cli.md section 4 defines it.
struct Perplexity { double value = 0; int64_t tokens = 0; };
Result<Perplexity> perplexity(Evaluator& model, std::string_view text, int64_t context);
// Both models over the same windows; at most 16 windows for KL and same-top.
Result<void> compare(Evaluator& source, Evaluator& quantized, std::string_view text, int64_t context, QualityCard& card);

// Writes `output` (must not exist; made as a temporary directory and renamed) from the model at `model` (safetensors
// directory or GGUF), tensor by tensor: config.json with quantization_config, *.safetensors (+ index), tokenizer files.
struct WriteReport { uint64_t source_bytes = 0, quantized_bytes = 0; double bits_per_weight = 0; };
Result<WriteReport> write_quantized(const std::filesystem::path& model, const std::filesystem::path& output,
                                    const QuantizeOptions& options,
                                    const std::function<void(int64_t done, int64_t total, const std::string& tensor)>& progress);
// Stores the card in the metadata of the written model.
Result<void> store_card(const std::filesystem::path& output, const QualityCard& card);

}  // namespace mhub::quantize
