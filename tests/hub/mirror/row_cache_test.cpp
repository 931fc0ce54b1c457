// SPDX-License-Identifier: Apache-2.0
#include "mirror/row_cache.h"

#include <gtest/gtest.h>

#include <chrono>

#include "support/temp_dir.h"

namespace mhub::hub {
namespace {

namespace fs = std::filesystem;

class RowCacheTest : public ::testing::Test {
 protected:
  RowCacheTest() { write("one", std::chrono::hours(1)); }
  void write(const std::string& content, std::chrono::milliseconds age) {
    test::write_file(file_, content);
    fs::last_write_time(file_, fs::file_time_type::clock::now() - age);
  }
  static std::shared_ptr<const registry::ModelRecord> row(const std::string& name) {
    registry::ModelRecord model;
    model.name = name;
    return std::make_shared<const registry::ModelRecord>(std::move(model));
  }
  test::TempDir dir_;
  const fs::path file_ = dir_ / "registry.db";
  RowCache cache_{file_};
};

TEST_F(RowCacheTest, KeepsRowsUntilTheRegistryIsWritten) {
  EXPECT_FALSE(cache_.find("a@main"));
  cache_.keep("a@main", cache_.stamp(), row("a"));
  cache_.keep("b@main", cache_.stamp(), row("b"));
  ASSERT_TRUE(cache_.find("a@main"));
  EXPECT_EQ(cache_.find("b@main")->name, "b");
  EXPECT_FALSE(cache_.find("a@other"));
  write("two", std::chrono::minutes(30));
  EXPECT_FALSE(cache_.find("a@main")) << "of the same size, at another time";
  cache_.keep("a@main", cache_.stamp(), row("a2"));
  EXPECT_EQ(cache_.find("a@main")->name, "a2");
  EXPECT_FALSE(cache_.find("b@main")) << "what was read before went with the old stamp";
  test::write_file(dir_ / "registry.db-wal", "x");
  EXPECT_FALSE(cache_.find("a@main")) << "a write that is in the log only";
}

TEST_F(RowCacheTest, ARowThatWasReadDuringAWriteIsNotBelieved) {
  const RowCache::Stamp before = cache_.stamp();
  write("two", std::chrono::minutes(30));
  cache_.keep("a@main", before, row("a"));
  EXPECT_FALSE(cache_.find("a@main"));
}

TEST_F(RowCacheTest, JustWrittenIsTooFreshToBeTold) {
  write("one", std::chrono::milliseconds(0));
  cache_.keep("a@main", cache_.stamp(), row("a"));
  EXPECT_FALSE(cache_.find("a@main"));
}

}  // namespace
}  // namespace mhub::hub
