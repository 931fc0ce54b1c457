// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simdjson.h>

#include "pipeline_tokenizer.h"

namespace mhub::text {

// The "model" object of tokenizer.json into vocabulary and model. `bytes`: its pieces are raw bytes.
// Errors: kBadModel naming what is damaged or not supported.
Result<void> read_model(simdjson::dom::element model, bool bytes, size_t added_tokens, TokenizerParts& out);

}  // namespace mhub::text
