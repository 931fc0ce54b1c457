// SPDX-License-Identifier: Apache-2.0
#include "cuda/sampling/sampling.h"

#include "cuda/sampling/choose.cuh"

namespace mhub::kernels::cuda {
namespace {

constexpr size_t align256(size_t bytes) {
  return (bytes + 255) / 256 * 256;
}
int chunks_of(int vocab) {
  return (vocab + kChunk - 1) / kChunk;
}
size_t facts_bytes(int rows, int vocab) {
  return align256(static_cast<size_t>(rows) * static_cast<size_t>(chunks_of(vocab)) * sizeof(ChunkFacts));
}

template <typename T>
cudaError_t launch(const SampleBatch& batch, const SampleWorkspace& workspace, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(workspace.num_chunks), static_cast<unsigned>(batch.num_rows));
  scan_kernel<T><<<grid, kScanThreads, 0, stream>>>(batch, workspace);
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) return error;
  choose_kernel<T><<<static_cast<unsigned>(batch.num_rows), kChooseThreads, 0, stream>>>(batch, workspace);
  return cudaGetLastError();
}

}  // namespace

size_t sampling_workspace_bytes(int max_rows, int vocab) {
  return facts_bytes(max_rows, vocab) + align256(static_cast<size_t>(max_rows) * static_cast<size_t>(chunks_of(vocab)) *
                                                 kGroupsPerChunk * sizeof(float));
}

cudaError_t sample_tokens(const SampleBatch& batch, cudaStream_t stream) {
  if (batch.num_rows == 0) return cudaSuccess;
  if (batch.logits == nullptr || batch.rows == nullptr || batch.ids == nullptr || batch.workspace == nullptr ||
      batch.vocab < 1 || batch.num_rows < 0 || batch.num_rows > 65535)
    return cudaErrorInvalidValue;
  SampleWorkspace workspace;
  workspace.num_chunks = chunks_of(batch.vocab);
  workspace.chunks = static_cast<ChunkFacts*>(batch.workspace);
  workspace.group_tops =
      reinterpret_cast<float*>(static_cast<char*>(batch.workspace) + facts_bytes(batch.num_rows, batch.vocab));
  return batch.type == LogitType::kFloat32 ? launch<float>(batch, workspace, stream)
                                           : launch<__nv_bfloat16>(batch, workspace, stream);
}

}  // namespace mhub::kernels::cuda
