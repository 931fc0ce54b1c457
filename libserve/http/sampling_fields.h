// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "json_fields.h"
#include "openai_types.h"

namespace mhub::http {

// Reads and checks the fields of GenerationFields that both routes have (not logprobs and max_tokens, whose form
// differs). The ranges are one table in sampling_fields.cpp.
Result<void> read_generation_fields(const JsonFields& json, const RequestRules& rules, GenerationFields& to);

// After max_tokens is known: rules that join fields (min_tokens <= max_tokens, greedy with n > 1).
Result<void> check_combinations(const GenerationFields& fields);

// A count of log-probabilities: -1 means the whole vocabulary. `absent` when the field is not there.
Result<int32_t> read_logprob_count(const JsonFields& json, std::string_view name, const RequestRules& rules,
                                   int32_t absent);

// A list of token ids of the vocabulary under `name`.
Result<std::vector<TokenId>> read_token_ids(std::string_view name, const OrderedJson& list, int64_t vocab_size);

}  // namespace mhub::http
