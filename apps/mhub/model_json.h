// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "mhub/base/json.h"
#include "mhub/registry/registry.h"

namespace mhub::apps {

// One model as `list --json` shows it (docs/cli.md section 2).
Json model_json(const registry::ModelRecord& model);

// When its least recently verified file was; "" when it has none.
std::string verified_at(const registry::ModelRecord& model);

}  // namespace mhub::apps
