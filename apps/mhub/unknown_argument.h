// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "mhub/base/error.h"

namespace mhub::apps {

// The candidate that `typed` was most likely meant to be: at most a third of its letters differ; "" when there is none.
std::string nearest_name(std::string_view typed, const std::vector<std::string>& candidates);

// After a parse of `app` that left arguments over: which is the first one nobody knows, and what was perhaps meant.
std::optional<Error> unknown_argument(const CLI::App& app);

}  // namespace mhub::apps
