// SPDX-License-Identifier: Apache-2.0
#include "layers/expert_mlp.h"

namespace mhub::model {

void ExpertMlp::forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x) const {
  const Workspace& ws = step.workspace;
  kernels::Backend& backend = step.backend;
  const int64_t experts = router.weight->rows();
  const auto logits = ws.router_logits.rows_at(0, x.rows);
  router.forward(backend, logits, x);
  kernels::RouterOptions options = routing;
  options.bias = device_floats(correction_bias);
  const kernels::ExpertRows rows = ws.expert_rows(x.rows, options.top_k, experts);
  backend.route_experts(rows, logits, options);

  const auto gates = ws.expert_gate_up.rows_at(0, rows.rows());
  const auto activated = ws.expert_activated.rows_at(0, rows.rows());
  const auto outputs = ws.expert_output.rows_at(0, rows.rows());
  backend.grouped_linear(gates, x, rows, true, *gate_up, device_floats(gate_up_bias));
  backend.gated_activation(activated, gates, activation);
  backend.grouped_linear(outputs, activated, rows, false, *down, device_floats(down_bias));
  backend.combine_experts(out, outputs, rows);

  if (!shared) return;
  const auto shared_output = ws.shared_output.rows_at(0, x.rows);
  shared->forward(step, shared_output, x);
  if (!shared_gate.weight) return backend.add(out, shared_output);
  const auto gate = ws.shared_gate.rows_at(0, x.rows);
  shared_gate.forward(backend, gate, x);
  backend.add_gated(out, shared_output, gate);
}

}  // namespace mhub::model
