// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string_view>

#include "mhub/text/tokenizer.h"

namespace mhub::text {

// Calls `use` for each id in turn with the bytes that it adds to a text, as the first token of the text or behind
// others: the pieces of ids in a row are their text before ill-formed UTF-8 is replaced. Special tokens add nothing.
// False, without a call, where what a token adds depends on its neighbours (word pieces).
bool for_each_added_text(const Tokenizer& tokenizer, bool first, const std::function<void(std::string_view)>& use);

}  // namespace mhub::text
