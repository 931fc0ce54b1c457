// SPDX-License-Identifier: Apache-2.0
#include "cuda/step_graphs.h"

namespace mhub::kernels::cuda {

void StepGraphs::clear() {
  for (auto& [key, entry] : graphs_) {
    if (entry.graph != nullptr) cudaGraphExecDestroy(entry.graph);
  }
  graphs_.clear();
}

void StepGraphs::record(Recorded& entry, const std::function<void()>& operations) {
  constexpr const char* kName = "record a step";
  check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), kName);
  inputs_.start_recording();
  cudaGraph_t graph = nullptr;
  try {
    operations();
  } catch (...) {
    inputs_.stop_recording();
    if (cudaStreamEndCapture(stream_, &graph) == cudaSuccess && graph != nullptr) cudaGraphDestroy(graph);
    throw;
  }
  entry.demands = inputs_.stop_recording();
  check(cudaStreamEndCapture(stream_, &graph), kName);
  const cudaError_t error = cudaGraphInstantiate(&entry.graph, graph, 0);
  cudaGraphDestroy(graph);
  check(error, kName);
}

void StepGraphs::run(uint64_t shape, const std::function<void()>& operations) {
  if (generation_ != inputs_.generation()) {
    clear();
    generation_ = inputs_.generation();
  }
  const auto [found, is_new] = graphs_.try_emplace({shape, inputs_.layout()});
  if (is_new) return operations();
  Recorded& entry = found->second;
  if (entry.graph == nullptr) record(entry, operations);
  inputs_.check_demands(entry.demands);
  check(cudaGraphLaunch(entry.graph, stream_), "replay a step");
}

}  // namespace mhub::kernels::cuda
