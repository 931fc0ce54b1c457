// SPDX-License-Identifier: Apache-2.0
#include "cuda/cuda_backend.h"

#include <algorithm>

#include "cuda/convert.h"
#include "cuda/elementwise.h"
#include "cuda/experts.h"
#include "cuda/kv_cache.h"
#include "cuda/rope.h"
#include "cuda/rows.h"

namespace mhub::kernels::cuda {
namespace {

constexpr int64_t kReplayedRows = 512;  // larger decode batches are not worth a graph of their own

const CudaWeight& as_cuda(const PreparedWeight& weight) {
  return static_cast<const CudaWeight&>(weight);
}
const CudaKvCache& as_cuda(const KvCache& cache) {
  return static_cast<const CudaKvCache&>(cache);
}

}  // namespace

class CudaBackend::Allocation final : public Buffer {
 public:
  Allocation(DeviceMemory memory, std::shared_ptr<BiasCopies> biases)
      : memory_(std::move(memory)), biases_(std::move(biases)) {}
  ~Allocation() override { biases_->erase(memory_.as<>()); }
  void* data() override { return memory_.as<>(); }
  size_t bytes() const override { return memory_.bytes(); }

 private:
  DeviceMemory memory_;
  std::shared_ptr<BiasCopies> biases_;
};

CudaBackend::CudaBackend(const BackendOptions& options, const cudaDeviceProp& device, int driver_version)
    : compute_(options.compute),
      dtype_(options.compute == Compute::kFloat32 ? DType::kF32 : options.half_dtype),
      attention_(stream_.get(), inputs_, options.batch_invariant),
      loader_(dtype_, stream_.get()) {
  if (options.batch_invariant) invariant_linear_.emplace(stream_.get());
  facts_.name = "cuda";
  facts_.description = std::string(device.name) + ", compute " + std::to_string(device.major) + "." +
                       std::to_string(device.minor) + ", " + std::to_string(device.multiProcessorCount) +
                       " multiprocessors, driver for CUDA " + std::to_string(driver_version / 1000) + "." +
                       std::to_string(driver_version % 1000 / 10);
  facts_.num_threads = 1;
}

CudaBackend::~CudaBackend() {
  cudaStreamSynchronize(stream_.get());
}

const DeviceFacts& CudaBackend::facts() const {
  size_t available = 0, total = 0;
  check(cudaMemGetInfo(&available, &total), "ask for the device's memory");
  facts_.memory_bytes = total;
  facts_.memory_available_bytes = available;
  return facts_;
}

std::unique_ptr<Buffer> CudaBackend::allocate(size_t bytes) {
  DeviceMemory memory = DeviceMemory::allocate(bytes);
  if (!memory) return nullptr;
  return std::make_unique<Allocation>(std::move(memory), biases_);
}

void CudaBackend::copy_to_device(void* dst, const void* src, size_t bytes) {
  if (bytes == 0) return;
  const auto size = static_cast<int64_t>(bytes);
  check(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyHostToDevice, stream_.get()), "copy to the device", {size});
  check(cudaStreamSynchronize(stream_.get()), "copy to the device", {size});
}

void CudaBackend::copy_to_host(void* dst, const void* src, size_t bytes) {
  if (bytes == 0) return;
  const auto size = static_cast<int64_t>(bytes);
  check(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToHost, stream_.get()), "copy to the host", {size});
  check(cudaStreamSynchronize(stream_.get()), "copy to the host", {size});
}

std::unique_ptr<KvCache> CudaBackend::make_kv_cache(const KvShape& shape, DType dtype) {
  constexpr const char* kName = "make_kv_cache";
  require(dtype == dtype_, kName, {}, "keys and values are kept in the type of the activations");
  require(
      shape.layers > 0 && shape.num_blocks > 0 && shape.block_size > 0 && shape.num_kv_heads > 0 && shape.head_dim > 0,
      kName, {shape.layers, shape.num_blocks, shape.block_size, shape.num_kv_heads, shape.head_dim},
      "a KV cache needs a positive shape");
  size_t bytes = 0;
  if (__builtin_mul_overflow(shape.block_bytes(dtype), static_cast<size_t>(shape.num_blocks), &bytes)) return nullptr;
  DeviceMemory memory = DeviceMemory::allocate(bytes);
  if (!memory) return nullptr;
  return std::make_unique<CudaKvCache>(shape, dtype, std::move(memory));
}

