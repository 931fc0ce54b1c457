// SPDX-License-Identifier: Apache-2.0
#include "migrations.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>

#include "database.h"
#include "records.h"
#include "support/temp_dir.h"

namespace mhub::registry {
namespace {
namespace fs = std::filesystem;
using mhub::test::read_file;
using mhub::test::TempDir;

fs::path test_data(const std::string& name) {
  const char* source = std::getenv("MHUB_SOURCE_DIR");
  return fs::path(source ? source : ".") / "tests/registry" / name;
}

std::string schema_of(const fs::path& file) {
  SQLite::Database database(file.string(), SQLite::OPEN_READWRITE);
  std::string schema = "-- user_version " + std::to_string(user_version(database)) + "\n";
  SQLite::Statement select(database, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name");
  while (select.executeStep()) schema += select.getColumn(0).getString() + ";\n";
  return schema;
}

// A change of the schema shows up here as a diff to review.
TEST(Migrations, AFreshDatabaseHasTheGoldenSchema) {
  const TempDir dir;
  ASSERT_TRUE(Registry::open(dir / "registry.db"));
  EXPECT_EQ(schema_of(dir / "registry.db"), read_file(test_data("golden_schema.sql")));
}

// registry_v<N>.db was written by the release that brought schema N and is never written again.
TEST(Migrations, EveryReleasedVersionUpgradesToTheGoldenSchema) {
  int fixtures = 0;
  for (const Migration& step : migrations()) {
    const fs::path fixture = test_data("registry_v" + std::to_string(step.version) + ".db");
    ASSERT_TRUE(fs::exists(fixture)) << fixture;
    ++fixtures;
    const TempDir dir;
    const fs::path file = dir / "registry.db";
    fs::copy_file(fixture, file);
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
    auto registry = Registry::open(file);
    ASSERT_TRUE(registry) << registry.error().one_line();
    const auto model = (*registry)->find_model("demo");
    ASSERT_TRUE(model) << model.error().one_line();
    EXPECT_EQ(model->name, "org/name");
    EXPECT_EQ(model->commit, "c0ffee0123c0ffee0123c0ffee0123c0ffee0123");
    EXPECT_EQ(model->files.size(), 2u);
    EXPECT_EQ(model->total_bytes(), 700u + (1u << 20));
    registry->reset();
    EXPECT_EQ(schema_of(file), read_file(test_data("golden_schema.sql")));
  }
  EXPECT_GE(fixtures, 1);
}

TEST(Migrations, ACopyOfTheOldFileIsMadeFirst) {
  const TempDir dir;
  const fs::path file = dir / "registry.db";
  fs::copy_file(test_data("registry_v1.db"), file);
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  ASSERT_TRUE(Registry::open(file));
  const fs::path copy = file.string() + ".v1.bak";
  ASSERT_TRUE(fs::exists(copy));
  EXPECT_EQ(fs::status(copy).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  SQLite::Database old(copy.string());
  EXPECT_EQ(user_version(old), 1);
  EXPECT_EQ(old.execAndGet("SELECT count(*) FROM files").getInt(), 2);
  const auto written = fs::last_write_time(copy);
  ASSERT_TRUE(Registry::open(file));
  EXPECT_EQ(fs::last_write_time(copy), written) << "not again";
}

TEST(Migrations, WithoutRoomForTheCopyNothingIsMigrated) {
  const TempDir dir;
  const fs::path file = dir / "registry.db";
  fs::copy_file(test_data("registry_v1.db"), file);
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_directories((dir / "registry.db.v1.bak.").string() + std::to_string(getpid()) + "/in the way");
  const auto refused = Registry::open(file);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kDisk);
  SQLite::Database database(file.string());
  EXPECT_EQ(user_version(database), 1);
}

TEST(Migrations, Version2FillsTheTotalsOfOldRows) {
  const TempDir dir;
  const fs::path file = dir / "registry.db";
  fs::copy_file(test_data("registry_v1.db"), file);
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  const auto registry = Registry::open(file);
  const auto rows = (*registry)->list_models(false);
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->front().num_files, 2u);
  EXPECT_EQ(rows->front().total_bytes(), 700u + (1u << 20));
  EXPECT_NE(rows->front().verified_at, "");
  EXPECT_EQ((*registry)->store_knowledge()->since, "") << "it has been the store's registry all along";
}

TEST(Migrations, AreNumberedFromOneWithoutGaps) {
  int expected = 0;
  for (const Migration& step : migrations()) EXPECT_EQ(step.version, ++expected) << step.name;
}

TEST(Migrations, AFailingStepLeavesTheStepBefore) {
  const TempDir dir;
  SQLite::Database database((dir / "r.db").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  const Migration steps[] = {{1, "one", "CREATE TABLE one (x INTEGER) STRICT"},
                             {2, "two", "CREATE TABLE two (x INTEGER) STRICT; INSERT INTO missing VALUES (1)"}};
  EXPECT_THROW(apply_migrations(database, steps), SQLite::Exception);
  EXPECT_EQ(user_version(database), 1);
  EXPECT_TRUE(database.tableExists("one"));
  EXPECT_FALSE(database.tableExists("two"));
}

TEST(Migrations, RunOnce) {
  const TempDir dir;
  SQLite::Database database((dir / "r.db").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  const Migration steps[] = {{1, "one", "CREATE TABLE one (x INTEGER) STRICT"},
                             {2, "two", "INSERT INTO one VALUES (5)"}};
  apply_migrations(database, std::span(steps, 1));
  apply_migrations(database, steps);
  apply_migrations(database, steps);
  EXPECT_EQ(user_version(database), 2);
  EXPECT_EQ(database.execAndGet("SELECT count(*) FROM one").getInt(), 1);
}

TEST(JournalMode, WalOnlyWithAFixedLibrary) {
  EXPECT_FALSE(wal_is_safe(3040001, "/"));
  EXPECT_FALSE(wal_is_safe(3051002, "/"));
  EXPECT_TRUE(wal_is_safe(3051003, fs::temp_directory_path()));
  EXPECT_FALSE(wal_is_safe(3051003, "/no/such/directory"));
}

}  // namespace
}  // namespace mhub::registry
