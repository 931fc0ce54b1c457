// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "mhub/base/result.h"
#include "pre_tokenizer.h"

namespace mhub::text {

// What a tokenizer.ggml.pre name stands for.
struct GgufPreTokenizer {
  PreTokenizer pre_tokenizer;  // the model sees raw bytes
  bool nfc = false;
  bool ignore_merges = false;
  bool add_bos = false;  // when tokenizer.ggml.add_bos_token is absent
};
// Errors: kBadModel naming the name.
Result<GgufPreTokenizer> gguf_pre_tokenizer(std::string_view name);

}  // namespace mhub::text
