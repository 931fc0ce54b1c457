// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "cuda/device_sampler.h"
#include "cuda/invariant_linear.h"
#include "cuda/linear.h"
#include "cuda/paged_attention.h"
#include "cuda/resources.h"
#include "cuda/step_graphs.h"
#include "cuda/step_inputs.h"
#include "cuda/weight_loader.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// One GPU, one stream. Activations, weights and the KV cache are of one type: float32 for kFloat32, else half_dtype.
class CudaBackend final : public Backend {
 public:
  CudaBackend(const BackendOptions& options, const cudaDeviceProp& device, int driver_version);
  ~CudaBackend() override;

  const DeviceFacts& facts() const override;
  Compute compute() const override { return compute_; }
  DType activation_dtype() const override { return dtype_; }
  bool host_visible() const override { return false; }

  std::unique_ptr<Buffer> allocate(size_t bytes) override;
  void copy_to_device(void* dst, const void* src, size_t bytes) override;
  void copy_to_host(void* dst, const void* src, size_t bytes) override;
  std::unique_ptr<KvCache> make_kv_cache(const KvShape& shape, DType dtype) override;
  DType preferred_kv_dtype() const override { return dtype_; }

  std::unique_ptr<PreparedWeight> prepare(std::span<const MatrixSource> stacked, bool keep_source,
                                          std::string* why) override;
  std::unique_ptr<PreparedWeight> prepare_embedding(const MatrixSource& table, bool keep_source,
                                                    std::string* why) override;
  bool makes_random() const override { return true; }
  uint64_t prepared_bytes(const MatrixSource& source, uint64_t source_bytes) const override;

  void begin_step(const StepInputs& inputs) override { inputs_.begin(inputs, sampler_.drawn()); }
  int64_t tuned_rows(int64_t rows) const override { return invariant_linear_ ? 0 : Linear::bucket_of(rows); }
  bool draws_ahead() const override { return true; }
  void draw(int64_t first, TensorView logits) override;
  void end_step() override { sampler_.end_step(); }
  void collect_step(std::span<int32_t> out) override { sampler_.collect(out); }
  int64_t replay_rows(int64_t rows) const override;
  void replay(uint64_t shape, const std::function<void()>& operations) override { graphs_.run(shape, operations); }
  bool sample(std::span<int32_t> out, TensorView logits, std::span<const SampleSpec> specs) override {
    sampler_.run(out, logits, specs);
    return true;
  }

  void embedding(TensorView out, std::span<const int32_t> ids, const PreparedWeight& table) override;
  void rms_norm(TensorView out, TensorView x, const float* weight, float eps) override;
  void add_rms_norm(TensorView out, TensorView residual, TensorView x, const float* weight, float eps) override;
  void linear(TensorView out, TensorView x, const PreparedWeight& weight, const float* bias) override;
  void silu_mul(TensorView out, TensorView gate_up) override;
  void rope_and_write_kv(TensorView q, TensorView k, TensorView v, std::span<const int32_t> positions,
                         std::span<const int32_t> slot_mapping, const float* cos_sin, int64_t rotary_dim,
                         RopeStyle style, KvCache& cache, int64_t layer) override;
  void paged_attention(TensorView out, TensorView q, const AttentionMetadata& metadata, float scale,
                       const KvCache& cache, int64_t layer) override;
  void gather_rows(TensorView out, TensorView x, std::span<const int32_t> rows) override;

  void attention(TensorView out, TensorView q, const AttentionMetadata& metadata, const AttentionOptions& options,
                 const KvCache& cache, int64_t layer) override;
  void head_rms_norm(TensorView x, int64_t head_dim, const float* weight, float eps) override;
  void gated_activation(TensorView out, TensorView gate_up, const GatedActivation& activation) override;
  void gated_linear(TensorView out, TensorView gate_up, TensorView x, const PreparedWeight& weight, const float* bias,
                    const GatedActivation& activation) override;
  void scale(TensorView x, float factor) override;
  void soft_cap(TensorView x, float cap) override;
  void add(TensorView sum, TensorView x) override;
  void add_gated(TensorView sum, TensorView x, TensorView gate) override;
  void copy_heads(TensorView out, int64_t out_step, TensorView x, int64_t x_step, int64_t heads,
                  int64_t width) override;
  void route_experts(const ExpertRows& rows, TensorView logits, const RouterOptions& options) override;
  void grouped_linear(TensorView out, TensorView x, const ExpertRows& rows, bool by_token,
                      const PreparedWeight& stacked, const float* bias) override;
  void combine_experts(TensorView out, TensorView x, const ExpertRows& rows) override;

 private:
  class Allocation;
  const void* bias_as(DType dtype, const float* bias, int64_t length);

  Compute compute_;
  DType dtype_;
  mutable DeviceFacts facts_;
  Stream stream_;
  StepInputsOnDevice inputs_{stream_.get()};
  StepGraphs graphs_{stream_.get(), inputs_};
  Linear linear_{stream_.get()};
  std::optional<InvariantLinear> invariant_linear_;  // batch_invariant: in the place of linear_
  PagedAttention attention_;
  DeviceSampler sampler_{stream_.get()};
  WeightLoader loader_;
  DeviceMemory expert_choices_;  // of route_experts(), between its two kernels
  // Biases (buffers of float32) in the type of the activations, made when first used. Shared with the allocations,
  // which may outlive the back end and take their entry out.
  using BiasCopies = std::unordered_map<const void*, DeviceMemory>;
  std::shared_ptr<BiasCopies> biases_ = std::make_shared<BiasCopies>();
};

}  // namespace mhub::kernels::cuda
