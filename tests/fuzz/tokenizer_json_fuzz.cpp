// SPDX-License-Identifier: Apache-2.0
// Input: tokenizer.json, optionally a NUL byte and a text to encode.
#include <cstdlib>
#include <string_view>

#include "tokenizer_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mhub::text;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t nul = std::min(input.find('\0'), input.size());
  const auto loaded = tokenizer_from_json(
      input.substr(0, nul), R"({"tokenizer_class":"LlamaTokenizer","bos_token":"<s>","add_bos_token":true})");
  if (!loaded) return 0;
  const Tokenizer& tokenizer = **loaded;
  const std::string_view text = nul < input.size() ? input.substr(nul + 1) : "Hello, <s>w\xC3\xB6rld</s>  12\n";
  const auto ids = tokenizer.encode(text, true, SpecialTokens::kParse);
  for (const TokenId id : ids) {
    if (id < 0 || id >= tokenizer.vocab_size()) std::abort();
  }
  const TextSpan spans[] = {{text.substr(0, text.size() / 2), SpecialTokens::kAsText},
                            {text.substr(text.size() / 2), SpecialTokens::kParse}};
  tokenizer.encode_spans(spans);
  Detokenizer detokenizer(*loaded, true);
  for (const TokenId id : ids) detokenizer.push(id);
  detokenizer.flush();
  tokenizer.decode(ids, false);
  return 0;
}
