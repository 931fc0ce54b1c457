// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mhub::model {

enum class WeightKind {
  kEmbedding,  // looked up by row, never quantized by compressed-tensors
  kLinear,     // multiplied; may be stored quantized
  kFloat,      // a matrix that is used as float32 however it is stored (router, absorbed projections)
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
  // One of the experts of a layer: files may store all of them as one tensor [num_experts, ...].
  int64_t expert = -1, num_experts = 0;
};

// Builds a family's list.
class WeightTable {
 public:
  void embedding(std::string name, int64_t rows, int64_t cols) {
    add({std::move(name), WeightKind::kEmbedding, rows, cols});
  }
  void vector(std::string name, int64_t length) { add({std::move(name), WeightKind::kVector, length, 1}); }
  // A Hugging Face Linear module: `module`.weight and, with has_bias, `module`.bias.
  void linear(const std::string& module, int64_t out_features, int64_t in_features, bool has_bias) {
    add({module + ".weight", WeightKind::kLinear, out_features, in_features, true});
    if (has_bias) vector(module + ".bias", out_features);
  }
  void optional_linear(const std::string& module, int64_t out_features, int64_t in_features) {
    add({module + ".weight", WeightKind::kLinear, out_features, in_features, false});
  }
  void float_matrix(const std::string& name, int64_t rows, int64_t cols) {
    add({name, WeightKind::kFloat, rows, cols, true});
  }
  // `prefix`E.`module` for every expert E.
  void experts(const std::string& prefix, const std::string& module, int64_t num_experts, int64_t out_features,
               int64_t in_features, bool has_bias) {
    for (int64_t e = 0; e < num_experts; ++e) {
      const std::string expert = prefix + std::to_string(e) + "." + module;
      add({expert + ".weight", WeightKind::kLinear, out_features, in_features, true, e, num_experts});
      if (has_bias) add({expert + ".bias", WeightKind::kVector, out_features, 1, true, e, num_experts});
    }
  }
  std::vector<WeightSpec> take() && { return std::move(specs_); }

 private:
  void add(WeightSpec spec) { specs_.push_back(std::move(spec)); }
  std::vector<WeightSpec> specs_;
};

}  // namespace mhub::model
