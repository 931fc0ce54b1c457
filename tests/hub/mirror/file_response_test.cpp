// SPDX-License-Identifier: Apache-2.0
#include "mirror/file_response.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "store/file_tree.h"
#include "store/sha256.h"
#include "support/temp_dir.h"

namespace mhub::hub {
namespace {

using Kind = ByteRange::Kind;

TEST(ParseRange, Forms) {
  struct Case {
    const char* header;
    uint64_t size;
    Kind kind;
    uint64_t first, length;
  };
  const Case cases[] = {
      {"bytes=0-9", 100, Kind::kPart, 0, 10},
      {"bytes=90-", 100, Kind::kPart, 90, 10},
      {"bytes=90-1000", 100, Kind::kPart, 90, 10},
      {"bytes=-10", 100, Kind::kPart, 90, 10},
      {"bytes=-1000", 100, Kind::kPart, 0, 100},
      {"bytes=100-", 100, Kind::kUnsatisfiable, 0, 0},
      {"bytes=-0", 100, Kind::kUnsatisfiable, 0, 0},
      {"bytes=0-0", 0, Kind::kWhole, 0, 0},  // an empty file answers 200 even when ranged
      {"bytes=5-4", 100, Kind::kWhole, 0, 0},
      {"bytes=0-1,4-5", 100, Kind::kWhole, 0, 0},
      {"items=0-9", 100, Kind::kWhole, 0, 0},
      {"bytes=", 100, Kind::kWhole, 0, 0},
      {"bytes=-", 100, Kind::kWhole, 0, 0},
      {"bytes=a-b", 100, Kind::kWhole, 0, 0},
      {"bytes=18446744073709551616-", 100, Kind::kWhole, 0, 0},
      {"bytes=0-18446744073709551615", 100, Kind::kPart, 0, 100},
  };
  for (const auto& c : cases) {
    const ByteRange range = parse_range(c.header, c.size);
    EXPECT_EQ(range.kind, c.kind) << c.header;
    if (c.kind != Kind::kPart) continue;
    EXPECT_EQ(range.first, c.first) << c.header;
    EXPECT_EQ(range.length, c.length) << c.header;
  }
}

class FileResponse : public ::testing::Test {
 protected:
  FileResponse() {
    test::write_file(directory_ / "weights.bin", std::string(1000, 'w'));
    model_.name = "org/name";
    model_.path = directory_.path();
    file_.path = "weights.bin";
    file_.bytes = 1000;
    file_.sha256 = sha256_hex(std::string(1000, 'w'));
    struct stat info {};
    stat((directory_ / "weights.bin").c_str(), &info);
    set_stat(file_, info);
  }
  httpd::Response get(std::vector<std::pair<std::string, std::string>> headers) {
    httpd::Request request;
    request.method = "GET";
    request.headers = std::move(headers);
    return file_response(request, model_, file_);
  }
  static std::string header(const httpd::Response& response, const std::string& name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "";
  }

  test::TempDir directory_;
  registry::ModelRecord model_;
  registry::FileRecord file_;
};

TEST_F(FileResponse, WholeFileHasItsDigestAsStrongETag) {
  const auto response = get({});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(header(response, "ETag"), "\"" + file_.sha256 + "\"");
  ASSERT_TRUE(response.file);
  EXPECT_EQ(response.file->length, 1000u);
}

TEST_F(FileResponse, RangeHoldsOnlyForTheSameETag) {
  EXPECT_EQ(get({{"Range", "bytes=10-19"}}).status, 206);
  EXPECT_EQ(header(get({{"Range", "bytes=10-19"}}), "Content-Range"), "bytes 10-19/1000");
  EXPECT_EQ(get({{"Range", "bytes=10-19"}, {"If-Range", "\"" + file_.sha256 + "\""}}).status, 206);
  EXPECT_EQ(get({{"Range", "bytes=10-19"}, {"If-Range", "\"other\""}}).status, 200);
  EXPECT_EQ(get({{"Range", "bytes=1000-"}}).status, 416);
  EXPECT_EQ(header(get({{"Range", "bytes=1000-"}}), "Content-Range"), "bytes */1000");
  EXPECT_EQ(get({{"If-None-Match", "\"" + file_.sha256 + "\""}}).status, 304);
}

TEST_F(FileResponse, AFileThatChangedSinceItWasVerifiedIsNotServed) {
  test::write_file(directory_ / "weights.bin", std::string(1000, 'x'));
  const auto response = get({});
  EXPECT_EQ(response.status, 500);
  EXPECT_FALSE(response.file);
  EXPECT_NE(response.body.find("mhub verify org/name"), std::string::npos);
}

}  // namespace
}  // namespace mhub::hub
