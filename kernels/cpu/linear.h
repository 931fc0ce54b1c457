// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "activations.h"
#include "isa.h"
#include "thread_pool.h"
#include "weight.h"

namespace mhub::kernels::cpu {

// out[T,N] = x[T,K] * W^T + bias over parts stacked along N, in panels of 16 rows. Keeps scratch between calls.
class Linear {
 public:
  Linear(const Isa& isa, ThreadPool& pool, Compute compute);
  void run(TensorView out, TensorView x, std::span<const WeightPart> parts, const float* bias);

 private:
  struct Call {
    TensorView out, x;
    const float* bias;
  };
  // Where a part's panels and rows start among those of the whole weight.
  struct Range {
    const WeightPart* part;
    int64_t first_panel, last_panel, first_row;
    size_t terms;
  };
  struct Scratch {
    std::vector<float> scale, minimum;  // of one packed panel
    std::vector<float> decoded;         // 16 rows of a source part
  };
  void plan(const Call& call, std::span<const WeightPart> parts);
  void packed_panel(const Call& call, const PackedPart& part, const Range& range, int64_t panel, int64_t first_tile,
                    int64_t last_tile, Scratch& scratch);
  void source_panel(const Call& call, const SourcePart& part, const Range& range, int64_t panel, int64_t first_token,
                    int64_t tokens, Scratch& scratch);

  const Isa& isa_;
  ThreadPool& pool_;
  Compute compute_;
  Activations activations_;
  std::vector<uint16_t> narrow_;  // x as BF16 [T, K] where a part wants it
  std::vector<Range> ranges_;
  int64_t panels_ = 0;
  std::vector<Scratch> scratch_;  // per thread
};

}  // namespace mhub::kernels::cpu
