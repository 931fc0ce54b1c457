// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "causal_lm.h"
#include "mhub/model/model_runner.h"
#include "sampling/sampler.h"
#include "weights/checkpoint.h"

namespace mhub::model {

// LoadedModel over one family's definition. Everything a step needs is allocated when it is made.
class CausalModelRunner final : public LoadedModel {
 public:
  struct Parts {
    std::unique_ptr<kernels::Backend> backend;  // first: everything below lives on it
    formats::ModelConfig config;
    MemoryPlan plan;
    std::unique_ptr<Checkpoint> checkpoint;  // the mapped files, which weights may be read from
    std::unique_ptr<CausalLM> model;
    Workspace workspace;
    Workspace::Size workspace_size;
    RopeTable rope;
    std::optional<RopeTable> local_rope;  // of the layers that slide, where it differs
    KvGroups kv_groups;
    kernels::KvShape kv_shape;
    kernels::DType kv_dtype = kernels::DType::kF32;
    std::unique_ptr<kernels::KvCache> cache;
    int64_t sampled_vocab = 0;
    int64_t max_num_seqs = 0;
  };
  explicit CausalModelRunner(Parts parts);

  void submit(std::span<const StepRow> rows) override;
  void collect(std::vector<RowResult>& results) override;
  bool runs_ahead(const SamplingParams& params) const override;
  bool prepare_more() override;
  int64_t num_blocks() const override { return parts_.plan.num_blocks; }
  int64_t block_size() const override { return parts_.plan.block_size; }
  int64_t vocab_size() const override { return parts_.config.vocab_size; }
  int64_t max_model_len() const override { return parts_.plan.max_model_len; }
  int64_t long_context_from() const override { return parts_.plan.long_context_from; }
  const std::vector<int64_t>& kv_windows() const override { return parts_.plan.kv_windows; }
  const formats::ModelConfig& config() const override { return parts_.config; }
  const MemoryPlan& plan() const override { return parts_.plan; }
  void forward_logits(std::span<const int32_t> tokens,
                      const std::function<void(int64_t, std::span<const float>)>& sink) override;

 private:
  // One row of hidden states whose logits a step needs.
  struct WantedLogits {
    int32_t hidden_row = 0;
    size_t step_row = 0;
    int32_t next_token = -1;  // of a prompt position; -1: sample
  };
  // A step that was submitted and not collected.
  struct Submitted {
    std::vector<RowResult> results;
    bool drawn = false;              // tokens are still to come from the device
    std::vector<size_t> drawn_rows;  // of results, in the order of what was drawn
    std::vector<int32_t> draw_of;    // by row: its place in drawn_rows, or -1
  };
  void fill_batch(std::span<const StepRow> rows, const Submitted& before);
  // Whether all that is wanted of the step is tokens that the device draws; then says so in `step` and batch_.
  bool plan_draws(std::span<const StepRow> rows, Submitted& step);
  void run_step(std::span<const StepRow> rows, Submitted& step);
  // What a sequence's positions are behind in the rope table, where long ones come after the short ones' positions.
  int32_t rope_shift(bool long_context) const {
    return long_context ? static_cast<int32_t>(parts_.plan.long_context_from) : 0;
  }
  kernels::TensorView run(kernels::KvCache& cache);  // over batch_
  // Calls use(first, logits) for each of hidden_rows, a chunk at a time; logits row i is that of hidden_rows[first +
  // i].
  template <typename Use>
  void for_each_logits(kernels::TensorView hidden, std::span<const int32_t> hidden_rows, Use use);
  // A row of logits where the host may read and change it, valid until the next call.
  std::span<float> host_row(kernels::TensorView logits, int64_t row);
  void collect_wanted(std::span<const StepRow> rows);
  // Samples, or reads prompt logprobs, for wanted_[first + i] from logits row i.
  void use_logits(size_t first, kernels::TensorView logits, std::span<const StepRow> rows,
                  std::span<RowResult> results);
  void use_host_logits(const WantedLogits& wanted, std::span<float> logits, const StepRow& row, RowResult& result);
  kernels::KvCache& evaluation_cache(int64_t blocks);

  Parts parts_;
  bool host_visible_;  // activations can be read where they are
  StepBatch batch_;
  Sampler sampler_;
  std::vector<WantedLogits> wanted_;
  std::vector<int64_t> unprepared_;     // row counts of steps whose first sight is still to come
  std::array<Submitted, 2> submitted_;  // used in turn
  size_t oldest_ = 0, num_submitted_ = 0;
  std::vector<float> host_logits_;
  std::vector<kernels::SampleSpec> specs_;
  std::vector<int32_t> sampled_;
  std::unique_ptr<kernels::KvCache> evaluation_cache_;
  int64_t evaluation_blocks_ = 0;
};

}  // namespace mhub::model
