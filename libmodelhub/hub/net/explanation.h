// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "net/http_transport.h"

namespace mhub::hub {

// Of an error's body no more is read than this.
constexpr size_t kMaxExplanationBytes = 4096;

// What the body of an error says to people: a field of its JSON ("message", "error", "detail" in any of the hubs'
// spellings, also one level down), or its plain text. "" for HTML and what is neither. Hostile: for printable() only.
std::string explanation(const HttpHead& head, std::string_view body);

}  // namespace mhub::hub
