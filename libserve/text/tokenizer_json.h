// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "mhub/base/result.h"
#include "mhub/text/tokenizer.h"

namespace mhub::text {

inline constexpr size_t kMaxTokenizerBytes = 256u << 20;

// The tokenizer of the texts of tokenizer.json and tokenizer_config.json (the latter may be empty: no such file).
// Errors: kBadModel naming the part that is damaged or not supported.
Result<std::shared_ptr<const Tokenizer>> tokenizer_from_json(std::string_view tokenizer_json,
                                                             std::string_view tokenizer_config);

}  // namespace mhub::text
