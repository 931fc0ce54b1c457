// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli.h"
#include "mhub/quantize/quantize.h"

namespace mhub::apps {

struct QuantizeCommand {
  std::string model, name, output, eval_text;
  std::optional<int64_t> group_size, eval_context;
  quantize::QuantizeOptions options;
};

// `mhub quantize`, also as a step of `mhub apply`: writes, measures, registers, and reports as the command does.
Result<void> quantize_model(const Cli& cli, QuantizeCommand& command);

}  // namespace mhub::apps
