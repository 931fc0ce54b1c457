// SPDX-License-Identifier: Apache-2.0
#include "source_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "mhub/base/bytes.h"
#include "mhub/base/check.h"
#include "mhub/kernels/matrix.h"

namespace mhub::quantize {
namespace fs = std::filesystem;
using kernels::DType;

namespace {

Error bad_source(const fs::path& path, const std::string& what, std::string hint = "") {
  if (hint.empty()) hint = "get a good copy of the model, or one that this build supports";
  return {ErrorCode::kBadModel, fmt::format("quantizing {}: {}", printable(path.string(), 1024), what), std::move(hint),
          ""};
}

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF64;
}

}  // namespace

int64_t SourceTensor::cols() const {
  return entry.shape.empty() ? 1 : entry.shape.back();
}
int64_t SourceTensor::rows() const {
  int64_t n = 1;
  for (size_t d = 0; d + 1 < entry.shape.size(); ++d) n *= entry.shape[d];
  return n;
}

Result<SourceModel> SourceModel::open(const fs::path& path) {
  MHUB_TRY(const auto location, formats::locate_model(path));
  SourceModel model;
  if (location.kind == formats::ModelLocation::Kind::kGguf) {
    MHUB_CHECK_OK(model.add_gguf(location.path));
  } else {
    MHUB_CHECK_OK(model.add_safetensors(location.path));
  }
  MHUB_CHECK_OK(model.check_complete());
  return model;
}

Result<void> SourceModel::add_safetensors(const fs::path& dir) {
  directory_ = dir;
  MHUB_TRY(config_, formats::read_model_config(dir));
  if (config_.quantization) {
    return bad_source(dir, fmt::format("its weights are {} already", config_.quantization->format),
                      "quantize the original model");
  }
  MHUB_TRY(table_, formats::open_safetensors_dir(dir));
  if (!table_.unsupported.empty()) {
    const auto& [name, dtype] = *table_.unsupported.begin();
    return bad_source(
        dir, fmt::format("tensor {} has element type {}, which this build does not read", printable(name, 128), dtype));
  }
  for (const auto& [name, entry] : table_.tensors) tensors_.push_back({name, entry, is_decoder_linear(name), 0});
  return {};
}

Result<void> SourceModel::add_gguf(const fs::path& file) {
  MHUB_TRY(gguf_, formats::open_gguf(file));
  MHUB_TRY(config_, formats::model_config_from_gguf(*gguf_));
  const bool interleaved = config_.model_type == "llama";
  for (const auto& [gguf_name, entry] : gguf_->table.tensors) {
    if (gguf_name == "rope_freqs.weight") continue;  // in config.json as rope_scaling
    auto name = hugging_face_name(gguf_name);
    if (!name)
      return bad_source(
          file, fmt::format("tensor {} has no counterpart in {}", printable(gguf_name, 64), config_.architecture));
    SourceTensor tensor{*name, entry, is_decoder_linear(*name), 0};
    if (interleaved && name->find(".self_attn.q_proj.") != std::string::npos)
      tensor.rope_heads = config_.num_attention_heads;
    if (interleaved && name->find(".self_attn.k_proj.") != std::string::npos)
      tensor.rope_heads = config_.num_key_value_heads;
    if (tensor.rope_heads > 0 && entry.shape[0] != tensor.rope_heads * config_.head_dim) {
      return bad_source(file,
                        fmt::format("tensor {} has {} rows, the metadata says {} heads of {}", printable(gguf_name, 64),
                                    entry.shape[0], tensor.rope_heads, config_.head_dim));
    }
    tensors_.push_back(std::move(tensor));
  }
  return {};
}

Result<void> SourceModel::check_complete() const {
  const fs::path& path = gguf_ ? gguf_->table.files[0]->path() : directory_;
  std::set<std::string_view> present;
  for (const auto& tensor : tensors_) {
    if (!tensor.quantize) continue;
    present.insert(tensor.name);
    if (tensor.entry.shape.size() != 2 || tensor.rows() == 0 || tensor.cols() == 0) {
      return bad_source(path, fmt::format("tensor {} is not a matrix", printable(tensor.name, 128)));
    }
    if (!is_float(tensor.entry.dtype) && !kernels::is_block_type(tensor.entry.dtype)) {
      return bad_source(path, fmt::format("tensor {} has element type {}, not a float", printable(tensor.name, 128),
                                          kernels::dtype_info(tensor.entry.dtype).name));
    }
  }
  for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
    for (const char* linear : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                               "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) {
      const std::string name = fmt::format("model.layers.{}.{}.weight", layer, linear);
      if (!present.contains(name)) return bad_source(path, fmt::format("tensor {} is missing", name));
    }
  }
  return {};
}

uint64_t SourceModel::weight_bytes() const {
  uint64_t bytes = 0;
  for (const auto& file : table().files) bytes += file->bytes().size();
  return bytes;
}

DType SourceModel::kept_dtype(const SourceTensor& tensor) const {
  return gguf_ ? scale_dtype() : tensor.entry.dtype;
}

DType SourceModel::scale_dtype() const {
  if (gguf_) return gguf_->table.find("token_embd.weight")->dtype == DType::kF16 ? DType::kF16 : DType::kBF16;
  return config_.torch_dtype == DType::kF16 ? DType::kF16 : DType::kBF16;
}

std::span<const std::byte> SourceModel::raw(const SourceTensor& tensor) const {
  return {table().data(tensor.entry), tensor.entry.bytes};
}

Result<void> SourceModel::read_rows(const SourceTensor& tensor, int64_t first, int64_t count,
                                    std::span<float> out) const {
  // A vector whose elements are in rope order is a matrix of one column.
  const bool vector = tensor.rope_heads > 0 && tensor.entry.shape.size() == 1;
  const int64_t rows = vector ? tensor.entry.shape[0] : tensor.rows(), cols = vector ? 1 : tensor.cols();
  MHUB_CHECK(first >= 0 && count >= 0 && first + count <= rows && static_cast<int64_t>(out.size()) == count * cols);
  const std::byte* data = table().data(tensor.entry);
  if (tensor.entry.dtype == DType::kF64) {
    for (int64_t i = 0; i < count * cols; ++i)
      out[static_cast<size_t>(i)] = static_cast<float>(load_le<double>(data + 8 * (first * cols + i)));
  } else {
    kernels::MatrixSource source;
    source.dtype = tensor.entry.dtype;
    source.rows = rows;
    source.cols = cols;
    source.data = data;
    if (tensor.rope_heads == 0) {
      kernels::dequantize_rows(source, first, count, out.data());
    } else {
      // Row j * d/2 + i of a head lies at 2i + j in the file.
      const int64_t d = rows / tensor.rope_heads;
      for (int64_t r = first; r < first + count; ++r) {
        const int64_t head = r / d, j = r % d / (d / 2), i = r % (d / 2);
        kernels::dequantize_rows(source, head * d + 2 * i + j, 1, out.data() + (r - first) * cols);
      }
    }
  }
  for (int64_t i = 0; i < count * cols; ++i) {
    if (!std::isfinite(out[static_cast<size_t>(i)])) {
      return bad_source(table().files[tensor.entry.file]->path(),
                        fmt::format("tensor {} is not finite at row {}, column {}", printable(tensor.name, 128),
                                    first + i / cols, i % cols),
                        "the file is damaged: download it again");
    }
  }
  return {};
}

}  // namespace mhub::quantize
