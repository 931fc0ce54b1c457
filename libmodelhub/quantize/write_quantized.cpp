// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "hf_files.h"
#include "mhub/base/check.h"
#include "mhub/quantize/quantize.h"
#include "shard_writer.h"
#include "source_model.h"
#include "stored_type.h"

namespace mhub::quantize {
namespace fs = std::filesystem;
using kernels::DType;
namespace {

constexpr int64_t kBlockElements = 4 << 20;  // float32 values held at a time
constexpr int64_t kBlockRowStep = 8;         // zero points of this many rows share a word

// A directory that disappears unless it is kept.
class StagingDirectory {
 public:
  explicit StagingDirectory(fs::path path) : path_(std::move(path)) {}
  ~StagingDirectory() {
    std::error_code ec;
    if (!kept_) fs::remove_all(path_, ec);
  }
  StagingDirectory(const StagingDirectory&) = delete;
  StagingDirectory& operator=(const StagingDirectory&) = delete;
  const fs::path& path() const { return path_; }
  Result<void> rename_to(const fs::path& output) {
    std::error_code ec;
    fs::rename(path_, output, ec);
    if (ec)
      return Error{ErrorCode::kDisk, fmt::format("renaming to {}: {}", printable(output.string(), 1024), ec.message()),
                   "check that it is on the same disk and may be written", ""};
    kept_ = true;
    return {};
  }

 private:
  fs::path path_;
  bool kept_ = false;
};

std::string stem_of(const SourceTensor& tensor) {
  return tensor.name.substr(0, tensor.name.size() - std::string_view("weight").size());
}

struct Layout {
  int64_t groups, words, zero_rows;
};
Layout layout_of(const SourceTensor& tensor, const QuantizeOptions& options) {
  const int64_t per_word = 32 / options.bits, cols = tensor.cols();
  return {options.group_size == 0 ? 1 : cols / options.group_size, (cols + per_word - 1) / per_word,
          (tensor.rows() + per_word - 1) / per_word};
}

std::vector<OutputTensor> plan_outputs(const SourceModel& source, const QuantizeOptions& options) {
  std::vector<OutputTensor> outputs;
  for (const auto& tensor : source.tensors()) {
    if (!tensor.quantize) {
      outputs.push_back({tensor.name, source.kept_dtype(tensor), tensor.entry.shape});
      continue;
    }
    const std::string stem = stem_of(tensor);
    const auto layout = layout_of(tensor, options);
    outputs.push_back({stem + "weight_packed", DType::kI32, {tensor.rows(), layout.words}});
    outputs.push_back({stem + "weight_scale", source.scale_dtype(), {tensor.rows(), layout.groups}});
    outputs.push_back({stem + "weight_shape", DType::kI64, {2}});
    if (!options.symmetric)
      outputs.push_back({stem + "weight_zero_point", DType::kI32, {layout.zero_rows, layout.groups}});
  }
  return outputs;
}

Result<void> check_groups(const SourceModel& source, const QuantizeOptions& options) {
  if (options.group_size == 0) return {};
  for (const auto& tensor : source.tensors()) {
    if (tensor.quantize && tensor.cols() % options.group_size != 0) {
      return Error{ErrorCode::kUsage,
                   fmt::format("--group-size {} does not divide the {} columns of {}", options.group_size,
                               tensor.cols(), printable(tensor.name, 128)),
                   "leave --group-size out to use the largest that fits", ""};
    }
  }
  return {};
}

int64_t block_rows(int64_t cols) {
  return std::max(kBlockRowStep, kBlockElements / cols / kBlockRowStep * kBlockRowStep);
}

class ModelWriter {
 public:
  ModelWriter(const SourceModel& source, const QuantizeOptions& options, ShardWriter& shards)
      : source_(source), options_(options), shards_(shards) {}

  Result<void> write(const SourceTensor& tensor) {
    if (tensor.quantize) return write_quantized_matrix(tensor);
    if (source_.kept_dtype(tensor) == tensor.entry.dtype && tensor.rope_heads == 0)
      return shards_.write(tensor.name, 0, source_.raw(tensor));
    return write_converted(tensor);
  }
  double bits_per_weight() const {
    return weights_ == 0 ? 0 : static_cast<double>(bits_) / static_cast<double>(weights_);
  }

 private:
  Result<void> write_quantized_matrix(const SourceTensor& tensor) {
    const std::string stem = stem_of(tensor);
    const int64_t rows = tensor.rows(), cols = tensor.cols(), step = block_rows(cols);
    const auto layout = layout_of(tensor, options_);
    const int64_t per_word = 32 / options_.bits;
    for (int64_t first = 0; first < rows; first += step) {
      const int64_t count = std::min(step, rows - first);
      values_.resize(static_cast<size_t>(count * cols));
      MHUB_CHECK_OK(source_.read_rows(tensor, first, count, values_));
      const auto block = quantize_rtn(values_, count, cols, options_, source_.scale_dtype());
      MHUB_CHECK_OK(put(stem + "weight_packed", first * layout.words, std::span(block.packed)));
      MHUB_CHECK_OK(put(stem + "weight_scale", first * layout.groups, std::span(block.scales)));
      if (!options_.symmetric) {
        MHUB_CHECK_OK(put(stem + "weight_zero_point", first / per_word * layout.groups, std::span(block.zero_points)));
      }
    }
    const std::array<int64_t, 2> shape = {rows, cols};
    weights_ += rows * cols;
    bits_ += 8 * (4 * rows * layout.words + 2 * rows * layout.groups +
                  (options_.symmetric ? 0 : 4 * layout.zero_rows * layout.groups));
    return put(stem + "weight_shape", 0, std::span(shape));
  }

