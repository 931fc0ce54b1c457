// SPDX-License-Identifier: Apache-2.0
#include "mhub/registry/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "records.h"
#include "support/temp_dir.h"

namespace mhub::registry {
namespace {
using mhub::test::TempDir;
using test::file_record;
using test::model_record;
using ::testing::ElementsAre;

class RegistryTest : public ::testing::Test {
 protected:
  RegistryTest() {
    auto opened = Registry::open(file_);
    if (!opened) throw std::runtime_error(opened.error().one_line());
    registry_ = *std::move(opened);
  }
  int64_t put(const ModelRecord& model) {
    auto id = registry_->put_model(model);
    EXPECT_TRUE(id) << id.error().one_line();
    return id ? *id : -1;
  }
  std::string commit_of(const std::string& name) {
    auto found = registry_->find_model(name);
    return found ? found->commit : "error: " + found.error().message;
  }
  TempDir dir_;
  std::filesystem::path file_ = dir_ / "home/registry.db";
  std::unique_ptr<Registry> registry_;
};

TEST_F(RegistryTest, KeepsEveryField) {
  ModelRecord model = model_record("org/name", "c0ffee0123");
  model.in_store = false;
  model.complete = false;
  model.card_json = R"({"perplexity":{}})";
  model.aliases = {"demo", "other"};
  const int64_t id = put(model);
  const auto found = registry_->find_model("org/name");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, id);
  EXPECT_EQ(found->source, model.source);
  EXPECT_EQ(found->endpoint, model.endpoint);
  EXPECT_EQ(found->revision, model.revision);
  EXPECT_EQ(found->commit, model.commit);
  EXPECT_EQ(found->path, model.path);
  EXPECT_FALSE(found->in_store);
  EXPECT_FALSE(found->complete);
  EXPECT_EQ(found->format, model.format);
  EXPECT_EQ(found->quantization, model.quantization);
  EXPECT_EQ(found->architecture, model.architecture);
  EXPECT_EQ(found->card_json, model.card_json);
  EXPECT_EQ(found->created_at, model.created_at);
  EXPECT_THAT(found->aliases, ElementsAre("demo", "other"));
  ASSERT_EQ(found->files.size(), 2u);
  const FileRecord expected = file_record("config.json", 700);
  EXPECT_EQ(found->files[0].path, expected.path);
  EXPECT_EQ(found->files[0].bytes, expected.bytes);
  EXPECT_EQ(found->files[0].sha256, expected.sha256);
  EXPECT_EQ(found->files[0].git_sha1, expected.git_sha1);
  EXPECT_EQ(found->files[0].verified_at, expected.verified_at);
  EXPECT_EQ(found->files[0].inode, expected.inode);
  EXPECT_EQ(found->files[0].mtime_ns, expected.mtime_ns);
  EXPECT_EQ(found->files[0].ctime_ns, expected.ctime_ns);
  EXPECT_EQ(found->total_bytes(), 700u + (1u << 20));
}

TEST_F(RegistryTest, PutReplacesTheSameKeyAndKeepsItsIdAndAliases) {
  ModelRecord model = model_record("org/name", "c1");
  model.aliases = {"demo"};
  const int64_t id = put(model);
  model.aliases.clear();
  model.files = {file_record("only.json", 1)};
  model.complete = false;
  EXPECT_EQ(put(model), id);
  const auto models = registry_->list_models(true);
  ASSERT_TRUE(models);
  ASSERT_EQ(models->size(), 1u);
  ASSERT_EQ((*models)[0].files.size(), 1u);
  EXPECT_EQ((*models)[0].files[0].path, "only.json");
  EXPECT_THAT((*models)[0].aliases, ElementsAre("demo"));
}

TEST_F(RegistryTest, AnAliasMovesToTheModelPutLast) {
  ModelRecord first = model_record("org/a", "c1"), second = model_record("org/b", "c2");
  first.aliases = second.aliases = {"demo"};
  put(first);
  put(second);
  EXPECT_EQ(commit_of("demo"), "c2");
  EXPECT_TRUE(registry_->find_model("org/a")->aliases.empty());
}

TEST_F(RegistryTest, FindsNewestRevisionCommitAndCommitPrefix) {
  ModelRecord old_one = model_record("org/name", "1111111aaaa"), new_one = model_record("org/name", "2222222bbbb");
  old_one.revision = "v1";
  new_one.created_at = "2026-11-25T10:00:00.001Z";
  put(new_one);
  put(old_one);
  EXPECT_EQ(commit_of("org/name"), new_one.commit);
  EXPECT_EQ(commit_of("org/name@v1"), old_one.commit);
  EXPECT_EQ(commit_of("org/name@1111111aaaa"), old_one.commit);
  EXPECT_EQ(commit_of("org/name@1111111"), old_one.commit);
  EXPECT_THAT(commit_of("org/name@111111"), ::testing::StartsWith("error"));  // shorter than any commit prefix
  EXPECT_THAT(commit_of("org/name@v2"), ::testing::StartsWith("error"));
}

TEST_F(RegistryTest, ListIsSortedByNameNewestFirst) {
  ModelRecord newer = model_record("org/b", "c2");
  newer.created_at = "2027-01-01T00:00:00.000Z";
  put(model_record("org/b", "c1"));
  put(newer);
  put(model_record("org/a", "c0"));
  std::vector<std::string> commits;
  const auto models = registry_->list_models(false);
  ASSERT_TRUE(models);
  for (const auto& model : *models) {
    commits.push_back(model.commit);
    EXPECT_TRUE(model.files.empty());
  }
  EXPECT_THAT(commits, ElementsAre("c0", "c2", "c1"));
}

TEST_F(RegistryTest, FindExactSeesOnlyTheWholeKey) {
  const ModelRecord model = model_record("org/name", "c1");
  put(model);
  EXPECT_TRUE(registry_->find_exact(model.source, model.name, model.commit, model.path)->has_value());
  EXPECT_FALSE(registry_->find_exact("huggingface", model.name, model.commit, model.path)->has_value());
  EXPECT_FALSE(registry_->find_exact(model.source, model.name, "c2", model.path)->has_value());
  EXPECT_FALSE(registry_->find_exact(model.source, model.name, model.commit, "/else")->has_value());
}

TEST_F(RegistryTest, RemoveTakesFilesAndAliasesAlong) {
  ModelRecord model = model_record("org/name", "c1");
  model.aliases = {"demo"};
  const int64_t id = put(model);
  ASSERT_TRUE(registry_->remove_model(id));
  EXPECT_EQ(registry_->find_model("org/name").error().code, ErrorCode::kModelNotFound);
  EXPECT_EQ(registry_->find_model("demo").error().code, ErrorCode::kModelNotFound);
  EXPECT_EQ(registry_->remove_model(id).error().code, ErrorCode::kModelNotFound);
  const int64_t again = put(model_record("org/new", "c2"));
  EXPECT_EQ(registry_->find_model("org/new")->files.size(), 2u)
      << "rows of model " << id << " and " << again << " mixed";
}

TEST_F(RegistryTest, UpdatesStatsOfUnchangedContentOnly) {
  const int64_t id = put(model_record("org/name", "c1"));
  FileRecord good = file_record("config.json", 700), other = file_record("model.safetensors", 1);
  good.inode = 7;
  good.verified_at = "2027-01-01T00:00:00.000Z";
  other.inode = 8;
  other.sha256 = std::string(64, 'c');
  ASSERT_TRUE(registry_->update_file_stats(id, {good, other}));
  const std::vector<FileRecord> files = registry_->find_model("org/name")->files;
  EXPECT_EQ(files[0].inode, 7u);
  EXPECT_EQ(files[0].verified_at, good.verified_at);
  EXPECT_NE(files[1].inode, 8u);
}

TEST_F(RegistryTest, HostileTextIsOnlyText) {
  const std::vector<std::string> names = {"a'; DROP TABLE models; --", std::string("nul\0inside", 10), "100%_?*[x]",
                                          "\xFF\xFE not utf-8",        std::string(1 << 20, 'x'),      "\"quoted\"",
                                          "\xE5\x8C\x97\xE4\xBA\xAC"};
  for (const auto& name : names) put(model_record(name, "c1"));
  for (const auto& name : names) {
    const auto found = registry_->find_model(name);
    ASSERT_TRUE(found) << printable(name);
    EXPECT_EQ(found->name, name);
  }
  EXPECT_EQ(registry_->find_model("%").error().code, ErrorCode::kModelNotFound);
  EXPECT_EQ(registry_->list_models(false)->size(), names.size());
}

TEST_F(RegistryTest, AFailedPutChangesNothing) {
  ModelRecord model = model_record("org/name", "c1");
  put(model);
  model.revision = "changed";
  model.files.push_back(model.files.front());  // the same path twice breaks the primary key
  EXPECT_FALSE(registry_->put_model(model));
  EXPECT_EQ(registry_->find_model("org/name")->revision, "master");
  EXPECT_EQ(registry_->find_model("org/name")->files.size(), 2u);
}

TEST(RegistryFile, IsPrivateUnderAnyUmask) {
  const TempDir dir;
  const auto file = dir / "deep/home/registry.db";
  const mode_t before = umask(0);
  {
    auto registry = Registry::open(file);
    ASSERT_TRUE(registry);
    ASSERT_TRUE((*registry)->put_model(model_record("org/name", "c1")));
  }
  umask(before);
  for (const auto& entry : std::filesystem::directory_iterator(file.parent_path())) {
    struct stat info {};
    ASSERT_EQ(stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << entry.path();
  }
  struct stat info {};
  ASSERT_EQ(stat(file.parent_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST(RegistryFile, WhatWasPutIsThereInTheNextOpen) {
  const TempDir dir;
  ASSERT_TRUE((*Registry::open(dir / "r.db"))->put_model(model_record("org/name", "c1")));
  EXPECT_TRUE((*Registry::open(dir / "r.db"))->find_model("org/name"));
}

}  // namespace
}  // namespace mhub::registry
