// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "normalizer.h"

namespace mhub::text {

// One step of a Normalizer each.
MarkedText apply_step(const MarkedText& source, const UnicodeForm& form);
MarkedText apply_step(const MarkedText& source, const PrecompiledMap& step);
MarkedText apply_step(const MarkedText& source, const SentencePieceRules& rules, bool at_start);
MarkedText apply_step(const MarkedText& source, const BertCleanup& step);
// True when the form certainly leaves the text as it is.
bool keeps(const UnicodeForm& form, std::string_view text);

}  // namespace mhub::text