  Result<void> write_converted(const SourceTensor& tensor) {
    const bool vector = tensor.entry.shape.size() == 1;  // its elements may be in rope order
    const int64_t rows = vector ? tensor.cols() : tensor.rows(), cols = vector ? 1 : tensor.cols();
    const bool per_element = vector && tensor.rope_heads > 0;
    const StoredType type(source_.kept_dtype(tensor));
    const int64_t read_rows = per_element || !vector ? rows : 1, read_cols = per_element || !vector ? cols : rows;
    const int64_t step = block_rows(read_cols);
    std::vector<uint16_t> out;
    for (int64_t first = 0; first < read_rows; first += step) {
      const int64_t count = std::min(step, read_rows - first);
      values_.resize(static_cast<size_t>(count * read_cols));
      MHUB_CHECK_OK(source_.read_rows(tensor, first, count, values_));
      out.resize(values_.size());
      std::transform(values_.begin(), values_.end(), out.begin(), [&type](float x) { return type.bits(x); });
      MHUB_CHECK_OK(put(tensor.name, first * read_cols, std::span(out)));
    }
    return {};
  }

  template <typename T, size_t N>
  Result<void> put(const std::string& name, int64_t first_element, std::span<T, N> values) {
    return shards_.write(name, static_cast<uint64_t>(first_element) * sizeof(T), std::as_bytes(values));
  }

  const SourceModel& source_;
  const QuantizeOptions& options_;
  ShardWriter& shards_;
  std::vector<float> values_;
  int64_t weights_ = 0, bits_ = 0;
};

}  // namespace

Result<int64_t> default_group_size(const fs::path& model) {
  MHUB_TRY(const auto source, SourceModel::open(model));
  for (const int64_t group : {128, 64, 32}) {
    QuantizeOptions options;
    options.group_size = group;
    if (check_groups(source, options)) return group;
  }
  return Error{ErrorCode::kUsage, "no group size of 128, 64 or 32 divides the rows of every matrix",
               "use --bits 8 without groups", ""};
}

Result<WriteReport> write_quantized(const fs::path& model, const fs::path& output, const QuantizeOptions& options,
                                    const WriteProgress& progress, std::stop_token stop) {
  MHUB_CHECK_OK(check_options(options));
  std::error_code ec;
  const fs::path target = output.has_filename() ? output : output.parent_path();  // "dir/" names dir
  if (fs::symlink_status(target, ec).type() != fs::file_type::not_found) {
    return Error{ErrorCode::kUsage, fmt::format("writing to {}: it exists already", printable(target.string(), 1024)),
                 "choose another name or remove it", ""};
  }
  MHUB_TRY(const auto source, SourceModel::open(model));
  MHUB_CHECK_OK(check_groups(source, options));

  const fs::path parent = target.has_parent_path() ? target.parent_path() : fs::path(".");
  fs::create_directories(parent, ec);
  StagingDirectory staging(parent / fmt::format(".{}.mhub-{}", target.filename().string(), getpid()));
  if (!fs::create_directory(staging.path(), ec)) {
    return Error{
        ErrorCode::kDisk,
        fmt::format("creating {}: {}", printable(staging.path().string(), 1024), ec ? ec.message() : "it exists"),
        "check that the directory may be written and remove what an earlier run left", ""};
  }
  MHUB_CHECK_OK(write_model_files(source, options, staging.path()));
  MHUB_TRY(auto shards, ShardWriter::create(staging.path(), plan_outputs(source, options), options.max_shard_bytes));
  ModelWriter writer(source, options, shards);
  const auto total = static_cast<int64_t>(source.tensors().size());
  int64_t done = 0;
  for (const auto& tensor : source.tensors()) {
    if (stop.stop_requested()) return Error{ErrorCode::kInterrupted, "quantizing: interrupted", "nothing was kept", ""};
    MHUB_CHECK_OK(writer.write(tensor));
    if (progress) progress(++done, total, tensor.name);
  }
  MHUB_CHECK_OK(shards.finish());
  MHUB_CHECK_OK(sync_directory(staging.path()));
  MHUB_CHECK_OK(staging.rename_to(target));
  MHUB_CHECK_OK(sync_directory(parent));
  return WriteReport{source.weight_bytes(), shards.file_bytes(), writer.bits_per_weight()};
}

}  // namespace mhub::quantize
