// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attention.h"
#include "host_memory.h"
#include "isa.h"
#include "linear.h"
#include "mhub/kernels/backend.h"
#include "thread_pool.h"

namespace mhub::kernels::cpu {

class CpuBackend final : public Backend {
 public:
  CpuBackend(const BackendOptions& options, const Isa& isa, std::span<const int> cores);

  const DeviceFacts& facts() const override;
  Compute compute() const override { return compute_; }

  std::unique_ptr<Buffer> allocate(size_t bytes) override;
  void copy_to_device(void* dst, const void* src, size_t bytes) override;
  void copy_to_host(void* dst, const void* src, size_t bytes) override;
  std::unique_ptr<KvCache> make_kv_cache(const KvShape& shape, DType dtype) override;
  DType preferred_kv_dtype() const override { return compute_ == Compute::kFast ? DType::kF16 : DType::kF32; }

  std::unique_ptr<PreparedWeight> prepare(std::span<const MatrixSource> stacked, bool keep_source,
                                          std::string* why) override;
  std::unique_ptr<PreparedWeight> prepare_embedding(const MatrixSource& table, bool keep_source,
                                                    std::string* why) override;

  void embedding(TensorView out, std::span<const int32_t> ids, const PreparedWeight& table) override;
  void rms_norm(TensorView out, TensorView x, const float* weight, float eps) override;
  void add_rms_norm(TensorView out, TensorView residual, TensorView x, const float* weight, float eps) override;
  void linear(TensorView out, TensorView x, const PreparedWeight& weight, const float* bias) override;
  void silu_mul(TensorView out, TensorView gate_up) override;
  bool several_block_tables() const override { return true; }
  void rope_and_write_kv(TensorView q, TensorView k, TensorView v, std::span<const int32_t> positions,
                         std::span<const int32_t> slot_mapping, const float* cos_sin, int64_t rotary_dim,
                         RopeStyle style, KvCache& cache, int64_t layer) override;
  void paged_attention(TensorView out, TensorView q, const AttentionMetadata& metadata, float scale,
                       const KvCache& cache, int64_t layer) override;
  void gather_rows(TensorView out, TensorView x, std::span<const int32_t> rows) override;
  void attention(TensorView out, TensorView q, const AttentionMetadata& metadata, const AttentionOptions& options,
                 const KvCache& cache, int64_t layer) override;

  // cpu_row_ops.cpp
  void head_rms_norm(TensorView x, int64_t head_dim, const float* weight, float eps) override;
  void gated_activation(TensorView out, TensorView gate_up, const GatedActivation& activation) override;
  void scale(TensorView x, float factor) override;
  void soft_cap(TensorView x, float cap) override;
  void add(TensorView sum, TensorView x) override;
  void add_gated(TensorView sum, TensorView x, TensorView gate) override;
  void copy_heads(TensorView out, int64_t out_step, TensorView x, int64_t x_step, int64_t heads,
                  int64_t width) override;

  // cpu_expert_ops.cpp
  void route_experts(const ExpertRows& rows, TensorView logits, const RouterOptions& options) override;
  void grouped_linear(TensorView out, TensorView x, const ExpertRows& rows, bool by_token,
                      const PreparedWeight& stacked, const float* bias) override;
  void combine_experts(TensorView out, TensorView x, const ExpertRows& rows) override;

 private:
  static constexpr int64_t kWorthThreads = 16384;  // elements below which one thread finishes before two have met
  // Runs fn(row) for each row; on the pool when rows * cols is worth waking it.
  template <class F>
  void for_rows(int64_t rows, int64_t cols, F fn) {
    if (rows < 2 || rows * cols < kWorthThreads) {
      for (int64_t row = 0; row < rows; ++row) fn(row);
      return;
    }
    const int64_t chunks = std::min<int64_t>(rows, 4 * pool_.num_threads());
    pool_.run(chunks, [&](int64_t chunk, int) {
      for (int64_t row = rows * chunk / chunks; row < rows * (chunk + 1) / chunks; ++row) fn(row);
    });
  }

  Compute compute_;
  const Isa& isa_;
  mutable DeviceFacts facts_;  // the memory figures are read anew on each call
  ThreadPool pool_;
  HostArena arena_;  // of the weights
  Linear linear_;
  Attention attention_;
  std::vector<float> expert_input_;      // rows of one expert, gathered
  std::vector<int32_t> expert_choices_;  // [tokens, top_k] of the last route_experts()
};

}  // namespace mhub::kernels::cpu
