// SPDX-License-Identifier: Apache-2.0
#include "layers/kv_groups.h"

#include <algorithm>

namespace mhub::model {

KvGroups kv_groups(const formats::ModelConfig& config, int64_t max_model_len, bool several) {
  const int64_t layers = config.num_hidden_layers, window = config.sliding_window.value_or(0);
  int64_t sliding = 0;
  for (int64_t i = 0; i < layers; ++i) sliding += config.slides(i) ? 1 : 0;
  if (window >= max_model_len || (sliding < layers && !several)) sliding = 0;
  const int64_t full = layers - sliding;

  KvGroups groups;
  groups.layers_per_group = sliding == 0 || full == 0 ? layers : std::min(full, sliding);
  const auto groups_for = [&](int64_t count) {
    return (count + groups.layers_per_group - 1) / groups.layers_per_group;
  };
  groups.windows.assign(static_cast<size_t>(groups_for(full)), 0);
  groups.windows.resize(static_cast<size_t>(groups_for(full) + groups_for(sliding)), window);
  int64_t next_full = 0, next_sliding = groups_for(full) * groups.layers_per_group;
  for (int64_t i = 0; i < layers; ++i) {
    const int64_t at = sliding > 0 && config.slides(i) ? next_sliding++ : next_full++;
    groups.places.push_back({static_cast<size_t>(at / groups.layers_per_group), at % groups.layers_per_group});
  }
  return groups;
}

}  // namespace mhub::model
