// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "host_memory.h"
#include "isa.h"
#include "mhub/kernels/backend.h"
#include "thread_pool.h"

namespace mhub::kernels::cpu {

// The rows of one linear()'s input as tiles of tokens for packed kernels. Memory is kept between calls.
class Activations {
 public:
  enum class Form { kQuantized, kFloat };

  Activations(const Isa& isa, ThreadPool& pool) : isa_(isa), pool_(pool) {}

  void load(TensorView x, Form form);
  int64_t tiles() const { return tiles_; }
  int64_t tile_tokens() const { return isa_.max_tokens; }

  // What a layout adds to its products (PackedTile::starts, activation_sums); valid until the next load().
  struct Terms {
    std::vector<int32_t> starts;
    std::vector<float> sums;
    int32_t factor = 0;  // starts = factor * sum
    int64_t columns = 0;
  };
  // Computed once per distinct layout. Not thread-safe. Returns an index for tile().
  size_t terms_for(const PackedLayout& layout);
  // Fills in the activation side of a kernel call.
  void tile(int64_t index, const PackedLayout& layout, size_t terms, PackedTile& to) const;

 private:
  int64_t width_of(int64_t tile) const;
  void quantize(TensorView x, int64_t token);
  void interleave(TensorView x, int64_t token);

  const Isa& isa_;
  ThreadPool& pool_;
  Form form_ = Form::kQuantized;
  int64_t tokens_ = 0, blocks_ = 0, tiles_ = 0;
  std::vector<int8_t> quantized_;  // per tile [block][width][32]
  std::vector<float> scales_;      // per tile [block][width]
  std::vector<int32_t> sums_;      // per tile [half block][width]
  std::vector<float> floats_;      // per tile [column][width]
  std::vector<Terms> terms_;       // the first used_terms_ are valid
  size_t used_terms_ = 0;
};

}  // namespace mhub::kernels::cpu
