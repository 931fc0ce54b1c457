// SPDX-License-Identifier: Apache-2.0
// Texts that make careless tokenizers quadratic (or overflow their stack) must take time in proportion to their length.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "small_vocabulary.h"

namespace mhub::text {
namespace {

using test::SmallVocabulary;

std::string repeat(std::string_view unit, size_t bytes) {
  std::string out;
  out.reserve(bytes + unit.size());
  while (out.size() < bytes) out += unit;
  return out;
}

struct Shape {
  const char* name;
  std::string unit;
};
const std::vector<Shape> kShapes = {{"letter", "a"},        {"space", " "},      {"cjk", "的"},   {"mark", "\u0301"},
                                    {"joiner", "👨\u200D"},  {"newline", "\n"},   {"digit", "7"},  {"punctuation", "-"},
                                    {"mixed", "ab \n12.é"}, {"tag", "<|im_end"}, {"upper", "AB"}, {"quote", "'"}};

std::vector<Json> vocabularies() {
  SmallVocabulary gpt2;
  gpt2.train("aaaa aaaaaaaa aaaaaaaaaaaaaaaa 的的的的 77 ---- 'a'a'a' ABAB", 40);
  gpt2.merges.insert(gpt2.merges.end(), {{"Ġ", "Ġ"}, {"ĠĠ", "ĠĠ"}, {"Ċ", "Ċ"}});
  gpt2.added = {{"<|im_end|>"}};
  SmallVocabulary other = gpt2;  // a pattern without a scanner of its own
  other.pre_tokenizer = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", {{"Regex", R"(\s+(?!\S)|\S+|\s)"}}}, {"behavior", "Isolated"}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  SmallVocabulary nfc = gpt2;
  nfc.normalizer = {{"type", "NFC"}};
  const Json metaspace = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}, {"split", false}};
  const Json unigram = {
      {"model",
       {{"type", "Unigram"},
        {"unk_id", 0},
        {"vocab", Json::array({Json::array({"<unk>", 0.0}), Json::array({"▁", -2.0}), Json::array({"a", -3.0}),
                               Json::array({"aaaaaaaaaaaaaaaa", -9.0}), Json::array({"▁▁▁▁▁▁▁▁", -4.0}),
                               Json::array({"的", -3.5}), Json::array({"的的", -4.5})})}}},
      {"normalizer", {{"type", "NFKC"}}},
      {"pre_tokenizer", metaspace},
      {"decoder", metaspace}};
  return {gpt2.json(), other.json(), nfc.json(), unigram,
          test::character_vocabulary({"▁", "a", "的", "aa", "▁▁", "aaaa"}, {"a a", "▁ ▁", "aa aa"})};
}

TEST(LongText, AMebibyteOfAnythingTakesUnderASecond) {
  for (const Json& json : vocabularies()) {
    const auto tokenizer = test::make_tokenizer(json);
    for (const Shape& shape : kShapes) {
      const std::string text = repeat(shape.unit, 1 << 20);
      const auto start = std::chrono::steady_clock::now();
      const auto ids = tokenizer->encode(text, false, SpecialTokens::kParse);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
      EXPECT_LT(seconds.count(), 20.0) << shape.name;
#else
      EXPECT_LT(seconds.count(), 2.0) << shape.name;  // one second, doubled for a busy machine
#endif
      EXPECT_FALSE(ids.empty()) << shape.name;
    }
  }
}

}  // namespace
}  // namespace mhub::text
