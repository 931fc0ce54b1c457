// SPDX-License-Identifier: Apache-2.0
#include "store/file_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "store/open_beneath.h"
#include "store/sha256.h"
#include "support/temp_dir.h"

namespace mhub::hub {
namespace {
namespace fs = std::filesystem;
using mhub::test::TempDir;
using mhub::test::write_file;
using ::testing::ElementsAre;

TEST(ListFiles, RegularFilesSorted) {
  const TempDir dir;
  write_file(dir / "b", "1");
  write_file(dir / "a/z", "2");
  write_file(dir / "a/skip/me", "3");
  fs::create_symlink("b", dir / "link");
  fs::create_directory_symlink("a", dir / "linked");
  const auto fd = open_directory(dir.path(), false);
  const auto skip = [](const std::string& path) { return path == "a/skip"; };
  EXPECT_THAT(*list_files(fd->get()), ElementsAre("a/skip/me", "a/z", "b"));
  EXPECT_THAT(*list_files(fd->get(), skip), ElementsAre("a/z", "b"));
}

TEST(HashFiles, FillsTheRecordAndChangesShow) {
  const TempDir dir;
  write_file(dir / "a", "abc");
  write_file(dir / "sub/b", std::string(100'000, 'b'));
  const auto fd = open_directory(dir.path(), false);
  const std::vector<std::string> names = {"a", "sub/b"};
  const auto files = hash_files(fd->get(), names, true, {});
  ASSERT_TRUE(files) << files.error().one_line();
  EXPECT_EQ((*files)[0].path, "a");
  EXPECT_EQ((*files)[0].bytes, 3u);
  EXPECT_EQ((*files)[0].sha256, sha256_hex("abc"));
  EXPECT_EQ((*files)[1].sha256, sha256_hex(std::string(100'000, 'b')));
  for (const auto& file : *files) EXPECT_TRUE(looks_unchanged(file, fd->get()));

  write_file(dir / "a", "abd");  // same size: only the times differ
  EXPECT_FALSE(looks_unchanged((*files)[0], fd->get()));
  fs::remove(dir / "sub/b");
  EXPECT_FALSE(looks_unchanged((*files)[1], fd->get()));
}

// Importing the same file from two programs links it twice, which moves its ctime.
TEST(HashFiles, ALinkMadeMeanwhileIsNoChange) {
  const TempDir dir;
  write_file(dir / "big", std::string(64 << 20, 'x'));
  const auto fd = open_directory(dir.path(), false);
  std::atomic<bool> done{false};
  std::thread linker([&] {
    for (int i = 0; i < 1000 && !done; ++i) fs::create_hard_link(dir / "big", dir / ("link" + std::to_string(i)));
  });
  const auto files = hash_files(fd->get(), std::vector<std::string>{"big"}, false, {});
  done = true;
  linker.join();
  ASSERT_TRUE(files) << files.error().one_line();
  EXPECT_EQ(files->front().bytes, 64u << 20);
}

TEST(HashFiles, AMissingFileOrALinkIsAnError) {
  const TempDir dir;
  write_file(dir / "a", "abc");
  fs::create_symlink("a", dir / "link");
  const auto fd = open_directory(dir.path(), false);
  for (const std::string name : {"none", "link"}) {
    EXPECT_FALSE(hash_files(fd->get(), std::vector<std::string>{"a", name}, false, {})) << name;
  }
}

TEST(RunParallel, RunsEveryIndexOnce) {
  std::vector<std::atomic<int>> runs(1000);
  EXPECT_TRUE(run_parallel(runs.size(), [&](size_t i) -> Result<void> {
    ++runs[i];
    return {};
  }));
  for (const auto& count : runs) EXPECT_EQ(count, 1);
  EXPECT_TRUE(run_parallel(0, [](size_t) -> Result<void> { throw std::logic_error("never called"); }));
}

TEST(RunParallel, TheFirstErrorOrExceptionComesBack) {
  const auto result = run_parallel(100, [](size_t i) -> Result<void> {
    if (i == 7) return Error{ErrorCode::kDisk, "seven", "", ""};
    return {};
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "seven");
  EXPECT_THROW((void)run_parallel(100,
                                  [](size_t i) -> Result<void> {
                                    if (i == 50) throw std::runtime_error("fifty");
                                    return {};
                                  }),
               std::runtime_error);
}

}  // namespace
}  // namespace mhub::hub
