// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "mhub/base/result.h"
#include "mhub/text/tokenizer.h"

namespace mhub::text {

// The tokenizer of Mistral's tekken.json. Of tokenizer_config.json only flags and names count (may be empty: no such
// file). Errors: kBadModel naming the part that is damaged.
Result<std::shared_ptr<const Tokenizer>> tokenizer_from_tekken(std::string_view tekken_json,
                                                               std::string_view tokenizer_config);

}  // namespace mhub::text
