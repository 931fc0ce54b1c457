// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <memory>
#include <string>

#include "layers/layers.h"
#include "weights/checkpoint.h"

namespace mhub::model {

// Turns a checked checkpoint's weights into layers on a device. Borrows both for its lifetime.
class WeightLoader {
 public:
  WeightLoader(kernels::Backend& backend, const Checkpoint& checkpoint) : backend_(backend), checkpoint_(checkpoint) {}

  // The modules' weights stacked along rows, with their biases where the checkpoint has them.
  // Errors: kBadModel (the back end cannot multiply the format), kDevice (no memory).
  Result<Linear> linear(std::initializer_list<std::string> modules) const;
  // One module with its rows from `first` on put before the others.
  Result<Linear> linear_rotated(const std::string& module, int64_t first) const;
  // One module multiplied as float32 however it is stored.
  Result<Linear> float_linear(const std::string& module) const;
  struct Experts {
    std::unique_ptr<kernels::PreparedWeight> weight;
    std::unique_ptr<kernels::Buffer> bias;  // float32 or null
  };
  // `prefix`E.`module` of every expert E and, within it, of every module.
  Result<Experts> experts(const std::string& prefix, std::initializer_list<std::string> modules,
                          int64_t num_experts) const;
  // float32 [rows, cols], copied.
  Result<std::unique_ptr<kernels::PreparedWeight>> matrix(const std::string& what, const float* values, int64_t rows,
                                                          int64_t cols) const;
  Result<RmsNorm> rms_norm(const std::string& module, double eps) const;
  // A norm whose checkpoint holds w of (1 + w); GGUF files hold the sum.
  Result<RmsNorm> rms_norm_of_one(const std::string& module, double eps) const;
  Result<std::unique_ptr<kernels::PreparedWeight>> embedding(const std::string& module) const;
  Result<std::unique_ptr<kernels::Buffer>> vector(const std::string& name) const;
  std::vector<float> floats(const std::string& name) const { return checkpoint_.floats(name); }
  bool has(const std::string& name) const { return checkpoint_.has(name); }
  // As the model's own dtype would hold `value`; Compute::kFloat32 never rounds.
  float rounded_to_dtype(float value) const;

 private:
  Result<std::unique_ptr<kernels::Buffer>> upload(std::span<const float> values, const std::string& name) const;
  Result<std::unique_ptr<kernels::PreparedWeight>> prepare(const std::string& what,
                                                           std::span<const kernels::MatrixSource> sources,
                                                           bool keep_source) const;
  kernels::Backend& backend_;
  const Checkpoint& checkpoint_;
};

}  // namespace mhub::model
