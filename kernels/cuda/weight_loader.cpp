// SPDX-License-Identifier: Apache-2.0
#include "cuda/weight_loader.h"

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "cuda/convert.h"

namespace mhub::kernels::cuda {
namespace {

constexpr int64_t kMaxSide = int64_t{1} << 31;  // keeps every product of two sides within int64
constexpr unsigned kMaxThreads = 8;

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

std::string defect_of(const MatrixSource& s) {
  const std::string type(dtype_info(s.dtype).name);
  if (s.rows < 0 || s.cols <= 0 || s.rows > kMaxSide || s.cols > kMaxSide)
    return "a matrix of " + std::to_string(s.rows) + " x " + std::to_string(s.cols) + " cannot be multiplied";
  if (s.random_key) return is_float(s.dtype) ? "" : "a stand-in of type " + type + " is not supported";
  if (s.data == nullptr && s.rows > 0) return "the matrix has no data";
  if (is_float(s.dtype)) return "";
  if (s.dtype == DType::kU4 || s.dtype == DType::kI8 || s.dtype == DType::kF8E4M3) {
    if (s.scales == nullptr || s.group_size <= 0) return type + " needs scales and a group size";
    if (s.dtype == DType::kF8E4M3 && s.group_rows <= 0) return type + " needs rows per scale";
    if (!is_float(s.scale_dtype))
      return "scales of type " + std::string(dtype_info(s.scale_dtype).name) + " are not supported";
    return "";
  }
  if (!is_block_type(s.dtype)) return "matrices of type " + type + " are not supported by the cuda back end";
  if (!row_bytes(s.dtype, static_cast<uint64_t>(s.cols)))
    return std::to_string(s.cols) + " columns are no multiple of " + type + "'s block of " +
           std::to_string(dtype_info(s.dtype).block_elems);
  return "";
}

// fn(first, last) over [0, count) on a few threads; `bytes` says whether that is worth it.
template <class F>
void in_parallel(int64_t count, size_t bytes, F fn) {
  const auto wanted = static_cast<int64_t>(bytes >> 19);  // half a MiB each
  const int64_t threads = std::clamp<int64_t>(std::min<int64_t>(wanted, count), 1,
                                              std::clamp(std::thread::hardware_concurrency(), 1u, kMaxThreads));
  std::vector<std::jthread> others;
  for (int64_t i = 1; i < threads; ++i)
    others.emplace_back([=] { fn(count * i / threads, count * (i + 1) / threads); });
  fn(0, count / threads);
}

}  // namespace

std::unique_ptr<CudaWeight> WeightLoader::load(std::span<const MatrixSource> stacked, std::string* why) {
  const auto refuse = [why](std::string reason) -> std::unique_ptr<CudaWeight> {
    if (why != nullptr) *why = std::move(reason);
    return nullptr;
  };
  if (stacked.empty()) return refuse("no matrix to prepare");
  const int64_t cols = stacked.front().cols;
  int64_t rows = 0;
  for (const MatrixSource& source : stacked) {
    if (std::string defect = defect_of(source); !defect.empty()) return refuse(std::move(defect));
    if (source.cols != cols) return refuse("stacked matrices differ in their columns");
    rows += source.rows;
  }
  size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<size_t>(rows),
                             static_cast<size_t>(CudaWeight::stride_of(cols)) * dtype_info(dtype_).block_bytes, &bytes))
    return refuse("not enough memory for a matrix");
  DeviceMemory memory = DeviceMemory::allocate(bytes);
  if (!memory) return refuse("not enough memory for a matrix of " + std::to_string(bytes >> 20) + " MiB");
  auto weight = std::make_unique<CudaWeight>(dtype_, rows, cols, std::move(memory));
  int64_t first = 0;
  for (const MatrixSource& source : stacked) {
    const TensorView part = weight->view().rows_at(first, source.rows);
    if (source.random_key)
      fill_random(part, source.dtype, *source.random_key, stream_);
    else
      upload(source, part);
    first += source.rows;
  }
  return weight;
}

void WeightLoader::upload(const MatrixSource& source, TensorView to) {
  const size_t row =
      static_cast<size_t>(source.cols) * (is_float(source.dtype) ? dtype_info(source.dtype).block_bytes : 4);
  const auto rows_at_once = static_cast<int64_t>(std::max<size_t>(kChunkBytes / row, 1));
  for (int64_t first = 0; first < source.rows; first += rows_at_once)
    upload_chunk(source, first, to.rows_at(first, std::min(rows_at_once, source.rows - first)));
}

void WeightLoader::upload_chunk(const MatrixSource& source, int64_t first_row, TensorView to) {
  const bool as_stored = is_float(source.dtype);
  const DType type = as_stored ? source.dtype : DType::kF32;
  const size_t row = static_cast<size_t>(source.cols) * dtype_info(type).block_bytes;
  const size_t bytes = row * static_cast<size_t>(to.rows);
  Slot& slot = ring_[next_slot_];
  next_slot_ = (next_slot_ + 1) % ring_.size();
  check(cudaEventSynchronize(slot.done.get()), "wait for a chunk of weights");
  if (slot.host.bytes() < bytes) slot.host = PinnedMemory(std::max(bytes, kChunkBytes));
  auto* const host = slot.host.as<char>();
  in_parallel(to.rows, bytes, [&](int64_t first, int64_t last) {
    if (as_stored)
      std::memcpy(host + static_cast<size_t>(first) * row,
                  static_cast<const char*>(source.data) + static_cast<size_t>(first_row + first) * row,
                  static_cast<size_t>(last - first) * row);
    else
      dequantize_rows(source, first_row + first, last - first,
                      reinterpret_cast<float*>(host + static_cast<size_t>(first) * row));
  });
  constexpr const char* kName = "copy weights";
  if (type == to.dtype) {
    check(cudaMemcpy2DAsync(to.data, static_cast<size_t>(to.stride) * dtype_info(type).block_bytes, host, row, row,
                            static_cast<size_t>(to.rows), cudaMemcpyHostToDevice, stream_),
          kName, {to.rows, to.cols});
  } else {
    if (slot.device.bytes() < bytes) slot.device = DeviceMemory::allocate(std::max(bytes, kChunkBytes));
    require(static_cast<bool>(slot.device), kName, {to.rows, to.cols}, "no memory for the conversion");
    check(cudaMemcpyAsync(slot.device.as<>(), host, bytes, cudaMemcpyHostToDevice, stream_), kName, {to.rows, to.cols});
    convert(to, {slot.device.as<>(), type, to.rows, to.cols, to.cols}, stream_);
  }
  check(cudaEventRecord(slot.done.get(), stream_), kName);
}

}  // namespace mhub::kernels::cuda
