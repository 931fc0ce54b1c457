// SPDX-License-Identifier: Apache-2.0
#include "store/place_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>

#include "store/open_beneath.h"
#include "support/temp_dir.h"

namespace mhub::hub {
namespace {
namespace fs = std::filesystem;
using mhub::test::read_file;
using mhub::test::TempDir;
using mhub::test::write_file;

class PlaceFile : public ::testing::Test {
 protected:
  Result<PlacedFile> place(const std::string& leaf, Placement cheapest) {
    const auto source = open_source(dir_ / "source");
    const auto target = open_directory(dir_ / "target", true);
    return place_file(source->get(), "source", target->get(), leaf, {}, cheapest);
  }
  TempDir dir_;
  std::string content_ = std::string(2'500'000, 'm');
};

TEST_F(PlaceFile, EveryWayGivesTheSameBytes) {
  write_file(dir_ / "source", content_);
  for (const Placement cheapest : {Placement::kHardlink, Placement::kReflink, Placement::kCopy}) {
    const std::string leaf = "file" + std::to_string(static_cast<int>(cheapest));
    const auto placed = place(leaf, cheapest);
    ASSERT_TRUE(placed) << placed.error().one_line();
    EXPECT_GE(placed->how, cheapest);
    EXPECT_EQ(read_file(dir_ / "target" / leaf), content_);
    if (placed->how == Placement::kCopy) {
      EXPECT_EQ(placed->hash->sha256, sha256_hex(content_));
      EXPECT_EQ(placed->hash->bytes, content_.size());
    }
  }
}

TEST_F(PlaceFile, LinksOwnFilesAndCopiesWhatOthersCanWrite) {
  write_file(dir_ / "source", content_);
  ASSERT_EQ(chmod((dir_ / "source").c_str(), 0644), 0);
  EXPECT_EQ(place("own", Placement::kHardlink)->how, Placement::kHardlink);
  EXPECT_EQ(fs::hard_link_count(dir_ / "target/own"), 2u);
  ASSERT_EQ(chmod((dir_ / "source").c_str(), 0666), 0);
  EXPECT_NE(place("shared", Placement::kHardlink)->how, Placement::kHardlink);
}

TEST_F(PlaceFile, NeverReplacesAFile) {
  write_file(dir_ / "source", content_);
  write_file(dir_ / "target/there", "mine");
  for (const Placement cheapest : {Placement::kHardlink, Placement::kCopy}) {
    EXPECT_EQ(place("there", cheapest).error().code, ErrorCode::kDisk);
  }
  EXPECT_EQ(read_file(dir_ / "target/there"), "mine");
}

TEST_F(PlaceFile, EmptyFilesToo) {
  write_file(dir_ / "source", "");
  EXPECT_EQ(place("empty", Placement::kCopy)->hash->sha256, sha256_hex(""));
}

TEST_F(PlaceFile, NoRoomIsADiskErrorBeforeTheFirstByte) {
  write_file(dir_ / "source", content_);
  const pid_t pid = fork();
  if (pid == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1'000'000, 1'000'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    const auto placed = place("big", Placement::kCopy);
    _exit(!placed && placed.error().code == ErrorCode::kDisk && fs::file_size(dir_ / "target/big") == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(OpenSource, FollowsLinksButTakesRegularFilesOnly) {
  const TempDir dir;
  write_file(dir / "file", "x");
  fs::create_symlink("file", dir / "link");
  EXPECT_TRUE(open_source(dir / "link"));
  ASSERT_EQ(mkfifo((dir / "fifo").c_str(), 0600), 0);
  for (const char* name : {"fifo", "none"}) EXPECT_EQ(open_source(dir / name).error().code, ErrorCode::kDisk);
  EXPECT_EQ(open_source(dir.path()).error().code, ErrorCode::kDisk);
}

}  // namespace
}  // namespace mhub::hub
