// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "mhub/registry/registry.h"
#include "records.h"
#include "support/temp_dir.h"

namespace mhub::registry {
namespace {
using mhub::test::TempDir;
using test::file_record;
using test::model_record;
using ::testing::ElementsAre;

class StoreRows : public ::testing::Test {
 protected:
  StoreRows() { open(); }
  void open() {
    registry_.reset();
    registry_ = *Registry::open(dir_ / "registry.db");
  }
  std::vector<std::string> names(const ListFilter& filter) {
    std::vector<std::string> found;
    const auto models = registry_->list_models(filter);
    EXPECT_TRUE(models) << models.error().one_line();
    if (models) {
      for (const auto& model : *models) found.push_back(model.name);
    }
    return found;
  }
  TempDir dir_;
  std::unique_ptr<Registry> registry_;
};

TEST_F(StoreRows, ListFiltersAndSorts) {
  auto small = model_record("a/small", "1"), large = model_record("b/large", "2"), gguf = model_record("c/gguf", "3");
  small.files = {file_record("x", 1)};
  large.created_at = "2026-11-26T10:00:00.000Z";
  gguf.format = "gguf";
  gguf.complete = false;
  gguf.aliases = {"demo"};
  gguf.files.clear();
  for (const auto& model : {small, large, gguf}) ASSERT_TRUE(registry_->put_model(model));
  EXPECT_THAT(names({}), ElementsAre("a/small", "b/large", "c/gguf"));
  EXPECT_THAT(names({.name = "*/*a*"}), ElementsAre("a/small", "b/large"));
  EXPECT_THAT(names({.name = "demo"}), ElementsAre("c/gguf"));
  EXPECT_THAT(names({.format = "gguf"}), ElementsAre("c/gguf"));
  EXPECT_THAT(names({.complete = true}), ElementsAre("a/small", "b/large"));
  EXPECT_THAT(names({.order = ListFilter::Order::kBytes, .descending = true}),
              ElementsAre("b/large", "a/small", "c/gguf"));
  EXPECT_THAT(names({.order = ListFilter::Order::kCreated, .descending = true, .limit = 1}), ElementsAre("b/large"));
  EXPECT_THAT(names({.limit = 1, .offset = 2}), ElementsAre("c/gguf"));
  EXPECT_THAT(names({.name = "'; DROP TABLE models; --"}), ElementsAre());
  const auto rows = registry_->list_models(ListFilter{.name = "b/*"});
  EXPECT_EQ(rows->front().total_bytes(), 700u + (1u << 20)) << "of the row: files were not read";
  EXPECT_EQ(rows->front().num_files, 2u);
  EXPECT_EQ(rows->front().verified_at, "2026-11-25T10:00:00.000Z");
}

TEST_F(StoreRows, PinsAndUseOutliveANewPut) {
  const auto model = model_record("org/name", "1");
  const int64_t id = *registry_->put_model(model);
  ASSERT_TRUE(registry_->set_pinned(id, true));
  ASSERT_TRUE(registry_->touch_model(id));
  ASSERT_TRUE(registry_->put_model(model));
  const auto found = registry_->find_model("org/name");
  EXPECT_TRUE(found->pinned);
  EXPECT_FALSE(found->used_at.empty());
  ASSERT_TRUE(registry_->set_pinned(id, false));
  EXPECT_FALSE(registry_->find_model("org/name")->pinned);
  EXPECT_EQ(registry_->set_pinned(99, true).error().code, ErrorCode::kModelNotFound);
  EXPECT_EQ(registry_->touch_model(99).error().code, ErrorCode::kModelNotFound);
}

TEST_F(StoreRows, AliasesMoveAndGo) {
  const int64_t one = *registry_->put_model(model_record("org/one", "1"));
  const int64_t two = *registry_->put_model(model_record("org/two", "2"));
  ASSERT_TRUE(registry_->set_alias("demo", one));
  ASSERT_TRUE(registry_->set_alias("demo", two));
  EXPECT_EQ(registry_->find_model("demo")->name, "org/two");
  EXPECT_EQ(registry_->set_alias("demo", 99).error().code, ErrorCode::kModelNotFound);
  EXPECT_TRUE(*registry_->remove_alias("demo"));
  EXPECT_FALSE(*registry_->remove_alias("demo"));
}

TEST_F(StoreRows, ExtentsAreKeptByContentAndGoWithItsLastModel) {
  auto one = model_record("org/one", "1"), two = model_record("org/two", "2");
  one.files[0].extents = std::string(16, '\7');
  const int64_t first = *registry_->put_model(one), second = *registry_->put_model(two);
  const std::string sha256 = one.files[0].sha256;
  EXPECT_EQ(*registry_->extents_of(sha256), std::string(16, '\7'));
  EXPECT_EQ(registry_->files_with_content(sha256)->size(), 4u);
  EXPECT_EQ(registry_->files_with_content(sha256)->front().directory, one.path);
  ASSERT_TRUE(registry_->remove_model(first));
  EXPECT_EQ(registry_->extents_of(sha256)->size(), 16u);
  ASSERT_TRUE(registry_->remove_model(second));
  EXPECT_EQ(registry_->extents_of(sha256)->size(), 0u);
}

TEST_F(StoreRows, AFailedPublishLeavesNoRow) {
  const auto failed = registry_->put_model(model_record("org/name", "1"), [] {
    return Result<void>(Error{ErrorCode::kDisk, "rename", "", ""});
  });
  EXPECT_EQ(failed.error().code, ErrorCode::kDisk);
  EXPECT_TRUE(registry_->list_models(false)->empty());
}

TEST_F(StoreRows, IfUnregisteredRunsOnlyWithoutARow) {
  const auto model = model_record("org/name", "1");
  ASSERT_TRUE(registry_->put_model(model));
  int runs = 0;
  const auto count = [&] { return ++runs, Result<void>(); };
  EXPECT_FALSE(*registry_->if_unregistered(model.path, count));
  EXPECT_TRUE(*registry_->if_unregistered("/elsewhere", count));
  EXPECT_EQ(runs, 1);
}

TEST_F(StoreRows, AFreshRegistryKnowsTheStoreFromNowOn) {
  const auto known = registry_->store_knowledge();
  ASSERT_TRUE(known);
  EXPECT_FALSE(known->has_models);
  EXPECT_GT(known->since, "2020");
}

TEST_F(StoreRows, ReplaceKeepsTheOldFileAndKnowsTheWholeStore) {
  ASSERT_TRUE(registry_->put_model(model_record("org/old", "1")));
  registry_.reset();
  auto model = model_record("org/new", "2");
  model.aliases = {"demo"};
  model.pinned = true;
  const auto kept = Registry::replace(dir_ / "registry.db", {model});
  ASSERT_TRUE(kept) << kept.error().one_line();
  open();
  EXPECT_THAT(names({}), ElementsAre("org/new"));
  EXPECT_TRUE(registry_->find_model("demo")->pinned);
  EXPECT_EQ(registry_->store_knowledge()->since, "");
  EXPECT_TRUE((*Registry::open(*kept))->find_model("org/old"));
}

TEST_F(StoreRows, ReplaceTakesADamagedFileAsideAndLeavesNoJournalForTheNewOne) {
  registry_.reset();
  mhub::test::write_file(dir_ / "registry.db", "not a database");
  mhub::test::write_file(dir_ / "registry.db-journal", "hot");
  const auto kept = Registry::replace(dir_ / "registry.db", {model_record("org/new", "2")});
  ASSERT_TRUE(kept) << kept.error().one_line();
  EXPECT_EQ(mhub::test::read_file(*kept), "not a database");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "registry.db-journal"));
  open();
  EXPECT_THAT(names({}), ElementsAre("org/new"));
}

}  // namespace
}  // namespace mhub::registry
