// SPDX-License-Identifier: Apache-2.0
// LoadedModel::load: config -> weight table -> checked checkpoint -> memory plan -> weights, workspace and KV cache.
#include <fmt/format.h>

#include <algorithm>

#include "architectures.h"
#include "causal_model_runner.h"
#include "layers/rope.h"
#include "memory_plan.h"
#include "mhub/base/bytes.h"
#include "mhub/base/check.h"
#include "mhub/model/backend_choice.h"

namespace mhub::model {
namespace {

struct OpenedModel {
  formats::ModelConfig config;
  const Architecture* architecture = nullptr;
  std::unique_ptr<Checkpoint> checkpoint;
};

Result<OpenedModel> open_dummy(const RunnerOptions& options) {
  OpenedModel model;
  MHUB_TRY(model.config, formats::read_model_config(options.model));
  MHUB_TRY(model.architecture, find_architecture(model.config));
  model.checkpoint = std::make_unique<Checkpoint>(
      Checkpoint::dummy(model.config, model.architecture->weights(model.config), options.seed));
  return model;
}

Result<OpenedModel> open_model(const RunnerOptions& options) {
  if (options.load_format == LoadFormat::kDummy) return open_dummy(options);
  MHUB_TRY(const auto location, formats::locate_model(options.model));
  OpenedModel model;
  if (location.kind == formats::ModelLocation::Kind::kGguf) {
    MHUB_TRY(auto gguf, formats::open_gguf(location.path));
    MHUB_TRY(model.config, formats::model_config_from_gguf(gguf));
    MHUB_TRY(model.architecture, find_architecture(model.config));
    MHUB_TRY(auto checkpoint,
             Checkpoint::from_gguf(std::move(gguf), model.config, model.architecture->weights(model.config)));
    model.checkpoint = std::make_unique<Checkpoint>(std::move(checkpoint));
    return model;
  }
  MHUB_TRY(model.config, formats::read_model_config(location.path));
  MHUB_TRY(model.architecture, find_architecture(model.config));
  MHUB_TRY(auto tensors, formats::open_safetensors_dir(location.path));
  MHUB_TRY(auto checkpoint,
           Checkpoint::from_safetensors(std::move(tensors), model.config, model.architecture->weights(model.config)));
  model.checkpoint = std::make_unique<Checkpoint>(std::move(checkpoint));
  return model;
}

// Rows of the largest step that is replayed: larger batches may not be.
int64_t most_replay_rows(const kernels::Backend& backend, int64_t max_num_seqs) {
  for (int64_t rows = max_num_seqs; rows > 0; --rows) {
    if (const int64_t padded = backend.replay_rows(rows); padded > 0) return padded;
  }
  return 0;
}

std::string compute_name(const kernels::Backend& backend) {
  if (backend.compute() == kernels::Compute::kFloat32) return "float32";
  const auto activation = backend.activation_dtype();
  return activation == kernels::DType::kF32 ? "fast" : std::string(kernels::dtype_info(activation).name);
}

Result<RopeTable> make_rope(kernels::Backend& backend, const formats::ModelConfig& config,
                            const std::vector<float>& table, bool interleaved, int64_t max_model_len) {
  RopeTable rope;
  rope.rotary_dim = rotary_dim(config);
  rope.style = interleaved ? kernels::RopeStyle::kInterleaved : kernels::RopeStyle::kHalf;
  rope.cos_sin = backend.allocate(table.size() * sizeof(float));
  if (!rope.cos_sin) {
    return Error{ErrorCode::kDevice,
                 fmt::format("{} for the rope table of {} positions could not be allocated",
                             human_bytes(table.size() * sizeof(float)), max_model_len),
                 "lower --max-model-len", "max_model_len"};
  }
  backend.copy_to_device(rope.cos_sin->data(), table.data(), table.size() * sizeof(float));
  return rope;
}

// What the cache keeps of a token in each layer.
kernels::KvShape kv_shape(const formats::ModelConfig& config, const KvGroups& groups, int64_t block_size) {
  kernels::KvShape shape{groups.layers_per_group, 0, block_size, config.num_key_value_heads, config.head_dim};
  if (config.latent.kv_lora_rank > 0) {
    shape.num_kv_heads = 1;
    shape.head_dim = config.latent.qk_rope_head_dim + config.latent.kv_lora_rank;
    shape.latent_dim = config.latent.kv_lora_rank;
  }
  return shape;
}

}  // namespace

Result<std::unique_ptr<LoadedModel>> LoadedModel::load(std::unique_ptr<kernels::Backend> backend,
                                                       const RunnerOptions& options) {
  MHUB_TRY(const auto compute, compute_for_dtype(options.dtype));
  MHUB_CHECK(backend != nullptr && backend->compute() == compute);
  MHUB_TRY(auto opened, open_model(options));
  const formats::ModelConfig& config = opened.config;

  CausalModelRunner::Parts parts;
  parts.kv_dtype = compute == kernels::Compute::kFloat32 ? kernels::DType::kF32 : backend->preferred_kv_dtype();
  parts.kv_groups = kv_groups(config, options.max_model_len > 0 ? options.max_model_len : native_max_model_len(config),
                              backend->several_block_tables());
  parts.kv_shape = kv_shape(config, parts.kv_groups, options.block_size);
  parts.workspace_size = Workspace::size(
      config,
      {options.max_num_batched_tokens, most_replay_rows(*backend, options.max_num_seqs), backend->activation_dtype()});
  const kernels::DeviceFacts device = backend->facts();
  MemoryDemand demand;
  demand.weights_bytes = opened.checkpoint->bytes_on(*backend);
  demand.workspace_bytes = parts.workspace_size.bytes;
  demand.rope_bytes_per_token =
      static_cast<uint64_t>(rotary_dim(config)) * sizeof(float) * (config.rope_local_theta ? 2 : 1);
  demand.kv_windows = parts.kv_groups.windows;
  demand.block_bytes = parts.kv_shape.block_bytes(parts.kv_dtype);
  demand.workspace_bytes +=
      demand.rope_bytes_per_token * static_cast<uint64_t>(length_of_short_rope(config, longest_max_model_len(config)));
  demand.native_len = native_max_model_len(config);
  demand.longest_len = longest_max_model_len(config);
  MHUB_TRY(parts.plan, plan_memory(demand, options, device));
  parts.plan.kv_dtype = kernels::dtype_info(parts.kv_dtype).name;
  parts.plan.device = device.description;
  parts.plan.weights_expanded = opened.checkpoint->expanded_on(*backend);
  parts.plan.compute = compute_name(*backend);
  parts.kv_shape.num_blocks = parts.plan.num_blocks;
  parts.sampled_vocab =
      options.sampled_vocab > 0 ? std::min(options.sampled_vocab, config.vocab_size) : config.vocab_size;

  const int64_t positions = parts.plan.max_model_len;
  const bool interleaved = opened.checkpoint->interleaved_rope() || config.latent.kv_lora_rank > 0;
  parts.plan.long_context_from = length_of_short_rope(config, positions);
  std::vector<float> table;
  if (const int64_t most = parts.plan.long_context_from; most > 0) {
    MHUB_TRY(const auto frequencies, rope_frequencies(config, most, opened.checkpoint->rope_divisors()));
    table = rope_table(frequencies, most);
  }
  MHUB_TRY(const auto frequencies, rope_frequencies(config, positions, opened.checkpoint->rope_divisors()));
  const std::vector<float> longest = rope_table(frequencies, positions);
  table.insert(table.end(), longest.begin(), longest.end());
  MHUB_TRY(parts.rope, make_rope(*backend, config, table, interleaved, positions));
  if (config.rope_local_theta) {
    const RopeFrequencies local = plain_rope_frequencies(*config.rope_local_theta, rotary_dim(config));
    MHUB_TRY(parts.local_rope, make_rope(*backend, config, rope_table(local, positions), interleaved, positions));
  }
  const WeightLoader loader(*backend, *opened.checkpoint);
  MHUB_TRY(parts.model, opened.architecture->load(config, loader));
  opened.checkpoint->drop_pages();
  MHUB_TRY(parts.workspace, Workspace::make(*backend, config, parts.workspace_size));
  parts.cache = backend->make_kv_cache(parts.kv_shape, parts.kv_dtype);
  if (!parts.cache) {
    return Error{ErrorCode::kDevice,
                 fmt::format("{} of KV cache ({} blocks of {} tokens) could not be allocated on {}",
                             human_bytes(parts.plan.kv_bytes), parts.plan.num_blocks, options.block_size, device.name),
                 "lower --kv-cache-memory-bytes or --gpu-memory-utilization", "kv_cache_memory_bytes"};
  }
  parts.plan.rope_bytes = demand.rope_bytes_per_token * static_cast<uint64_t>(positions);
  if (!backend->host_visible()) {
    const uint64_t left = backend->facts().memory_available_bytes;
    parts.plan.device_bytes = device.memory_available_bytes - std::min(device.memory_available_bytes, left);
  }
  parts.max_num_seqs = options.max_num_seqs;
  parts.config = std::move(opened.config);
  parts.checkpoint = std::move(opened.checkpoint);
  parts.backend = std::move(backend);
  return std::unique_ptr<LoadedModel>(std::make_unique<CausalModelRunner>(std::move(parts)));
}

}  // namespace mhub::model