std::unique_ptr<PreparedWeight> CudaBackend::prepare(std::span<const MatrixSource> stacked, bool, std::string* why) {
  return loader_.load(stacked, why);
}

std::unique_ptr<PreparedWeight> CudaBackend::prepare_embedding(const MatrixSource& table, bool, std::string* why) {
  return loader_.load({&table, 1}, why);
}

uint64_t CudaBackend::prepared_bytes(const MatrixSource& source, uint64_t) const {
  return static_cast<uint64_t>(source.rows) * static_cast<uint64_t>(CudaWeight::stride_of(source.cols)) *
         dtype_info(dtype_).block_bytes;
}

int64_t CudaBackend::replay_rows(int64_t rows) const {
  if (rows <= 0 || rows > kReplayedRows) return 0;
  for (const int64_t few : {1, 2, 4, 8}) {
    if (rows <= few) return few;
  }
  const int64_t step = rows <= 256 ? 8 : 32;
  return (rows + step - 1) / step * step;
}

void CudaBackend::draw(int64_t first, TensorView logits) {
  const auto samples = inputs_.samples();
  require(first >= 0 && first + logits.rows <= samples.count, "draw", {first, logits.rows, samples.count},
          "more rows than samples were announced");
  sampler_.draw(first, logits, samples);
}

void CudaBackend::embedding(TensorView out, std::span<const int32_t> ids, const PreparedWeight& table) {
  require(out.rows == static_cast<int64_t>(ids.size()), "embedding", {out.rows, out.cols}, "one id per row");
  if (out.rows == 0) return;
  const TensorView rows = as_cuda(table).view();
  take_rows(out, rows, inputs_.array(ids, 0, rows.rows, "embedding"), stream_.get());
}

void CudaBackend::rms_norm(TensorView out, TensorView x, const float* weight, float eps) {
  cuda::rms_norm(out, x, nullptr, weight, eps, stream_.get());
}

void CudaBackend::add_rms_norm(TensorView out, TensorView residual, TensorView x, const float* weight, float eps) {
  cuda::rms_norm(out, x, &residual, weight, eps, stream_.get());
}

const void* CudaBackend::bias_as(DType dtype, const float* bias, int64_t length) {
  if (bias == nullptr || dtype == DType::kF32) return bias;
  DeviceMemory& narrow = (*biases_)[bias];
  const auto bytes = static_cast<size_t>(length) * dtype_info(dtype).block_bytes;
  if (narrow.bytes() >= bytes) return narrow.as<>();
  narrow = DeviceMemory::allocate(bytes);
  require(static_cast<bool>(narrow), "linear", {length}, "no memory for a bias");
  convert({narrow.as<>(), dtype, 1, length, length}, {const_cast<float*>(bias), DType::kF32, 1, length, length},
          stream_.get());
  return narrow.as<>();
}

void CudaBackend::linear(TensorView out, TensorView x, const PreparedWeight& weight, const float* bias) {
  const TensorView matrix = as_cuda(weight).view();
  const void* const narrow_bias = bias_as(out.dtype, bias, weight.rows());
  if (invariant_linear_)
    invariant_linear_->run(out, x, matrix, narrow_bias);
  else
    linear_.run(out, x, matrix, narrow_bias);
}

void CudaBackend::silu_mul(TensorView out, TensorView gate_up) {
  cuda::silu_mul(out, gate_up, stream_.get());
}

void CudaBackend::rope_and_write_kv(TensorView q, TensorView k, TensorView v, std::span<const int32_t> positions,
                                    std::span<const int32_t> slot_mapping, const float* cos_sin, int64_t rotary_dim,
                                    RopeStyle style, KvCache& cache, int64_t layer) {
  constexpr const char* kName = "rope_and_write_kv";
  const CudaKvCache& kv = as_cuda(cache);
  const KvShape& shape = kv.shape();
  require(static_cast<int64_t>(positions.size()) == q.rows && static_cast<int64_t>(slot_mapping.size()) == q.rows,
          kName, {q.rows}, "one position and one slot per row");
  if (q.rows == 0) return;
  const RopeArgs args{q,
                      k,
                      v,
                      inputs_.array(positions, 0, int64_t{1} << 31, kName),
                      inputs_.array(slot_mapping, -1, shape.num_blocks * shape.block_size, kName),
                      cos_sin,
                      rotary_dim,
                      style};
  cuda::rope_and_write_kv(args, kv, layer, stream_.get());
}

