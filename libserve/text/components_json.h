// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simdjson.h>

#include <vector>

#include "mhub/base/result.h"
#include "normalizer.h"
#include "pre_tokenizer.h"
#include "token_decoder.h"

namespace mhub::text {

// The parts of tokenizer.json around the model. Each takes the component or nullopt (absent or null) and fails with
// kBadModel naming a component or setting that is not supported.
Result<Normalizer> read_normalizer(std::optional<simdjson::dom::element> component);

struct PreTokenizerSpec {
  PreTokenizer pre_tokenizer;
  bool bytes = false;  // the model sees raw bytes (ByteLevel is the last step)
};
Result<PreTokenizerSpec> read_pre_tokenizer(std::optional<simdjson::dom::element> component);

Result<DecoderOptions> read_decoder(std::optional<simdjson::dom::element> component);

struct AddedIds {
  std::vector<TokenId> prefix, suffix;
};
Result<AddedIds> read_post_processor(std::optional<simdjson::dom::element> component);

}  // namespace mhub::text
