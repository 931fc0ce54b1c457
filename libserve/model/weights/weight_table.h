// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mhub::model {

enum class WeightKind {
  kEmbedding,  // looked up by row, never quantized by compressed-tensors
  kLinear,     // multiplied; may be stored quantized
  kVector,     // norm weight or bias; used as float32
};

// One tensor that a model family expects, by its Hugging Face name. The family's list of these is the only statement of
// its weights: loading, the missing/surplus/shape report, memory accounting and dummy weights all read it.
struct WeightSpec {
  std::string name;  // "model.layers.0.self_attn.q_proj.weight"
  WeightKind kind = WeightKind::kLinear;
  int64_t rows = 0;  // out features; length of a vector
  int64_t cols = 1;  // in features
  bool required = true;
};

// Builds a family's list.
class WeightTable {
 public:
  void embedding(std::string name, int64_t rows, int64_t cols) {
    add({std::move(name), WeightKind::kEmbedding, rows, cols, true});
  }
  void vector(std::string name, int64_t length) { add({std::move(name), WeightKind::kVector, length, 1, true}); }
  // A Hugging Face Linear module: `module`.weight and, with has_bias, `module`.bias.
  void linear(const std::string& module, int64_t out_features, int64_t in_features, bool has_bias) {
    add({module + ".weight", WeightKind::kLinear, out_features, in_features, true});
    if (has_bias) vector(module + ".bias", out_features);
  }
  void optional_linear(const std::string& module, int64_t out_features, int64_t in_features) {
    add({module + ".weight", WeightKind::kLinear, out_features, in_features, false});
  }
  std::vector<WeightSpec> take() && { return std::move(specs_); }

 private:
  void add(WeightSpec spec) { specs_.push_back(std::move(spec)); }
  std::vector<WeightSpec> specs_;
};

}  // namespace mhub::model
