// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "runtime.h"

namespace mhub::text::jinja {

// range, dict, namespace, joiner, cycler, raise_exception, strftime_now; nullopt for other names.
std::optional<Value> find_global(std::string_view name);

}  // namespace mhub::text::jinja
