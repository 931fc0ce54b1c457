// SPDX-License-Identifier: Apache-2.0
// Rows H01 to H04 of the threat list.
#include "store/safe_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/temp_dir.h"

namespace mhub::hub {
namespace {
using mhub::test::TempDir;
using ::testing::HasSubstr;

TEST(ListingName, TakesWhatRepositoriesHave) {
  const std::string names[] = {"config.json",
                               ".gitattributes",
                               ".gitignore",
                               "model-00001-of-00002.safetensors",
                               "onnx/model_q4.onnx",
                               "a b (1).txt",
                               "runs/Nov25_10-00-00_host/events.out.tfevents.1.0",
                               "1_Pooling/config.json",
                               "README_\xE4\xB8\xAD\xE6\x96\x87.md",
                               "\xC3\xA9t\xC3\xA9.txt",
                               "poetry.lock",
                               "x+y=z,[1]{2}'~!#$&^;@.bin",
                               "100%.txt",
                               "50% off.md",
                               "console.txt",
                               "com10.txt",
                               "auxiliary/x",
                               "nul_.txt",
                               ".github/workflows/x.yml",
                               "a.git",
                               "a/b/c/d/e/f",
                               "\xF0\x9F\x98\x80.png",
                               "x.partial",
                               "v1.part2"};
  for (const std::string& name : names) {
    const auto checked = check_listing_name(name);
    EXPECT_TRUE(checked) << name << ": " << checked.error().one_line();
  }
}

TEST(ListingName, RefusesTheCorpus) {
  std::vector<std::string> names = {"",
                                    "/",
                                    "/etc/passwd",
                                    "..",
                                    ".",
                                    "../x",
                                    "a/../b",
                                    "a/..",
                                    "./a",
                                    "a/./b",
                                    "a//b",
                                    "a/",
                                    "//host/share",
                                    "\\\\host\\share",
                                    "..\\x",
                                    "a\\b",
                                    "C:\\x",
                                    "C:x",
                                    "D:/x",
                                    "c:",
                                    "a:b",
                                    "file.txt:stream",
                                    "a*b",
                                    "a?b",
                                    "a\"b",
                                    "a<b",
                                    "a>b",
                                    "a|b",
                                    "x.",
                                    "x ",
                                    "a./b",
                                    "a /b",
                                    " x",
                                    "a/ x",
                                    "-rf",
                                    "a/-x",
                                    "--help",
                                    "%2e%2e/x",
                                    "a%2Fb",
                                    "%2E",
                                    "x%00y",
                                    "a%5cb",
                                    "~/../x",
                                    std::string("a\0b", 3),
                                    "a\nb",
                                    "a\rb",
                                    "a\tb",
                                    "a\x1b[31mb",
                                    "a\x7f",
                                    "\x80",
                                    "\xC0\xAE\xC0\xAE/x",
                                    "\xC1\xBF",
                                    "\xE0\x80\xAF",
                                    "\xED\xA0\x80",
                                    "\xF4\x90\x80\x80",
                                    "\xF8\x88\x80\x80\x80",
                                    "\xC3",
                                    "a\xFF",
                                    "\xC2\x85",
                                    "\xC2\xA0x",
                                    "\xC2\xAD",
                                    "a\xE2\x80\xAE"
                                    "b",
                                    "\xE2\x80\x8B",
                                    "\xE2\x80\xA8",
                                    "\xEF\xBB\xBFx",
                                    "\xEE\x80\x80",
                                    "\xEF\xBF\xBE",
                                    "\xEF\xBF\xBD",
                                    "\xF3\xA0\x80\x81",
                                    "\xF0\x9F\xBF\xBE",
                                    "CON",
                                    "con",
                                    "Con.txt",
                                    "PRN",
                                    "aux.json",
                                    "AUX",
                                    "nul",
                                    "NUL.tar.gz",
                                    "COM1",
                                    "com9.txt",
                                    "COM0",
                                    "LPT1",
                                    "lpt9.x",
                                    "CONIN$",
                                    "conout$",
                                    "con .txt",
                                    "a/CON/b",
                                    ".git",
                                    ".git/config",
                                    ".GIT/config",
                                    ".Git",
                                    "a/.git/hooks/post-checkout",
                                    "git~1",
                                    "GIT~1/config",
                                    ".hg/x",
                                    ".svn",
                                    ".lock",
                                    "a/.lock",
                                    ".part",
                                    "model.safetensors.part",
                                    "X.PART",
                                    ".mhub",
                                    ".mhub/journal",
                                    ".mhub-names-x",
                                    std::string(256, 'a'),
                                    "d/" + std::string(256, 'a')};
  for (char c = 1; c < 0x20; ++c) names.push_back(std::string("x") + c);
  std::string deep = "a", longest;
  for (int i = 0; i < 64; ++i) deep += "/a";
  names.push_back(deep);
  while (longest.size() <= kMaxPathBytes) longest += std::string(200, 'b') + "/";
  names.push_back(longest + "x");
  for (const std::string& name : names) {
    const auto checked = check_listing_name(name);
    ASSERT_FALSE(checked) << "taken: " << printable(name);
    EXPECT_EQ(checked.error().code, ErrorCode::kPolicy);
    for (const char c : checked.error().one_line()) EXPECT_FALSE(c > 0 && c < 0x20) << printable(name);
  }
  EXPECT_GT(names.size(), 130u);
}

TEST(ListingName, LimitsAreExact) {
  EXPECT_TRUE(check_listing_name(std::string(255, 'a')));
  std::string path;
  for (int i = 0; i < 4; ++i) path += std::string(255, 'a') + "/";  // 1024 bytes with the last slash
  path.pop_back();
  EXPECT_TRUE(check_listing_name(path));
  EXPECT_FALSE(check_listing_name(path + "/a"));
  std::string deep = "a";
  for (int i = 1; i < 64; ++i) deep += "/a";
  EXPECT_TRUE(check_listing_name(deep));
  EXPECT_FALSE(check_listing_name(deep + "/a"));
}

TEST(ListingNames, OneBadNameRefusesAll) {
  const std::vector<std::string> names = {"config.json", "../../evil", "model.safetensors"};
  const auto checked = check_listing_names(names);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::kPolicy);
  EXPECT_THAT(checked.error().message, HasSubstr("../../evil"));
}

TEST(ListingNames, RefusesDoublesAndFilesThatAreDirectories) {
  EXPECT_TRUE(check_listing_names(std::vector<std::string>{"a", "b/c", "b/d", "b.c"}));
  EXPECT_FALSE(check_listing_names(std::vector<std::string>{"a", "b", "a"}));
  EXPECT_FALSE(check_listing_names(std::vector<std::string>{"a/b", "x", "a"}));
  EXPECT_FALSE(check_listing_names(std::vector<std::string>{"a", "a/b/c"}));
}

TEST(ListingNames, TheNumberIsLimited) {
  std::vector<std::string> names;
  for (size_t i = 0; i < kMaxListingEntries; ++i) names.push_back("f" + std::to_string(i));
  EXPECT_TRUE(check_listing_names(names));
  names.push_back("one-more");
  EXPECT_FALSE(check_listing_names(names));
}

// On Linux both of a pair can usually be kept; the answer must be what the file system does.
TEST(DistinctOnDisk, AgreesWithTheFileSystem) {
  const TempDir dir;
  const auto keeps_both = [&](const std::string& a, const std::string& b) {
    const TempDir probe;
    mhub::test::write_file(probe / a, "a");
    mhub::test::write_file(probe / b, "b");
    return mhub::test::read_file(probe / a) == "a";
  };
  const std::pair<std::string, std::string> pairs[] = {{"README.md", "readme.MD"},
                                                       {"\xC3\xA9.txt", "e\xCC\x81.txt"},
                                                       {"\xC3\x89.txt", "\xC3\xA9.txt"},
                                                       {"K", "\xE2\x84\xAA"},
                                                       {"A/x", "a/y"}};
  for (const auto& [a, b] : pairs) {
    const auto checked = check_distinct_on_disk(std::vector<std::string>{a, "other", b}, dir / "new/model");
    EXPECT_EQ(checked.has_value(), keeps_both(a, b)) << a << " and " << b;
    if (!checked) {
      EXPECT_THAT(checked.error().message, ::testing::AllOf(HasSubstr(printable(a)), HasSubstr(printable(b))));
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path())) << "the probe left something behind";
}

TEST(DistinctOnDisk, TouchesNothingWithoutCandidates) {
  EXPECT_TRUE(check_distinct_on_disk(std::vector<std::string>{"a", "b/c", "d"}, "/proc/no/such"));
}

}  // namespace
}  // namespace mhub::hub
