// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "mhub/kernels/backend.h"

namespace mhub::model {

// What a PaddingBackend was asked for.
struct Seen {
  int64_t steps = 0, replays = 0, padding_rows = 0;
  int64_t copies = 0, allocations = 0;  // outside of a step's announced inputs
};

// The CPU's, which leaves out the padding rows and asks for steps of four rows. With `ahead` it draws greedy tokens and
// keeps them to itself until a step is collected, like a device.
class PaddingBackend final : public kernels::Backend {
  using Backend = kernels::Backend;

 public:
  PaddingBackend(std::unique_ptr<Backend> cpu, Seen& seen, bool ahead = false)
      : cpu_(std::move(cpu)), seen_(seen), ahead_(ahead) {
    tokens_.reserve(kMostRows);
    for (auto& ids : drawn_) ids.reserve(kMostRows);
  }
  const kernels::DeviceFacts& facts() const override { return cpu_->facts(); }
  kernels::Compute compute() const override { return cpu_->compute(); }
  bool host_visible() const override { return !ahead_; }
  std::unique_ptr<kernels::Buffer> allocate(size_t bytes) override {
    ++seen_.allocations;
    return cpu_->allocate(bytes);
  }
  void copy_to_device(void* dst, const void* src, size_t bytes) override {
    ++seen_.copies;
    cpu_->copy_to_device(dst, src, bytes);
  }
  void copy_to_host(void* dst, const void* src, size_t bytes) override {
    ++seen_.copies;
    cpu_->copy_to_host(dst, src, bytes);
  }
  std::unique_ptr<kernels::KvCache> make_kv_cache(const kernels::KvShape& shape, kernels::DType dtype) override {
    return cpu_->make_kv_cache(shape, dtype);
  }
  kernels::DType preferred_kv_dtype() const override { return cpu_->preferred_kv_dtype(); }
  std::unique_ptr<kernels::PreparedWeight> prepare(std::span<const kernels::MatrixSource> stacked, bool keep,
                                                   std::string* why) override {
    return cpu_->prepare(stacked, keep, why);
  }
  std::unique_ptr<kernels::PreparedWeight> prepare_embedding(const kernels::MatrixSource& table, bool keep,
                                                             std::string* why) override {
    return cpu_->prepare_embedding(table, keep, why);
  }

  void begin_step(const kernels::StepInputs& inputs) override {
    rows_ = std::count_if(inputs.slot_mapping.begin(), inputs.slot_mapping.end(), [](int32_t s) { return s >= 0; });
    padded_ = static_cast<int64_t>(inputs.slot_mapping.size());
    for (auto i = static_cast<size_t>(rows_); i < inputs.attention.seq_lens.size(); ++i)
      EXPECT_EQ(inputs.attention.seq_lens[i], 0);
    seen_.padding_rows += padded_ - rows_;
    ++seen_.steps;
    announced_ = inputs.tokens;
    tokens_.assign(inputs.tokens.begin(), inputs.tokens.end());
    const auto& before = drawn_[(oldest_ + num_ended_ + 1) % drawn_.size()];
    for (size_t i = 0; i < inputs.token_sources.size(); ++i) {
      if (inputs.token_sources[i] >= 0) tokens_[i] = before.at(static_cast<size_t>(inputs.token_sources[i]));
    }
    for (const kernels::SampleSpec& spec : inputs.samples) EXPECT_EQ(spec.temperature, 0.0f);
    drawn_[(oldest_ + num_ended_) % drawn_.size()].resize(inputs.samples.size());
  }
  int64_t tuned_rows(int64_t rows) const override { return !ahead_ ? 0 : rows <= 4 ? 4 : 256; }
  bool draws_ahead() const override { return ahead_; }
  void draw(int64_t first, kernels::TensorView logits) override {
    auto& ids = drawn_[(oldest_ + num_ended_) % drawn_.size()];
    for (int64_t r = 0; r < logits.rows; ++r) {
      const float* row = logits.f32_row(r);
      ids.at(static_cast<size_t>(first + r)) = static_cast<int32_t>(std::max_element(row, row + logits.cols) - row);
    }
  }
  void end_step() override {
    ASSERT_LT(num_ended_, drawn_.size());
    ++num_ended_;
  }
  void collect_step(std::span<int32_t> out) override {
    ASSERT_GT(num_ended_, 0u);
    const auto& ids = drawn_[oldest_];
    ASSERT_EQ(ids.size(), out.size());
    std::copy(ids.begin(), ids.end(), out.begin());
    oldest_ = (oldest_ + 1) % drawn_.size();
    --num_ended_;
  }
  int64_t replay_rows(int64_t rows) const override { return rows <= 4 ? 4 : 0; }
  void replay(uint64_t, const std::function<void()>& operations) override {
    ++seen_.replays;
    operations();
  }

