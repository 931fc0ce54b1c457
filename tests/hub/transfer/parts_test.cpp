// SPDX-License-Identifier: Apache-2.0
// The pieces of a transfer on their own.
#include <gtest/gtest.h>

#include <fcntl.h>

#include "store/open_beneath.h"
#include "support/temp_dir.h"
#include "transfer/extent_set.h"
#include "transfer/journal.h"
#include "transfer/name_filter.h"
#include "transfer/response_check.h"

namespace mhub::hub {
namespace {

using mhub::test::read_file;
using mhub::test::TempDir;
using mhub::test::write_file;

TEST(ExtentSet, MergesAndListsGaps) {
  ExtentSet set;
  set.add({10, 20});
  set.add({30, 40});
  EXPECT_EQ(set.prefix_end(), 0u);
  EXPECT_EQ(set.missing(50), (std::vector<Extent>{{0, 10}, {20, 30}, {40, 50}}));
  set.add({0, 10});
  set.add({15, 35});
  EXPECT_EQ(set.prefix_end(), 40u);
  EXPECT_EQ(set.bytes(), 40u);
  EXPECT_EQ(set.missing(40), std::vector<Extent>{});
  set.add({5, 5});
  EXPECT_EQ(set.bytes(), 40u);
}

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() : directory_(*open_directory(dir_.path(), false)) {}
  Journal open(const JournalKey& key) {
    auto journal = Journal::open(directory_.get(), "j", key);
    if (!journal) throw std::runtime_error(journal.error().one_line());
    return *std::move(journal);
  }
  TempDir dir_;
  UniqueFd directory_;
  const JournalKey key_{"a/b", 100, std::string(64, 'a'), "", "rev"};
};

TEST_F(JournalTest, RemembersExtentsOfItsKeyOnly) {
  {
    Journal journal = open(key_);
    ASSERT_TRUE(journal.add_written({0, 10}));
    ASSERT_TRUE(journal.add_written({50, 60}));
  }
  EXPECT_EQ(open(key_).recovered().extents.bytes(), 20u);
  JournalKey other = key_;
  other.revision = "another";  // does not count beside a hash
  EXPECT_EQ(open(other).recovered().extents.bytes(), 20u);
  other.bytes = 101;
  EXPECT_EQ(open(other).recovered().extents.bytes(), 0u);
  EXPECT_EQ(open(key_).recovered().extents.bytes(), 0u) << "the other key began the journal anew";
}

TEST_F(JournalTest, DiscardAndPlaced) {
  registry::FileRecord file;
  file.bytes = 100;
  file.inode = 5;
  file.mtime_ns = -7;
  file.sha256 = std::string(64, 'b');
  {
    Journal journal = open(key_);
    ASSERT_TRUE(journal.add_written({0, 10}));
    ASSERT_TRUE(journal.add_discard());
    ASSERT_TRUE(journal.add_written({10, 15}));
    ASSERT_TRUE(journal.add_placed(file));
  }
  const Journal journal = open(key_);
  EXPECT_EQ(journal.recovered().extents.bytes(), 5u);
  ASSERT_TRUE(journal.recovered().placed);
  EXPECT_EQ(journal.recovered().placed->mtime_ns, -7);
  EXPECT_EQ(journal.recovered().placed->sha256, file.sha256);
}

TEST_F(JournalTest, CutOrDamagedAnywhereGivesAPrefixOfTheTruth) {
  {
    Journal journal = open(key_);
    for (uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(journal.add_written({i * 10, i * 10 + 10}));
  }
  const std::string whole = read_file(dir_ / "j");
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    write_file(dir_ / "j", whole.substr(0, cut));
    const uint64_t bytes = open(key_).recovered().extents.bytes();
    EXPECT_EQ(bytes % 10, 0u);
    EXPECT_LE(bytes, 40u);
    std::string flipped = whole;
    flipped[cut] ^= 0x40;
    write_file(dir_ / "j", flipped);
    EXPECT_LE(open(key_).recovered().extents.bytes(), 30u) << "byte " << cut;
    if (!HasFailure()) continue;
    return;
  }
}

TEST_F(JournalTest, AfterAnotherBootOnlyDurableExtentsCount) {
  {
    Journal journal = open(key_);
    ASSERT_TRUE(journal.add_written({0, 10}));
    ASSERT_TRUE(journal.add_durable(journal.written_records()));
    ASSERT_TRUE(journal.add_written({10, 20}));
  }
  // Rewrites the boot id of the one boot record (and its CRC) by rebuilding the file with another id of equal length.
  std::string bytes = read_file(dir_ / "j");
  const std::string id = boot_id();
  ASSERT_FALSE(id.empty());
  const size_t at = bytes.find(id);
  ASSERT_NE(at, std::string::npos);
  std::string body = bytes.substr(at - 1, id.size() + 1);
  body[1] = body[1] == '0' ? '1' : '0';
  uint32_t crc = 0xFFFFFFFFu;
  for (const char c : body) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
  }
  crc = ~crc;
  bytes.replace(at - 1, body.size(), body);
  bytes.replace(at - 5, 4, reinterpret_cast<const char*>(&crc), 4);
  write_file(dir_ / "j", bytes);
  EXPECT_EQ(open(key_).recovered().extents.bytes(), 10u);
}

