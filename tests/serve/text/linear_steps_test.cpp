// SPDX-License-Identifier: Apache-2.0
// Four times the text takes four times the steps, where a step is a basic block of the tokenizer's sources: the
// compiler has them call __sanitizer_cov_trace_pc() at each (CMakeLists.txt). No clock, so no busy machine fails this.
#include <gtest/gtest.h>

#include <algorithm>

#include "small_vocabulary.h"

namespace {
uint64_t blocks_entered = 0;
}

extern "C" void __sanitizer_cov_trace_pc();
extern "C" void __sanitizer_cov_trace_pc() {
  ++blocks_entered;
}

namespace mhub::text {
namespace {

using test::SmallVocabulary;

template <typename Work>
uint64_t steps_of(Work work) {
  const uint64_t before = blocks_entered;
  work();
  return blocks_entered - before;
}

std::string repeat(std::string_view unit, size_t bytes) {
  std::string out;
  while (out.size() < bytes) out += unit;
  return out;
}

struct Shape {
  const char* name;
  std::string unit;
};
const std::vector<Shape> kShapes = {{"letter", "a"},        {"space", " "},      {"cjk", "的"},  {"mark", "\u0301"},
                                    {"joiner", "👨\u200D"},  {"newline", "\n"},   {"digit", "7"}, {"punctuation", "-"},
                                    {"mixed", "ab \n12.é"}, {"tag", "<|im_end"}, {"quote", "'"}};

struct Vocabulary {
  const char* name;
  Json json;
};
std::vector<Vocabulary> vocabularies() {
  SmallVocabulary bytes;
  bytes.train("aaaa aaaaaaaa aaaaaaaaaaaaaaaa 的的的的 77 ---- 'a'a'a'", 40);
  bytes.merges.insert(bytes.merges.end(), {{"Ġ", "Ġ"}, {"ĠĠ", "ĠĠ"}, {"Ċ", "Ċ"}});
  bytes.added = {{"<|im_end|>"}};
  const Json metaspace = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}, {"split", false}};
  const Json unigram = {
      {"model",
       {{"type", "Unigram"},
        {"unk_id", 0},
        {"vocab", Json::array({Json::array({"<unk>", 0.0}), Json::array({"▁", -2.0}), Json::array({"a", -3.0}),
                               Json::array({"aaaaaaaaaaaaaaaa", -9.0}), Json::array({"的", -3.5})})}}},
      {"pre_tokenizer", metaspace},
      {"decoder", metaspace}};
  return {
      {"byte-level BPE", bytes.json()},
      {"Unigram", unigram},
      {"BPE of characters", test::character_vocabulary({"▁", "a", "的", "aa", "▁▁", "aaaa"}, {"a a", "▁ ▁", "aa aa"})}};
}

constexpr size_t kBytes = 16 << 10;

TEST(LinearSteps, Encoding) {
  for (const Vocabulary& vocabulary : vocabularies()) {
    const auto tokenizer = test::make_tokenizer(vocabulary.json);
    for (const Shape& shape : kShapes) {
      const std::string text = repeat(shape.unit, kBytes), longer = repeat(shape.unit, 4 * kBytes);
      const auto encode = [&](const std::string& of) {
        return steps_of([&] { tokenizer->encode(of, false, SpecialTokens::kParse); });
      };
      encode(text);  // what is made on first use
      const uint64_t steps = encode(text), more = encode(longer);
      EXPECT_GT(steps, kBytes / 8) << "nothing is counted";
      // The best pair comes out of a queue: a logarithm is allowed, a square would be 16.
      EXPECT_LT(static_cast<double>(more), 5.0 * static_cast<double>(steps)) << vocabulary.name << ", " << shape.name;
      EXPECT_LT(more, 400 * longer.size()) << vocabulary.name << ", " << shape.name;
    }
  }
}

TEST(LinearSteps, StreamDecoding) {
  for (const Vocabulary& vocabulary : vocabularies()) {
    const auto tokenizer = test::make_tokenizer(vocabulary.json);
    for (const Shape& shape : kShapes) {
      const auto ids = tokenizer->encode(repeat(shape.unit, 4 * kBytes), false, SpecialTokens::kParse);
      const auto decoder = tokenizer->stream_decoder(false);
      uint64_t first_quarter = 0, all = 0, worst = 0;
      for (size_t i = 0; i < ids.size(); ++i) {
        const uint64_t steps = steps_of([&] { decoder->push(ids[i]); });
        all += steps;
        if (i < ids.size() / 4) first_quarter += steps;
        worst = std::max(worst, steps);
      }
      EXPECT_GT(all, 0u);
      EXPECT_LE(all, 4 * first_quarter + 2000) << vocabulary.name << ", " << shape.name;
      EXPECT_LT(worst, 2000u) << vocabulary.name << ", " << shape.name;  // a token's bytes, never the text so far
    }
  }
}

// Half a character a token, for ever: what is held back is bounded.
TEST(LinearSteps, StreamsOfBrokenCharacters) {
  const auto tokenizer = test::make_tokenizer(vocabularies()[0].json);
  for (const TokenId byte : {0x80, 0xC3, 0xF0, 0xFF}) {
    const auto decoder = tokenizer->stream_decoder(false);
    uint64_t worst = 0;
    for (int i = 0; i < 20000; ++i) worst = std::max(worst, steps_of([&] { decoder->push(byte); }));
    EXPECT_LT(worst, 2000u) << byte;
  }
}

}  // namespace
}  // namespace mhub::text
