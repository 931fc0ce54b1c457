// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mhub::text {

// Bytes of standard base64 with padding; nullopt when it is none.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace mhub::text
