// SPDX-License-Identifier: Apache-2.0
#include "store/sha256.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "store/unique_fd.h"
#include "support/temp_dir.h"

namespace mhub::hub {
namespace {

constexpr char kEmpty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha256_hex(""), kEmpty);
  EXPECT_EQ(sha256_hex("abc"), kAbc);
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, PiecesAndCopiesGoOnFromWhereTheyAre) {
  Sha256 hash;
  hash.update("a");
  Digest copy = hash.copy();
  hash.update("bc");
  copy.update("b");
  copy.update("c");
  EXPECT_EQ(hash.finish(), kAbc);
  EXPECT_EQ(copy.finish(), kAbc);
}

TEST(GitBlobSha1, IsWhatGitSays) {
  GitBlobSha1 empty(0);
  EXPECT_EQ(empty.finish(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  GitBlobSha1 hello(6);
  hello.update("hello\n");
  EXPECT_EQ(hello.finish(), "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST(HashDescriptor, ReadsFromTheStartWhereverTheOffsetIs) {
  const test::TempDir dir;
  const std::string content(3'000'001, 'x');
  test::write_file(dir / "file", content);
  const UniqueFd fd(open((dir / "file").c_str(), O_RDONLY | O_CLOEXEC));
  lseek(fd.get(), 1000, SEEK_SET);
  const auto hashed = hash_descriptor(fd.get(), "file", {});
  ASSERT_TRUE(hashed);
  EXPECT_EQ(hashed->bytes, content.size());
  EXPECT_EQ(hashed->sha256, sha256_hex(content));
}

TEST(HashDescriptor, StopsAndSaysWhatCannotBeRead) {
  const test::TempDir dir;
  test::write_file(dir / "file", "x");
  const UniqueFd fd(open((dir / "file").c_str(), O_RDONLY | O_CLOEXEC));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(hash_descriptor(fd.get(), "file", stop.get_token()).error().code, ErrorCode::kInterrupted);
  const UniqueFd directory(open(dir.path().c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(hash_descriptor(directory.get(), "dir", {}).error().code, ErrorCode::kDisk);
}

}  // namespace
}  // namespace mhub::hub
