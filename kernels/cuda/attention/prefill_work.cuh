// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/attention/plan.h"

namespace mhub::kernels::cuda {

// Which rows a thread block has and which tokens they see.
struct PrefillWork {
  int seq, head;
  int q_begin, len, past;  // past: tokens before the first query row
  int first_row, num_rows;
  int begin, end;  // visible tokens of any row

  __device__ PrefillWork(const AttentionParams& p, int window, PrefillTile tile, int kv_head, int rows_per_tile)
      : seq(tile.seq), head(kv_head), q_begin(p.cu_seqlens_q[seq]), len(p.seq_lens[seq]) {
    const int q_len = p.cu_seqlens_q[seq + 1] - q_begin;
    past = len - q_len;
    first_row = tile.tile * rows_per_tile;
    num_rows = min(rows_per_tile, q_len * p.group - first_row);
    begin = window > 0 ? max(0, oldest(p) + 1 - window) : 0;
    end = newest(p) + 1;
  }
  __device__ int position(const AttentionParams& p, int row) const { return past + (first_row + row) / p.group; }
  __device__ int oldest(const AttentionParams& p) const { return position(p, 0); }
  __device__ int newest(const AttentionParams& p) const { return position(p, num_rows - 1); }
};

}  // namespace mhub::kernels::cuda