void CudaBackend::paged_attention(TensorView out, TensorView q, const AttentionMetadata& metadata, float scale,
                                  const KvCache& cache, int64_t layer) {
  attention(out, q, metadata, {.scale = scale}, cache, layer);
}

void CudaBackend::attention(TensorView out, TensorView q, const AttentionMetadata& metadata,
                            const AttentionOptions& options, const KvCache& cache, int64_t layer) {
  constexpr const char* kName = "paged_attention";
  const CudaKvCache& kv = as_cuda(cache);
  const KvShape& shape = kv.shape();
  const int64_t heads = q.cols / shape.head_dim;
  require(q.cols % (shape.num_kv_heads * shape.head_dim) == 0 && out.rows == q.rows &&
              out.cols == heads * shape.value_dim(),
          kName, {q.rows, q.cols, shape.num_kv_heads, shape.head_dim}, "query heads do not fit the KV cache");
  require(q.dtype == kv.dtype() && out.dtype == q.dtype && layer >= 0 && layer < shape.layers, kName, {q.rows, layer},
          "types differ, or no such layer");
  if (q.rows == 0) return;
  attention_.run(out, q, metadata, options, kv, layer);
}

void CudaBackend::head_rms_norm(TensorView x, int64_t head_dim, const float* weight, float eps) {
  cuda::head_rms_norm(x, head_dim, weight, eps, stream_.get());
}

void CudaBackend::gated_activation(TensorView out, TensorView gate_up, const GatedActivation& activation) {
  cuda::gated_activation(out, gate_up, activation, stream_.get());
}

void CudaBackend::gated_linear(TensorView out, TensorView gate_up, TensorView x, const PreparedWeight& weight,
                               const float* bias, const GatedActivation& activation) {
  if (invariant_linear_) {
    linear(gate_up, x, weight, bias);
    gated_activation(out, gate_up, activation);
    return;
  }
  linear_.run_gated(out, gate_up, x, as_cuda(weight).view(), bias_as(out.dtype, bias, weight.rows()), activation);
}

void CudaBackend::scale(TensorView x, float factor) {
  cuda::scale(x, factor, stream_.get());
}

void CudaBackend::soft_cap(TensorView x, float cap) {
  cuda::soft_cap(x, cap, stream_.get());
}

void CudaBackend::add(TensorView sum, TensorView x) {
  cuda::add(sum, x, stream_.get());
}

void CudaBackend::add_gated(TensorView sum, TensorView x, TensorView gate) {
  cuda::add_gated(sum, x, gate, stream_.get());
}

void CudaBackend::copy_heads(TensorView out, int64_t out_step, TensorView x, int64_t x_step, int64_t heads,
                             int64_t width) {
  cuda::copy_heads(out, out_step, x, x_step, heads, width, stream_.get());
}

void CudaBackend::route_experts(const ExpertRows& rows, TensorView logits, const RouterOptions& options) {
  const auto bytes = static_cast<size_t>(std::max<int64_t>(rows.rows(), 0)) * sizeof(int32_t);
  if (expert_choices_.bytes() < bytes) {
    check(cudaStreamSynchronize(stream_.get()), "route_experts");
    if (expert_choices_) inputs_.forget_recordings();  // they hold the old address
    expert_choices_ = DeviceMemory::allocate(2 * bytes);
    require(static_cast<bool>(expert_choices_), "route_experts", {rows.rows()}, "no memory for the choices");
  }
  cuda::route_experts(rows, logits, options, expert_choices_.as<int32_t>(), stream_.get());
}

void CudaBackend::grouped_linear(TensorView out, TensorView x, const ExpertRows& rows, bool by_token,
                                 const PreparedWeight& stacked, const float* bias) {
  cuda::grouped_linear(out, x, rows, by_token, as_cuda(stacked).view(), bias, stream_.get());
}

void CudaBackend::combine_experts(TensorView out, TensorView x, const ExpertRows& rows) {
  cuda::combine_experts(out, x, rows, stream_.get());
}

void CudaBackend::gather_rows(TensorView out, TensorView x, std::span<const int32_t> rows) {
  require(out.rows == static_cast<int64_t>(rows.size()), "gather_rows", {out.rows, out.cols}, "one index per row");
  if (out.rows == 0) return;
  take_rows(out, x, inputs_.array(rows, 0, x.rows, "gather_rows"), stream_.get());
}

}  // namespace mhub::kernels::cuda
