// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "isa.h"
#include "kv_cache.h"
#include "mhub/kernels/backend.h"
#include "thread_pool.h"

namespace mhub::kernels::cpu {

// Cuts a ragged batch into tiles and runs them on the pool. Long contexts with few rows are split over threads and
// merged. Keeps scratch between calls.
class Attention {
 public:
  Attention(const Isa& isa, ThreadPool& pool);
  void run(TensorView out, TensorView q, const AttentionMetadata& metadata, const AttentionOptions& options,
           const CpuKvCache& cache, int64_t layer);

 private:
  // Tile of one sequence and KV head; parts of one split share (row_begin, head) and follow each other.
  struct Item {
    int32_t sequence, head;
    int32_t row_begin, row_end;
    int32_t kv_begin, kv_end;
    bool first_part;
    int32_t split;  // index of its slot in partial_out_, -1 when the tile covers the whole context
  };
  void plan(const AttentionMetadata& metadata, int64_t window, int64_t kv_heads, int64_t group);
  void merge(TensorView out, const AttentionMetadata& metadata, const float* sinks, int64_t group, int64_t value_dim);

  const Isa& isa_;
  ThreadPool& pool_;
  std::vector<Item> items_;
  int32_t splits_ = 0;
  std::vector<std::vector<float>> scratch_;  // per thread
  std::vector<float> partial_out_;           // [split][kAttentionRows, value_dim], unnormalised
  std::vector<float> partial_sums_;          // [split][kAttentionRows][maximum, sum]
};

}  // namespace mhub::kernels::cpu
