// SPDX-License-Identifier: Apache-2.0
#include "store/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "store/staging.h"
#include "support/temp_dir.h"

namespace mhub::hub {
namespace {
namespace fs = std::filesystem;
using mhub::test::read_file;
using mhub::test::TempDir;
using mhub::test::write_file;

TEST(StoreLayout, PlacesOfTheContract) {
  const StoreLayout layout("/home/u/mhub");
  EXPECT_EQ(layout.registry_file(), "/home/u/mhub/registry.db");
  EXPECT_EQ(layout.model_directory("modelscope", "org/name", "abc"), "/home/u/mhub/models/modelscope/org/name/abc");
  EXPECT_TRUE(layout.in_models("/home/u/mhub/models/local/x"));
  for (const char* outside :
       {"/home/u/mhub/models", "/home/u/mhub/models/../partial/x", "/home/u/mhub/modelsx/y", "/else", "models/x", ""}) {
    EXPECT_FALSE(layout.in_models(outside)) << outside;
  }
}

TEST(ListingDigest, DependsOnContentNotOnOrder) {
  registry::FileRecord a, b;
  a.path = "a";
  b.path = "b";
  a.sha256 = std::string(64, '1');
  b.sha256 = std::string(64, '2');
  const std::vector<registry::FileRecord> one = {a, b}, other = {b, a};
  const std::string digest = listing_digest(one);
  EXPECT_EQ(digest.size(), 40u);
  EXPECT_EQ(digest, listing_digest(other));
  b.bytes = 1;
  EXPECT_NE(digest, listing_digest(std::vector<registry::FileRecord>{a, b}));
}

TEST(Timestamp, IsRfc3339AndSorts) {
  const std::string now = timestamp_now();
  ASSERT_EQ(now.size(), 24u) << now;
  EXPECT_EQ(now[10], 'T');
  EXPECT_EQ(now.back(), 'Z');
  EXPECT_LE(now, timestamp_now());
}

class Staging : public ::testing::Test {
 protected:
  size_t partial_entries() {
    return static_cast<size_t>(std::distance(fs::directory_iterator(layout_.partial()), fs::directory_iterator()));
  }
  TempDir dir_;
  StoreLayout layout_{dir_ / "home"};
  fs::path target_ = layout_.model_directory("local", "org/name", "c1");
};

TEST_F(Staging, PublishesInOneRenameAndReplaces) {
  for (const std::string content : {"one", "two"}) {
    auto staging = StagingDirectory::create(layout_, "test");
    ASSERT_TRUE(staging) << staging.error().one_line();
    write_file(staging->path() / "sub/file", content);
    const auto published = staging->publish(target_);
    ASSERT_TRUE(published) << published.error().one_line();
  }
  EXPECT_EQ(read_file(target_ / "sub/file"), "two");
  EXPECT_EQ(partial_entries(), 0u) << "what was replaced is removed";
}

TEST_F(Staging, VanishesUnlessPublishedOrReleased) {
  fs::path kept;
  {
    auto dropped = StagingDirectory::create(layout_, "test"), released = StagingDirectory::create(layout_, "test");
    StagingDirectory moved = std::move(*released);
    kept = moved.release();
    EXPECT_EQ(partial_entries(), 2u);
  }
  EXPECT_EQ(partial_entries(), 1u);
  EXPECT_TRUE(fs::is_directory(kept));
}

}  // namespace
}  // namespace mhub::hub
