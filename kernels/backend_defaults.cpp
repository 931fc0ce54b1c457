// SPDX-License-Identifier: Apache-2.0
// What a back end inherits for operations that it has not of its own.
#include "mhub/kernels/backend.h"

namespace mhub::kernels {
namespace {

[[noreturn]] void missing(const Backend& backend, const char* operation) {
  throw BackendError(std::string(operation) + " is not on the " + backend.facts().name + " back end yet");
}

}  // namespace

void Backend::attention(TensorView out, TensorView q, const AttentionMetadata& metadata,
                        const AttentionOptions& options, const KvCache& cache, int64_t layer) {
  int64_t longest = 0;
  for (const int32_t length : metadata.seq_lens) longest = length > longest ? length : longest;
  const bool windowed = options.window > 0 && options.window < longest;
  if (windowed) missing(*this, "attention with a sliding window");
  if (options.soft_cap > 0.0f) missing(*this, "attention with soft-capped scores");
  if (options.sinks != nullptr) missing(*this, "attention with sinks");
  if (out.cols != q.cols) missing(*this, "attention over a latent cache");
  paged_attention(out, q, metadata, options.scale, cache, layer);
}

void Backend::draw(int64_t, TensorView) {
  missing(*this, "draw");
}

void Backend::end_step() {
  missing(*this, "end_step");
}

void Backend::collect_step(std::span<int32_t>) {
  missing(*this, "collect_step");
}

void Backend::head_rms_norm(TensorView, int64_t, const float*, float) {
  missing(*this, "head_rms_norm");
}

void Backend::gated_activation(TensorView out, TensorView gate_up, const GatedActivation& activation) {
  if (activation.kind != Activation::kSilu) missing(*this, "gated_activation other than silu");
  silu_mul(out, gate_up);
}

void Backend::gated_linear(TensorView out, TensorView gate_up, TensorView x, const PreparedWeight& weight,
                           const float* bias, const GatedActivation& activation) {
  linear(gate_up, x, weight, bias);
  gated_activation(out, gate_up, activation);
}

void Backend::scale(TensorView, float) {
  missing(*this, "scale");
}

void Backend::soft_cap(TensorView, float) {
  missing(*this, "soft_cap");
}

void Backend::add(TensorView, TensorView) {
  missing(*this, "add");
}

void Backend::add_gated(TensorView, TensorView, TensorView) {
  missing(*this, "add_gated");
}

void Backend::copy_heads(TensorView, int64_t, TensorView, int64_t, int64_t, int64_t) {
  missing(*this, "copy_heads");
}

void Backend::linear_heads(TensorView out, int64_t out_step, TensorView x, int64_t x_step,
                           std::span<const PreparedWeight* const> heads) {
  for (size_t h = 0; h < heads.size(); ++h) {
    const auto head = static_cast<int64_t>(h);
    linear(out.cols_at(head * out_step, heads[h]->rows()), x.cols_at(head * x_step, heads[h]->cols()), *heads[h],
           nullptr);
  }
}

void Backend::route_experts(const ExpertRows&, TensorView, const RouterOptions&) {
  missing(*this, "route_experts");
}

void Backend::grouped_linear(TensorView, TensorView, const ExpertRows&, bool, const PreparedWeight&, const float*) {
  missing(*this, "grouped_linear");
}

void Backend::combine_experts(TensorView, TensorView, const ExpertRows&) {
  missing(*this, "combine_experts");
}

}  // namespace mhub::kernels
