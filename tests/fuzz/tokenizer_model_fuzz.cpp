// SPDX-License-Identifier: Apache-2.0
// The first byte chooses the reader: tokenizer.model or tekken.json. Whatever loads must encode and decode any bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sentencepiece.h"
#include "tekken.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mhub::text;
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto loaded = data[0] == 'T' ? tokenizer_from_tekken(input, "") : tokenizer_from_sentencepiece(input, "");
  if (!loaded) return 0;
  const std::string_view text = input.substr(0, 256);
  for (const auto specials : {SpecialTokens::kParse, SpecialTokens::kAsText}) {
    const auto ids = (*loaded)->encode(text, true, specials);
    (void)(*loaded)->decode(ids, true);
    Detokenizer stream(*loaded, false);
    for (const auto id : ids) (void)stream.push(id);
    (void)stream.flush();
  }
  return 0;
}