  void embedding(kernels::TensorView out, std::span<const int32_t> ids, const kernels::PreparedWeight& table) override {
    cpu_->embedding(real(out), real(ids.data() == announced_.data() ? std::span<const int32_t>(tokens_) : ids), table);
  }
  void rms_norm(kernels::TensorView out, kernels::TensorView x, const float* weight, float eps) override {
    cpu_->rms_norm(real(out), real(x), weight, eps);
  }
  void add_rms_norm(kernels::TensorView out, kernels::TensorView residual, kernels::TensorView x, const float* weight,
                    float eps) override {
    cpu_->add_rms_norm(real(out), real(residual), real(x), weight, eps);
  }
  void linear(kernels::TensorView out, kernels::TensorView x, const kernels::PreparedWeight& weight,
              const float* bias) override {
    cpu_->linear(real(out), real(x), weight, bias);
  }
  void silu_mul(kernels::TensorView out, kernels::TensorView gate_up) override {
    cpu_->silu_mul(real(out), real(gate_up));
  }
  void rope_and_write_kv(kernels::TensorView q, kernels::TensorView k, kernels::TensorView v,
                         std::span<const int32_t> positions, std::span<const int32_t> slots, const float* cos_sin,
                         int64_t rotary_dim, kernels::RopeStyle style, kernels::KvCache& cache,
                         int64_t layer) override {
    cpu_->rope_and_write_kv(real(q), real(k), real(v), real(positions), real(slots), cos_sin, rotary_dim, style, cache,
                            layer);
  }
  void paged_attention(kernels::TensorView out, kernels::TensorView q, const kernels::AttentionMetadata& metadata,
                       float scale, const kernels::KvCache& cache, int64_t layer) override {
    kernels::AttentionMetadata m = metadata;
    if (q.rows == padded_ && rows_ < padded_) {
      m.cu_seqlens_q = m.cu_seqlens_q.first(static_cast<size_t>(rows_) + 1);
      m.seq_lens = m.seq_lens.first(static_cast<size_t>(rows_));
    }
    cpu_->paged_attention(real(out), real(q), m, scale, cache, layer);
  }
  void gather_rows(kernels::TensorView out, kernels::TensorView x, std::span<const int32_t> rows) override {
    cpu_->gather_rows(out, x, rows);
  }

 private:
  kernels::TensorView real(kernels::TensorView view) const {
    return view.rows == padded_ ? view.rows_at(0, rows_) : view;
  }
  std::span<const int32_t> real(std::span<const int32_t> values) const {
    return static_cast<int64_t>(values.size()) == padded_ ? values.first(static_cast<size_t>(rows_)) : values;
  }
  static constexpr size_t kMostRows = 64;
  std::unique_ptr<Backend> cpu_;
  Seen& seen_;
  const bool ahead_;
  int64_t rows_ = 0, padded_ = 0;
  std::span<const int32_t> announced_;
  std::vector<int32_t> tokens_;
  std::array<std::vector<int32_t>, 2> drawn_;  // by step, used in turn
  size_t oldest_ = 0, num_ended_ = 0;
};

}  // namespace mhub::model
