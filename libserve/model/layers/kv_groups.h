// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "mhub/formats/model_config.h"

namespace mhub::model {

// Layers that see the same positions, in groups of equal size. A KV block holds the keys and values of one group's
// layers: all groups take blocks from one pool, and those with a window give them back when it has passed.
struct KvGroups {
  struct Place {
    size_t group = 0;
    int64_t layer = 0;  // of the KV cache
  };
  std::vector<int64_t> windows = {0};  // of the groups (mhub/base/kv_blocks.h)
  int64_t layers_per_group = 0;        // = layers of the KV cache; the last group of a kind may use fewer
  std::vector<Place> places;           // by layer of the model
};

// `several`: the back end takes several block tables in a step. Else layers of both kinds are one group without a
// window, like windows that contexts of max_model_len never leave.
KvGroups kv_groups(const formats::ModelConfig& config, int64_t max_model_len, bool several);

}  // namespace mhub::model
