// SPDX-License-Identifier: Apache-2.0
#include "normalizer.h"

#include <gtest/gtest.h>

namespace mhub::text {
namespace {

std::string apply(NormalizerStep step, std::string text) {
  MarkedText marked{std::move(text), {}};
  std::vector<NormalizerStep> steps;
  steps.push_back(std::move(step));
  Normalizer(std::move(steps)).apply(marked);
  return marked.text;
}

TEST(Normalizer, Nfc) {
  EXPECT_EQ(apply(UnicodeForm{true, false}, "e\u0301a a\u030A"), "\u00e9a \u00e5");
  EXPECT_EQ(apply(UnicodeForm{true, false}, "\u1112\u1161\u11AB"), "\uD55C");
  EXPECT_EQ(apply(UnicodeForm{true, false}, "\u212B"), "\u00C5");
  EXPECT_EQ(apply(UnicodeForm{true, false},
                  "x\xFF"
                  "e\u0301"),
            "x\xFF\u00e9")
      << "ill-formed bytes stay";
  EXPECT_EQ(apply(UnicodeForm{false, false}, "\u00e9"), "e\u0301");
  EXPECT_EQ(apply(UnicodeForm{true, true}, "\uFB01\u2460"), "fi1");
}

TEST(Normalizer, KnowsTextThatItLeaves) {
  const Normalizer nfc({UnicodeForm{true, false}});
  EXPECT_TRUE(nfc.leaves("plain, caf\u00e9, 中文, 한국어, 🙂"));
  EXPECT_FALSE(nfc.leaves("e\u0301"));
  EXPECT_FALSE(Normalizer({PrependText{"▁"}}).leaves("a"));
  EXPECT_TRUE(Normalizer().leaves("e\u0301"));
}

TEST(Normalizer, PrependAndReplace) {
  EXPECT_EQ(apply(PrependText{"▁"}, "a"), "▁a");
  EXPECT_EQ(apply(PrependText{"▁"}, ""), "");
  EXPECT_EQ(apply(ReplaceText{" ", "▁"}, " a  b"), "▁a▁▁b");
  EXPECT_EQ(apply(StripSpaces{true, false}, " \u3000a "), "a ");
  EXPECT_EQ(apply(Lowercase{}, "ÄB"), "äb");
}

TEST(Normalizer, MarksFollowTheirBytes) {
  MarkedText text{"a e\u0301", {false, true, true, false, false}};
  Normalizer({PrependText{"▁"}, ReplaceText{" ", "▁"}, UnicodeForm{true, false}}).apply(text);
  EXPECT_EQ(text.text, "▁a▁\u00e9");
  const std::vector<bool> expected = {false, false, false, false, true, true, true, true, true};
  EXPECT_EQ(text.marks, expected) << "what was made from a marked byte is marked";
}

}  // namespace
}  // namespace mhub::text
