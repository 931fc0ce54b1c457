// SPDX-License-Identifier: Apache-2.0
// Draws one token per row of logits on the device. What a row gets depends on its logits and its SampleRow alone, and
// is the token that the host's sampler draws (up to the rounding of nearly equal scores): penalties, then temperature,
// min_p, top_k and top_p, then an exponential race whose random numbers are a function of (race_key, token).
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace mhub::kernels::cuda {

enum class LogitType { kFloat32, kBFloat16 };

// What a row wants; an array of these lies in device memory.
struct SampleRow {
  float temperature = 0.0f;  // below 1e-5: greedy, the lowest id among equals
  float top_p = 1.0f;
  float min_p = 0.0f;
  int32_t top_k = 0;      // 0 = off
  uint64_t race_key = 0;  // of the request's seed and the output's index
  // Row of SampleBatch::seen that counts this request's tokens; -1 = no penalties.
  int32_t seen_slot = -1;
  float repetition_penalty = 1.0f;
  float frequency_penalty = 0.0f;
  float presence_penalty = 0.0f;
  int32_t bias_slot = -1;  // row of SampleBatch::bias, added first; -1 = none
  int32_t reserved = 0;
};
static_assert(sizeof(SampleRow) == 48);

// `seen` entries: the times that a token was put out, and this bit when the prompt holds it.
constexpr uint16_t kSeenInPrompt = 0x8000;

struct SampleBatch {
  const void* logits = nullptr;  // [num_rows, vocab]
  int64_t logits_stride = 0;     // elements between rows
  LogitType type = LogitType::kFloat32;
  int vocab = 0;
  int num_rows = 0;
  const SampleRow* rows = nullptr;  // [num_rows]
  uint16_t* seen = nullptr;         // [slots, vocab]; a drawn token is counted
  const float* bias = nullptr;      // [slots, vocab]; -infinity bans a token
  int32_t* ids = nullptr;           // [num_rows]; -1 where a row has NaN, +infinity or nothing but -infinity
  float* logprobs = nullptr;        // [num_rows] of the drawn token in the logits as they came, or null
  void* workspace = nullptr;        // sampling_workspace_bytes()
};

size_t sampling_workspace_bytes(int max_rows, int vocab);
// Two launches on the stream; the grid depends on num_rows and vocab only.
cudaError_t sample_tokens(const SampleBatch& batch, cudaStream_t stream);

}  // namespace mhub::kernels::cuda
