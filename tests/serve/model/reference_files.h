// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstring>

#include "loaded.h"
#include "mhub/formats/tensor_table.h"

namespace mhub::model {

template <typename T>
std::vector<T> read_tensor(const formats::TensorTable& table, std::string_view name) {
  const auto* entry = table.find(name);
  if (!entry) throw std::runtime_error("no tensor " + std::string(name));
  std::vector<T> values(entry->bytes / sizeof(T));
  std::memcpy(values.data(), table.data(*entry), entry->bytes);
  return values;
}

// What another implementation computed from the model beside it (reference.safetensors): logits of every position of
// `input_ids`, and the greedy continuation of their first `prompt_len`.
struct Reference {
  std::vector<int32_t> input_ids, greedy;
  std::vector<float> logits;  // [input_ids, vocabulary]

  explicit Reference(const std::filesystem::path& dir) {
    const auto table = formats::open_safetensors_file(dir / "reference.safetensors");
    if (!table) throw std::runtime_error(table.error().one_line());
    input_ids = read_tensor<int32_t>(*table, "input_ids");
    greedy = read_tensor<int32_t>(*table, "greedy");
    logits = read_tensor<float>(*table, "logits");
  }

  // Largest difference from the model's logits, as a share of the largest logit.
  float difference(LoadedModel& model) const {
    const size_t vocab = logits.size() / input_ids.size();
    const auto ours = all_logits(model, input_ids);
    float largest = 0, worst = 0;
    for (const float x : logits) largest = std::max(largest, std::abs(x));
    for (size_t i = 0; i < logits.size(); ++i)
      worst = std::max(worst, std::abs(logits[i] - ours[i / vocab][i % vocab]));
    return worst / largest;
  }

  std::vector<int32_t> continued(LoadedModel& model, size_t prompt_len) const {
    Sequence sequence;
    sequence.prompt.assign(input_ids.begin(), input_ids.begin() + static_cast<std::ptrdiff_t>(prompt_len));
    sequence.params = greedy_params();
    sequence.blocks = block_table(model, static_cast<int64_t>(prompt_len + greedy.size()));
    return generate(model, sequence, static_cast<int>(greedy.size()));
  }
};

}  // namespace mhub::model