TEST(NameFilter, StarCrossesSlashes) {
  EXPECT_TRUE(glob_matches("*.json", "a/b/c.json"));
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("onnx/", "onnx/a/b"));
  EXPECT_FALSE(glob_matches("onnx/", "onnx"));
  EXPECT_TRUE(glob_matches("model-0000[1-3]-of-?????.safetensors", "model-00002-of-00009.safetensors"));
  EXPECT_FALSE(glob_matches("[!a]x", "ax"));
  EXPECT_TRUE(glob_matches("[", "["));
  EXPECT_FALSE(glob_matches("a*b*c", "axxbxx"));
  EXPECT_FALSE(glob_matches(std::string(200, '*') + "b", std::string(5000, 'a'))) << "and that at once";
}

TEST(NameFilter, ExcludesWin) {
  const NameFilter filter{{"*.json", "*.bin"}, {"x/*"}};
  EXPECT_TRUE(filter.wants("a.json"));
  EXPECT_FALSE(filter.wants("x/a.json"));
  EXPECT_FALSE(filter.wants("a.txt"));
  EXPECT_TRUE(NameFilter{}.wants("anything"));
}

HttpHead head(int status, std::vector<std::pair<std::string, std::string>> headers) {
  return {status, std::move(headers), "http://h/"};
}

TEST(ResponseCheck, ContentRange) {
  EXPECT_TRUE(parse_content_range("bytes 0-9/10"));
  EXPECT_FALSE(parse_content_range("bytes 0-9/*")->total);
  for (const char* bad : {"", "bytes", "bytes 0-9", "bytes 9-0/10", "bytes 0-10/10", "bytes -1-9/10", "items 0-9/10",
                          "bytes 0-9/10 ", "bytes 0-99999999999999999999/5"}) {
    EXPECT_FALSE(parse_content_range(bad)) << bad;
  }
}

TEST(ResponseCheck, Judgement) {
  const ExpectedBody ranged{100, HttpRange{10, 19}, "\"v\""};
  const ExpectedBody whole{100, std::nullopt, ""};
  EXPECT_EQ(judge(ranged, head(206, {{"content-range", "bytes 10-19/100"}})), Answer::kBody);
  EXPECT_EQ(judge(ranged, head(206, {{"content-range", "bytes 11-20/100"}})), Answer::kWrongRange);
  EXPECT_EQ(judge(ranged, head(206, {{"content-range", "bytes 10-19/101"}})), Answer::kWrongRange);
  EXPECT_EQ(judge(ranged, head(206, {{"content-type", "multipart/byteranges"}})), Answer::kWrongRange);
  EXPECT_EQ(judge(ranged, head(206, {{"content-range", "bytes 10-19/100"}, {"etag", "\"w\""}})), Answer::kChanged);
  EXPECT_EQ(judge(ranged, head(206, {{"content-range", "bytes 10-19/100"}, {"etag", "W/\"w\""}})), Answer::kBody);
  EXPECT_EQ(judge(ranged, head(206, {{"content-range", "bytes 10-19/100"}, {"content-length", "11"}})),
            Answer::kWrongLength);
  EXPECT_EQ(judge(ranged, head(200, {{"etag", "\"v\""}})), Answer::kWholeFile);
  EXPECT_EQ(judge(ranged, head(200, {{"etag", "\"w\""}})), Answer::kChanged);
  EXPECT_EQ(judge(whole, head(200, {{"content-length", "100"}})), Answer::kBody);
  EXPECT_EQ(judge(whole, head(200, {{"content-length", "99"}})), Answer::kWrongLength);
  EXPECT_EQ(judge(whole, head(206, {{"content-range", "bytes 0-99/100"}})), Answer::kWrongRange);
  EXPECT_EQ(judge(whole, head(503, {})), Answer::kBusy);
  EXPECT_EQ(judge(whole, head(501, {})), Answer::kRefused);
  EXPECT_EQ(judge(whole, head(403, {})), Answer::kDenied);
  EXPECT_EQ(judge(whole, head(410, {})), Answer::kGone);
}

}  // namespace
}  // namespace mhub::hub
