// SPDX-License-Identifier: Apache-2.0
#include "mhub/formats/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "mhub/formats/gguf.h"
#include "mhub/formats/tensor_table.h"
#include "support/gguf_builder.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace mhub::formats {
namespace {
using test::TempDir;
using test::write_file;

void expect_not_regular(const std::filesystem::path& path) {
  const auto start = std::chrono::steady_clock::now();
  for (const auto& error : {MappedFile::open(path).error(), read_text_file(path, 100).error()}) {
    EXPECT_EQ(error.code, ErrorCode::kBadModel) << error.message;
    EXPECT_NE(error.message.find("not a regular file"), std::string::npos) << error.message;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
}

TEST(MappedFile, MapsARegularFile) {
  const TempDir dir;
  write_file(dir / "a", "hello");
  const auto file = MappedFile::open(dir / "a");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ((*file)->bytes().size(), 5u);
  EXPECT_EQ(static_cast<char>((*file)->bytes()[4]), 'o');
  write_file(dir / "empty", "");
  ASSERT_TRUE(MappedFile::open(dir / "empty"));
  EXPECT_TRUE((*MappedFile::open(dir / "empty"))->bytes().empty());
}

// Resident bytes of this process's mappings of `path`.
uint64_t resident_bytes(const std::filesystem::path& path) {
  std::ifstream smaps("/proc/self/smaps");
  uint64_t total = 0;
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    if (line.find('-') < line.find(' ')) inside = line.ends_with(path.string());
    if (inside && line.starts_with("Rss:")) total += std::stoull(line.substr(4)) << 10;
  }
  return total;
}

TEST(MappedFile, DroppedPagesAreStillReadable) {
  const TempDir dir;
  const std::string content(size_t{4} << 20, 'x');
  write_file(dir / "a", content);
  const auto file = MappedFile::open(dir / "a");
  ASSERT_TRUE(file) << file.error().message;
  const auto as_text = [&] {
    return std::string_view(reinterpret_cast<const char*>((*file)->bytes().data()), (*file)->bytes().size());
  };
  EXPECT_EQ(as_text(), content);
  EXPECT_EQ(resident_bytes(dir / "a"), content.size());
  (*file)->drop_pages();
  EXPECT_EQ(resident_bytes(dir / "a"), 0u);
  EXPECT_EQ(as_text(), content);
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {  // F03
  const TempDir dir;
  expect_not_regular(dir.path());
  ASSERT_EQ(mkfifo((dir / "fifo").c_str(), 0600), 0);
  expect_not_regular(dir / "fifo");
  expect_not_regular("/dev/zero");
  expect_not_regular("/dev/null");
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = (dir / "s").string();
  ASSERT_LT(name.size(), sizeof(address.sun_path));
  name.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  expect_not_regular(dir / "s");
  close(fd);
}

TEST(MappedFile, MissingFileAndLinkLoopAreNamed) {  // F04
  const TempDir dir;
  const auto missing = MappedFile::open(dir / "nothing");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("nothing: No such file"), std::string::npos) << missing.error().message;
  std::filesystem::create_symlink("loop", dir / "loop");
  ASSERT_FALSE(MappedFile::open(dir / "loop"));
}

TEST(MappedFile, TextFileHasALimit) {
  const TempDir dir;
  write_file(dir / "t", "12345");
  EXPECT_EQ(*read_text_file(dir / "t", 5), "12345");
  const auto over = read_text_file(dir / "t", 4);
  ASSERT_FALSE(over);
  EXPECT_NE(over.error().message.find("5 bytes, over the limit of 4"), std::string::npos);
}

TEST(MappedFile, SparseGiantsAreRefusedByTheirSize) {  // F02
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer leaves no room for a mapping of a tebibyte";
#endif
  const TempDir dir;
  const auto grow = [](const std::filesystem::path& path) { return truncate(path.c_str(), off_t{1} << 40) == 0; };
  write_file(dir / "g.safetensors", test::SafetensorsBuilder().add("a", "U8", {1}, "x").build());
  write_file(dir / "g.gguf", test::GgufBuilder().tensor_f32("a", {1}, {1.0f}).build());
  if (!grow(dir / "g.safetensors") || !grow(dir / "g.gguf")) GTEST_SKIP() << "no sparse files here";
  const auto start = std::chrono::steady_clock::now();
  const auto safetensors = open_safetensors_file(dir / "g.safetensors");
  const auto gguf = open_gguf(dir / "g.gguf");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  ASSERT_FALSE(safetensors);
  EXPECT_NE(safetensors.error().message.find("after the last tensor"), std::string::npos)
      << safetensors.error().message;
  ASSERT_FALSE(gguf);
  EXPECT_NE(gguf.error().message.find("but the file has 1099511627776 bytes"), std::string::npos)
      << gguf.error().message;
}

}  // namespace
}  // namespace mhub::formats
