// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "mhub/registry/registry.h"
#include "records.h"
#include "support/temp_dir.h"

namespace mhub::registry {
namespace {
using mhub::test::read_file;
using mhub::test::TempDir;
using test::model_record;
using ::testing::ElementsAre;

class Query : public ::testing::Test {
 protected:
  Query() : registry_(*Registry::open(dir_ / "registry.db")) {
    auto model = model_record("org/name", "c1");
    model.aliases = {"demo", "other"};
    EXPECT_TRUE(registry_->put_model(model));
  }
  ErrorCode code(const std::string& sql) {
    const auto result = registry_->query(sql, 1000, 0.2);
    return result ? ErrorCode::kInternal : result.error().code;
  }
  TempDir dir_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(Query, ReadsTheTwoViews) {
  const auto models = registry_->query("SELECT name, bytes, files, aliases, card, NULL, bytes / 2.0 FROM model");
  ASSERT_TRUE(models) << models.error().one_line();
  EXPECT_THAT(models->columns, ::testing::Contains("aliases"));
  ASSERT_EQ(models->rows.size(), 1u);
  EXPECT_EQ(std::get<std::string>(models->rows[0][0]), "org/name");
  EXPECT_EQ(std::get<int64_t>(models->rows[0][1]), 700 + (1 << 20));
  EXPECT_EQ(std::get<std::string>(models->rows[0][3]), "demo,other");
  EXPECT_TRUE(std::holds_alternative<std::nullptr_t>(models->rows[0][5]));
  EXPECT_EQ(std::get<double>(models->rows[0][6]), (700 + (1 << 20)) / 2.0);
  const auto files = registry_->query(
      "WITH f AS (SELECT * FROM file) SELECT model.name, sum(f.bytes) FROM model JOIN f ON f.model_id = model.id "
      "GROUP BY 1;\n");
  ASSERT_TRUE(files) << files.error().one_line();
  EXPECT_EQ(std::get<int64_t>(files->rows.at(0).at(1)), 700 + (1 << 20));
}

// The columns are promised in docs/registry.md.
TEST_F(Query, TheViewsHaveTheDocumentedColumns) {
  EXPECT_THAT(registry_->query("SELECT * FROM model")->columns,
              ElementsAre("name", "source", "endpoint", "revision", "commit", "path", "bytes", "files", "format",
                          "quantization", "architecture", "complete", "pinned", "aliases", "card", "verified",
                          "created", "used", "in_store", "id"));
  EXPECT_THAT(registry_->query("SELECT * FROM file")->columns,
              ElementsAre("name", "source", "commit", "path", "bytes", "sha256", "git_sha1", "verified", "model_id"));
}

TEST_F(Query, CanDoNothingButRead) {
  const std::string before = read_file(dir_ / "registry.db");
  for (const std::string sql :
       {"DELETE FROM models", "INSERT INTO facts VALUES ('a', 'b')", "DROP VIEW model", "PRAGMA user_version = 9",
        "PRAGMA table_info(models)", "ATTACH '/tmp/x.db' AS x", "VACUUM INTO '/tmp/x.db'", "CREATE TEMP TABLE t (x)",
        "SELECT * FROM models", "SELECT value FROM facts", "SELECT sql FROM sqlite_schema",
        "SELECT load_extension('x')", "BEGIN", "SELECT 1 FROM model; DELETE FROM models"}) {
    const ErrorCode found = code(sql);
    EXPECT_TRUE(found == ErrorCode::kPolicy || found == ErrorCode::kUsage) << sql;
  }
  EXPECT_EQ(read_file(dir_ / "registry.db"), before);
}

TEST_F(Query, MistakesAndLimitsAreUsage) {
  for (const std::string sql : {"", ";", "SELEC", "SELECT nothing FROM model", "SELECT 1; SELECT 2"}) {
    EXPECT_EQ(code(sql), ErrorCode::kUsage) << sql;
  }
  EXPECT_EQ(code("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"), ErrorCode::kUsage);
  EXPECT_EQ(code("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"),
            ErrorCode::kUsage);
}

}  // namespace
}  // namespace mhub::registry
