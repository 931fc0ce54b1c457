// SPDX-License-Identifier: Apache-2.0
#include "unicode.h"

#include <gtest/gtest.h>

#include "utf8.h"

namespace mhub::text {
namespace {

TEST(Unicode, Classes) {
  EXPECT_EQ(class_of('a'), mask_of(Category::kLl));
  EXPECT_EQ(class_of(' '), mask_of(Category::kZs) | kSpace);
  EXPECT_EQ(class_of(0x85), mask_of(Category::kCc) | kSpace);
  EXPECT_EQ(class_of(0x200B) & kSpace, 0u);
  EXPECT_EQ(class_of(0x1C) & kSpace, 0u);
  EXPECT_TRUE(is_python_space(0x1C));
  EXPECT_EQ(class_of(0x1C89), mask_of(Category::kLu)) << "assigned in Unicode 16.0";
  EXPECT_EQ(class_of(kInvalid), mask_of(Category::kCn));
  EXPECT_TRUE(is_word('_'));
  EXPECT_FALSE(is_word('-'));
}

TEST(Unicode, Case) {
  EXPECT_EQ(to_upper("straße ŉ ﬁ"), "STRASSE ʼN FI");
  EXPECT_EQ(to_lower("ΟΔΟΣ ΣΑΣ Σ İ"), "οδος σας σ i\u0307");
  EXPECT_EQ(to_title("they're bill's ǆ"), "They'Re Bill'S ǅ");
  EXPECT_EQ(to_capitalized("éCOLE Ab"), "École ab");
}

TEST(Utf8, IllFormedPartsAreMaximal) {
  std::string out;
  EXPECT_EQ(append_lossy(out, "a\xF0\x9F\x98", true), 0u);
  EXPECT_EQ(out, "a\uFFFD");
  out.clear();
  EXPECT_EQ(append_lossy(out, "\xE0\x80\x80\xED\xA0\x80", true), 0u);
  EXPECT_EQ(out, "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD") << "overlong forms and surrogates, byte by byte";
  out.clear();
  EXPECT_EQ(append_lossy(out, "a\xF0\x9F", false), 2u);
  EXPECT_EQ(out, "a");
}

TEST(Utf8, Positions) {
  const std::string text = "aé中🙂";
  EXPECT_EQ(previous_char(text, text.size()), 6u);
  EXPECT_EQ(previous_char(text, 3), 1u);
  EXPECT_EQ(count_code_points(text), 4u);
  EXPECT_FALSE(is_valid_utf8("\xC0\x80"));
}

}  // namespace
}  // namespace mhub::text
