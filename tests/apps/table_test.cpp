// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <gtest/gtest.h>

#include "mhub/base/check.h"

namespace mhub::apps {
namespace {

TEST(Table, AlignsAndTrims) {
  Table table({{"NAME"}, {"SIZE", true}, {"NOTE"}});
  table.add({"a-long-name", "5 B", ""});
  table.add({"b", "1.5 GiB", "x"});
  EXPECT_EQ(table.text(false),
            "NAME            SIZE  NOTE\n"
            "a-long-name      5 B\n"
            "b            1.5 GiB  x");
}

TEST(Table, CountsCodePointsNotBytes) {
  Table table({{"N"}, {"X"}});
  table.add({"\xC3\xA9\xC3\xA9", "1"});
  table.add({"ab", "2"});
  EXPECT_EQ(table.text(false), "N   X\n\xC3\xA9\xC3\xA9  1\nab  2");
}

TEST(Table, CellsCannotSteerTheTerminal) {
  Table table({{"N"}});
  table.add({"\x1b[31mred\n"});
  const std::string text = table.text(true);
  EXPECT_EQ(text.find("\x1b[31m"), std::string::npos);
  EXPECT_EQ(text.rfind("\x1b[1m", 0), 0u) << "bold titles when asked for";
}

TEST(Table, AWrongNumberOfCellsIsABug) {
  Table table({{"N"}, {"M"}});
  EXPECT_THROW(table.add({"one"}), InternalError);
}

}  // namespace
}  // namespace mhub::apps
