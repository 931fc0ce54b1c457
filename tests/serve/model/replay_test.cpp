// SPDX-License-Identifier: Apache-2.0
// Decode steps on a back end that wants them padded: the answers are those of unpadded steps.
#include <gtest/gtest.h>

#include <algorithm>

#include "serve/model/loaded.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace mhub::model {
namespace {

using namespace kernels;

struct Seen {
  int64_t replays = 0, padding_rows = 0;
};

// The CPU's, which leaves out the padding rows and asks for steps of four rows.
class PaddingBackend final : public Backend {
 public:
  PaddingBackend(std::unique_ptr<Backend> cpu, Seen& seen) : cpu_(std::move(cpu)), seen_(seen) {}
  const DeviceFacts& facts() const override { return cpu_->facts(); }
  Compute compute() const override { return cpu_->compute(); }
  std::unique_ptr<Buffer> allocate(size_t bytes) override { return cpu_->allocate(bytes); }
  void copy_to_device(void* dst, const void* src, size_t bytes) override { cpu_->copy_to_device(dst, src, bytes); }
  void copy_to_host(void* dst, const void* src, size_t bytes) override { cpu_->copy_to_host(dst, src, bytes); }
  std::unique_ptr<KvCache> make_kv_cache(const KvShape& shape, DType dtype) override {
    return cpu_->make_kv_cache(shape, dtype);
  }
  DType preferred_kv_dtype() const override { return cpu_->preferred_kv_dtype(); }
  std::unique_ptr<PreparedWeight> prepare(std::span<const MatrixSource> stacked, bool keep, std::string* why) override {
    return cpu_->prepare(stacked, keep, why);
  }
  std::unique_ptr<PreparedWeight> prepare_embedding(const MatrixSource& table, bool keep, std::string* why) override {
    return cpu_->prepare_embedding(table, keep, why);
  }

  void begin_step(const StepInputs& inputs) override {
    rows_ = std::count_if(inputs.slot_mapping.begin(), inputs.slot_mapping.end(), [](int32_t s) { return s >= 0; });
    padded_ = static_cast<int64_t>(inputs.slot_mapping.size());
    for (int64_t i = rows_; i < padded_; ++i) EXPECT_EQ(inputs.attention.seq_lens[static_cast<size_t>(i)], 0);
    seen_.padding_rows += padded_ - rows_;
  }
  int64_t replay_rows(int64_t rows) const override { return rows <= 4 ? 4 : 0; }
  void replay(uint64_t, const std::function<void()>& operations) override {
    ++seen_.replays;
    operations();
  }

  void embedding(TensorView out, std::span<const int32_t> ids, const PreparedWeight& table) override {
    cpu_->embedding(real(out), real(ids), table);
  }
  void rms_norm(TensorView out, TensorView x, const float* weight, float eps) override {
    cpu_->rms_norm(real(out), real(x), weight, eps);
  }
  void add_rms_norm(TensorView out, TensorView residual, TensorView x, const float* weight, float eps) override {
    cpu_->add_rms_norm(real(out), real(residual), real(x), weight, eps);
  }
  void linear(TensorView out, TensorView x, const PreparedWeight& weight, const float* bias) override {
    cpu_->linear(real(out), real(x), weight, bias);
  }
  void silu_mul(TensorView out, TensorView gate_up) override { cpu_->silu_mul(real(out), real(gate_up)); }
  void rope_and_write_kv(TensorView q, TensorView k, TensorView v, std::span<const int32_t> positions,
                         std::span<const int32_t> slots, const float* cos_sin, int64_t rotary_dim, RopeStyle style,
                         KvCache& cache, int64_t layer) override {
    cpu_->rope_and_write_kv(real(q), real(k), real(v), real(positions), real(slots), cos_sin, rotary_dim, style, cache,
                            layer);
  }
  void paged_attention(TensorView out, TensorView q, const AttentionMetadata& metadata, float scale,
                       const KvCache& cache, int64_t layer) override {
    AttentionMetadata m = metadata;
    if (q.rows == padded_ && rows_ < padded_) {
      m.cu_seqlens_q = m.cu_seqlens_q.first(static_cast<size_t>(rows_) + 1);
      m.seq_lens = m.seq_lens.first(static_cast<size_t>(rows_));
    }
    cpu_->paged_attention(real(out), real(q), m, scale, cache, layer);
  }
  void gather_rows(TensorView out, TensorView x, std::span<const int32_t> rows) override {
    cpu_->gather_rows(out, x, rows);
  }

 private:
  TensorView real(TensorView view) const { return view.rows == padded_ ? view.rows_at(0, rows_) : view; }
  std::span<const int32_t> real(std::span<const int32_t> values) const {
    return static_cast<int64_t>(values.size()) == padded_ ? values.first(static_cast<size_t>(rows_)) : values;
  }
  std::unique_ptr<Backend> cpu_;
  Seen& seen_;
  int64_t rows_ = 0, padded_ = 0;
};

TEST(Replay, PaddedStepsGiveTheSameTokens) {
  test::TempDir dir;
  test::write_tiny_model(dir.path(), {});
  auto options = float32_options(dir.path());  // 8 sequences, more than a replayed step has
  options.kv_cache_memory_bytes = 4u << 20;
  const auto plain = load(options);
  Seen seen;
  BackendOptions backend_options;
  backend_options.compute = Compute::kFloat32;
  auto padding = LoadedModel::load(std::make_unique<PaddingBackend>(make_cpu_backend(backend_options), seen), options);
  ASSERT_TRUE(padding) << padding.error().one_line();

  Sequence sequence;
  for (int32_t i = 0; i < 11; ++i) sequence.prompt.push_back(i * 17 % 256);
  sequence.params = greedy_params();
  sequence.blocks = block_table(*plain, 40);
  Sequence same = sequence;
  EXPECT_EQ(generate(**padding, same, 16), generate(*plain, sequence, 16));
  EXPECT_EQ(seen.replays, 15);
  EXPECT_EQ(seen.padding_rows, 3 * 15);
}

}  // namespace
}  // namespace mhub::model
