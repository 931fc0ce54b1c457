// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "kernels/cuda/device.h"
#include "serve/model/loaded.h"
#include "support/tiny_model.h"

namespace mhub::model {

// A tiny model whose shapes have kernels of their own on the device.
inline void write_cuda_model(const std::filesystem::path& dir) {
  test::TinyModelOptions tiny;
  tiny.hidden_size = 256;
  tiny.intermediate_size = 384;
  tiny.num_hidden_layers = 2;
  tiny.num_attention_heads = 4;
  tiny.num_key_value_heads = 2;
  tiny.head_dim = 128;
  tiny.vocab_size = 1024;
  tiny.dtype = "BF16";
  test::write_tiny_model(dir, tiny);
}

// null with *why where this machine or this build has no CUDA.
inline std::unique_ptr<LoadedModel> load_on_cuda(const std::filesystem::path& dir, bool batch_invariant,
                                                 std::string* why) {
  const std::string library = kernels::testing::cuda_library();
  if (library.empty()) {
    *why = "built without MHUB_BUILD_CUDA";
    return nullptr;
  }
  kernels::BackendOptions options;
  options.batch_invariant = batch_invariant;
  auto backend = kernels::load_cuda_backend(options, library, why);
  if (!backend) return nullptr;
  RunnerOptions runner;
  runner.model = dir;
  runner.max_num_seqs = 64;
  runner.max_num_batched_tokens = 1024;
  runner.kv_cache_memory_bytes = 64u << 20;
  auto model = LoadedModel::load(std::move(backend), runner);
  if (!model) throw std::runtime_error(model.error().one_line());
  return *std::move(model);
}

}  // namespace mhub::model
