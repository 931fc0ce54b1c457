// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "mhub/base/json.h"
#include "pipeline_tokenizer.h"

namespace mhub::text {

// The object of tokenizer_config.json. Errors: kBadModel.
Result<Json> parse_tokenizer_config(std::string_view text);

// Sets bos and eos, and, for the classes that build their post-processor from add_bos_token and add_eos_token, what is
// put around a text.
void apply_tokenizer_config(const Json& config, TokenizerParts& parts);

// For vocabularies without added tokens of their own: the entries of added_tokens_decoder, then as above, whatever the
// class. Errors: kBadModel (an id or a text that is taken).
Result<void> apply_tokenizer_config_alone(const Json& config, TokenizerParts& parts);

}  // namespace mhub::text
