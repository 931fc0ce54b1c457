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
  Result<RmsNorm> rms_norm(const std::string& module, double eps) const;
  Result<std::unique_ptr<kernels::PreparedWeight>> embedding(const std::string& module) const;
  bool has(const std::string& name) const { return checkpoint_.has(name); }

 private:
  Result<std::unique_ptr<kernels::Buffer>> upload(std::span<const float> values, const std::string& name) const;
  kernels::Backend& backend_;
  const Checkpoint& checkpoint_;
};

}  // namespace mhub::model
