// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mhub::text::jinja {

// strftime in English. `now` is "YYYY-MM-DDTHH:MM:SS"; the local time when absent. Fails for a malformed one.
std::string format_time(std::string_view format, const std::optional<std::string>& now);

}  // namespace mhub::text::jinja
