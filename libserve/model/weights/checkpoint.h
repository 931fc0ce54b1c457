// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/formats/model_config.h"
#include "mhub/kernels/backend.h"
#include "weights/weight_table.h"

namespace mhub::model {

// One checked weight. Vectors are matrices of one row.
struct CheckpointWeight {
  kernels::MatrixSource source;
  std::shared_ptr<const std::vector<std::byte>> owned;  // set when the bytes are not in the model file
  uint64_t bytes = 0;                                   // weights, scales and zero points
  bool as_float = false;                                // used as float32 however it is stored
  // Set when the bytes are made anew each time they are asked for: source.data is null until then.
  std::function<CheckpointWeight()> make;
};

// The weights of one model, found and checked against a family's table before anything is computed: each has the
// expected shape and a readable dtype, norms and scales are finite, nothing is missing, nothing is left over.
// Errors are kBadModel and name the tensor.
class Checkpoint {
 public:
  // `tensors` must be Hugging Face names (a safetensors directory).
  static Result<Checkpoint> from_safetensors(formats::TensorTable tensors, const formats::ModelConfig& config,
                                             const std::vector<WeightSpec>& specs);
  static Result<Checkpoint> from_gguf(formats::GgufFile gguf, const formats::ModelConfig& config,
                                      const std::vector<WeightSpec>& specs);
  // Random weights of the true shapes and of the dtype and quantization that `config` names.
  static Checkpoint dummy(const formats::ModelConfig& config, std::vector<WeightSpec> specs, uint64_t seed);

  bool has(std::string_view name) const { return weights_.contains(name); }
  // Precondition: has(name). A dummy's bytes are made by the call and live as long as the result; with `stand_ins` a
  // dummy of a float type has only a key (MatrixSource::random_key).
  CheckpointWeight weight(std::string_view name, bool stand_ins = false) const;
  // All values of a vector or matrix. Precondition: has(name).
  std::vector<float> floats(std::string_view name) const;
  // The model's bytes stay in memory (mapped files) as long as this object does.
  bool in_place() const { return !dummy_; }
  // Once everything is repacked: what was read for that leaves the process's resident memory.
  void drop_pages() const;
  uint64_t total_bytes() const;                              // in the model's files
  uint64_t bytes_on(const kernels::Backend& backend) const;  // once loaded there
  // Whether some weight that is quantized in the file is kept larger there.
  bool expanded_on(const kernels::Backend& backend) const;
  // Rows of q_proj and k_proj are in interleaved rope order (GGUF files of the llama family).
  bool interleaved_rope() const { return interleaved_rope_; }
  // Norm weights of the Gemma families are stored with their 1 added (GGUF).
  bool norms_hold_one() const { return norms_hold_one_; }
  // What the model computes in by itself, where its files say so.
  std::optional<kernels::DType> dtype() const { return dtype_; }
  // Divisors of the rope frequencies (GGUF's rope_freqs.weight); empty when the file has none.
  const std::vector<float>& rope_divisors() const { return rope_divisors_; }

 private:
  struct DummyRecipe {
    formats::ModelConfig config;
    uint64_t seed = 0;
  };
  std::vector<std::shared_ptr<const formats::MappedFile>> files_;
  std::map<std::string, CheckpointWeight, std::less<>> weights_;
  std::map<std::string, WeightSpec, std::less<>> dummy_specs_;
  std::optional<DummyRecipe> dummy_;
  bool interleaved_rope_ = false, norms_hold_one_ = false;
  std::optional<kernels::DType> dtype_;
  std::vector<float> rope_divisors_;
};

}  // namespace mhub::model
