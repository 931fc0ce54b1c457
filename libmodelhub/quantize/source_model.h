// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mhub/base/json.h"
#include "mhub/base/result.h"
#include "mhub/formats/model_config.h"
#include "mhub/formats/tensor_table.h"

namespace mhub::quantize {

// One tensor of the source under its Hugging Face name.
struct SourceTensor {
  std::string name;
  formats::TensorEntry entry;
  bool quantize = false;   // a Linear of a decoder layer
  int64_t rope_heads = 0;  // > 0: rows lie in interleaved rope order, this many heads (GGUF's llama)
  int64_t rows() const;    // all dimensions but the last
  int64_t cols() const;
};

// A model to quantize, whichever format it is in: Hugging Face names, shapes and row order.
class SourceModel {
 public:
  // kBadModel: malformed, unsupported, already quantized, or a decoder matrix is missing.
  static Result<SourceModel> open(const std::filesystem::path& path);

  const formats::ModelConfig& config() const { return config_; }
  const std::vector<SourceTensor>& tensors() const { return tensors_; }
  const formats::GgufFile* gguf() const { return gguf_ ? &*gguf_ : nullptr; }  // null for a safetensors directory
  const std::filesystem::path& directory() const { return directory_; }        // of a safetensors model
  uint64_t weight_bytes() const;

  // The type that tensors which are not quantized are written in.
  kernels::DType kept_dtype(const SourceTensor& tensor) const;
  kernels::DType scale_dtype() const;
  // Bytes of a tensor that is written as it is stored.
  std::span<const std::byte> raw(const SourceTensor& tensor) const;
  // Rows [first, first + count) as float32, in Hugging Face order. kBadModel when a value is not finite.
  Result<void> read_rows(const SourceTensor& tensor, int64_t first, int64_t count, std::span<float> out) const;

 private:
  Result<void> add_safetensors(const std::filesystem::path& dir);
  Result<void> add_gguf(const std::filesystem::path& file);
  Result<void> check_complete() const;
  const formats::TensorTable& table() const { return gguf_ ? gguf_->table : table_; }

  formats::ModelConfig config_;
  std::filesystem::path directory_;
  formats::TensorTable table_;
  std::optional<formats::GgufFile> gguf_;
  std::vector<SourceTensor> tensors_;
};

// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"; nullopt for a name that has no such form.
std::optional<std::string> hugging_face_name(std::string_view gguf_name);
// Is this the weight of a decoder layer's Linear?
bool is_decoder_linear(std::string_view name);

}  // namespace mhub::quantize
