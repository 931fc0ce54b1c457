// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/json.h"
#include "mhub/base/result.h"
#include "mhub/kernels/dtype.h"

namespace mhub::quantize {

struct QuantizeOptions {
  int bits = 4;              // 4 | 8
  int64_t group_size = 128;  // 32 | 64 | 128 columns per scale; 0 (bits 8 only) = one scale per row
  bool symmetric = false;
  std::string method = "rtn";
  uint64_t max_shard_bytes = 5'000'000'000;  // of tensor data in one output file
};
// kUsage for anything this build does not do; the message names the option as the command line spells it.
Result<void> check_options(const QuantizeOptions& options);

// One quantized matrix in compressed-tensors' pack-quantized layout (mhub/kernels/matrix.h has the same words).
struct QuantizedMatrix {
  std::vector<int32_t> packed;       // [rows, ceil(cols * bits / 32)]
  std::vector<uint16_t> scales;      // bits of scale_dtype, [rows, groups]
  std::vector<int32_t> zero_points;  // packed along rows [ceil(rows * bits / 32), groups]; empty when symmetric
  int64_t rows = 0, cols = 0, groups = 0;
};
// Round-to-nearest of float32 [rows, cols]; scale_dtype is kBF16 or kF16, and codes are chosen for the rounded scale.
// Precondition: options are valid, group_size divides cols, all weights are finite.
QuantizedMatrix quantize_rtn(std::span<const float> weights, int64_t rows, int64_t cols, const QuantizeOptions& options,
                             kernels::DType scale_dtype = kernels::DType::kBF16);

// Measures a causal LM; the app fills it with the engine's model runner.
class Evaluator {
 public:
  virtual ~Evaluator() = default;
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;  // whole text, no special tokens
  virtual void logits(std::span<const int32_t> tokens,
                      const std::function<void(int64_t position, std::span<const float>)>& sink) = 0;
};
struct QualityCard {
  double source_perplexity = 0, quantized_perplexity = 0;
  int64_t tokens = 0, context = 0;  // scored tokens
  double mean_kl = 0, same_top = 0;
  double bits_per_weight = 0;
  uint64_t source_bytes = 0, quantized_bytes = 0;
  std::string method;
  int64_t group_size = 0;
  bool symmetric = false;
  Json to_json() const;  // exactly the contract's object
};
// Perplexity of one model as docs/cli.md section 4 defines it.
struct Perplexity {
  double value = 0;
  int64_t tokens = 0;
};
Result<Perplexity> perplexity(Evaluator& model, std::string_view text, int64_t context, std::stop_token stop = {});
// Both models over the same windows; at most 16 windows for KL and same-top.
Result<void> compare(Evaluator& source, Evaluator& quantized, std::string_view text, int64_t context, QualityCard& card,
                     std::stop_token stop = {});

// The largest of 128, 64, 32 that divides the rows of every matrix that would be quantized (kUsage when none does).
Result<int64_t> default_group_size(const std::filesystem::path& model);

// Bytes of weight files, and bits per weight over the quantized matrices, scales and zero points included.
struct WriteReport {
  uint64_t source_bytes = 0, quantized_bytes = 0;
  double bits_per_weight = 0;
};
using WriteProgress = std::function<void(int64_t done, int64_t total, const std::string& tensor)>;
// Writes `output` (must not exist; made as a temporary sibling directory, synced and renamed) from the model at `model`
// (safetensors directory or GGUF), row block by row block: config.json with quantization_config, *.safetensors (+
// index), tokenizer files. Errors: kUsage, kBadModel, kDisk, kInterrupted; then nothing is left behind.
Result<WriteReport> write_quantized(const std::filesystem::path& model, const std::filesystem::path& output,
                                    const QuantizeOptions& options, const WriteProgress& progress,
                                    std::stop_token stop = {});
// Stores the card as "mhub.quality" in the metadata of the first weight file (in the padding its header was written
// with) and as mhub_quality.json beside it. `output` was written by write_quantized.
Result<void> store_card(const std::filesystem::path& output, const QualityCard& card);

}  // namespace mhub::quantize
