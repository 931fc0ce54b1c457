// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "mhub/text/tokenizer.h"

namespace mhub::text {

// Turns one piece of pre-tokenized text into ids. Immutable and thread-safe; near linear in the piece's length.
class TokenModel {
 public:
  virtual ~TokenModel() = default;
  virtual void encode(std::string_view piece, std::vector<TokenId>& out) const = 0;
};

}  // namespace mhub::text
