// SPDX-License-Identifier: Apache-2.0
// Rows F03 and F04 of the threat list, as far as opening goes.
#include "store/open_beneath.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "support/temp_dir.h"

namespace mhub::hub {
namespace {
namespace fs = std::filesystem;
using mhub::test::read_file;
using mhub::test::TempDir;
using mhub::test::write_file;

class OpenBeneath : public ::testing::Test {
 protected:
  OpenBeneath() {
    write_file(dir_ / "secret", "secret");
    write_file(root_ / "sub/file", "content");
    fd_ = std::move(*open_directory(root_, false));
  }
  ErrorCode code_of(const std::string& relative, int flags = O_RDONLY) {
    auto opened = open_beneath(fd_.get(), relative, flags);
    return opened ? ErrorCode::kInternal : opened.error().code;
  }
  TempDir dir_;
  fs::path root_ = dir_ / "root";
  UniqueFd fd_;
};

TEST_F(OpenBeneath, OpensRegularFilesBlocking) {
  auto opened = open_beneath(fd_.get(), "sub/file", O_RDONLY);
  ASSERT_TRUE(opened) << opened.error().one_line();
  char text[16] = {};
  EXPECT_EQ(read(opened->get(), text, sizeof(text)), 7);
  EXPECT_EQ(fcntl(opened->get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(opened->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(OpenBeneath, NeverLeavesTheDirectory) {
  fs::create_symlink("../secret", root_ / "link");
  fs::create_symlink("..", root_ / "up");
  fs::create_symlink("loop", root_ / "loop");
  fs::create_symlink("sub/file", root_ / "inside");
  for (const char* path : {"../secret", "sub/../../secret", "link", "up/secret", "loop", "inside"}) {
    EXPECT_EQ(code_of(path), ErrorCode::kPolicy) << path;
    EXPECT_EQ(code_of(path, O_WRONLY | O_CREAT | O_TRUNC), ErrorCode::kPolicy) << path;
  }
  EXPECT_EQ(code_of((dir_ / "secret").string()), ErrorCode::kPolicy);
  EXPECT_EQ(code_of(std::string("sub/file\0x", 10)), ErrorCode::kPolicy);
  EXPECT_EQ(code_of("missing"), ErrorCode::kDisk);
  EXPECT_EQ(read_file(dir_ / "secret"), "secret");
}

TEST_F(OpenBeneath, TheWalkOfOldKernelsAgrees) {
  fs::create_symlink("../secret", root_ / "link");
  fs::create_symlink("..", root_ / "up");
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC;
  EXPECT_TRUE(walk_beneath(fd_.get(), "sub/file", kFlags, 0));
  EXPECT_TRUE(walk_beneath(fd_.get(), "sub/new", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  EXPECT_TRUE(fs::exists(root_ / "sub/new"));
  for (const char* path :
       {"../secret", "sub/../../secret", "link", "up/secret", "/etc/passwd", "sub//file", "./sub", ""}) {
    const auto opened = walk_beneath(fd_.get(), path, kFlags, 0);
    ASSERT_FALSE(opened) << path;
    EXPECT_EQ(opened.error().code, ErrorCode::kPolicy) << path;
  }
  EXPECT_EQ(walk_beneath(fd_.get(), "sub/none", kFlags, 0).error().code, ErrorCode::kDisk);
}

TEST_F(OpenBeneath, SpecialFilesAreRefusedAtOnce) {
  ASSERT_EQ(mkfifo((root_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(code_of("fifo"), ErrorCode::kPolicy);
  EXPECT_EQ(code_of("sub"), ErrorCode::kPolicy);
}

// F04: a link swapped in and out while files are opened.
TEST_F(OpenBeneath, ASwapperNeverWins) {
  write_file(root_ / "real", "content");
  fs::create_symlink("../secret", root_ / "evil");
  std::atomic<bool> done{false};
  std::thread swapper([&] {
    while (!done) {
      renameat2(AT_FDCWD, (root_ / "real").c_str(), AT_FDCWD, (root_ / "evil").c_str(), RENAME_EXCHANGE);
    }
  });
  int opened_count = 0;  // may take long where the swapper has a core of its own and this does not
  for (int i = 0; i < 10'000 || (opened_count == 0 && i < 10'000'000); ++i) {
    auto opened = open_beneath(fd_.get(), "real", O_RDONLY);
    if (!opened) continue;
    ++opened_count;
    char text[16] = {};
    ASSERT_GT(read(opened->get(), text, sizeof(text)), 0);
    ASSERT_STREQ(text, "content");
  }
  done = true;
  swapper.join();
  EXPECT_GT(opened_count, 0);
}

TEST_F(OpenBeneath, ParentsAreMadeButNotThroughLinks) {
  auto parent = make_parents_beneath(fd_.get(), "a/b/c.txt");
  ASSERT_TRUE(parent) << parent.error().one_line();
  EXPECT_EQ(parent->leaf, "c.txt");
  EXPECT_TRUE(fs::is_directory(root_ / "a/b"));
  EXPECT_TRUE(make_parents_beneath(fd_.get(), "plain"));
  fs::create_directory_symlink("..", root_ / "up");
  for (const char* path : {"../x/y", "a/../y", "up/new/x", "sub/file/x", "a//b", "a/", "..", ""}) {
    EXPECT_EQ(make_parents_beneath(fd_.get(), path).error().code, ErrorCode::kPolicy) << path;
  }
  EXPECT_FALSE(fs::exists(dir_ / "new"));
}

TEST(OpenDirectory, CreatesPrivately) {
  const TempDir dir;
  ASSERT_TRUE(open_directory(dir / "a/b", true));
  EXPECT_EQ(fs::status(dir / "a/b").permissions(), fs::perms::owner_all);
  EXPECT_FALSE(open_directory(dir / "none", false));
  write_file(dir / "file", "");
  EXPECT_EQ(open_directory(dir / "file/x", true).error().code, ErrorCode::kDisk);
}

TEST(DiskError, SaysWhatToDo) {
  EXPECT_THAT(disk_error("write", "/x", ENOSPC).one_line(), ::testing::HasSubstr("free space"));
  EXPECT_THAT(disk_error("write", "/x", EACCES).one_line(), ::testing::HasSubstr("permission"));
}

}  // namespace
}  // namespace mhub::hub
