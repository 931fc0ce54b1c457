// SPDX-License-Identifier: Apache-2.0
#include "mhub/hub/store_care.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/layout.h"
#include "support/gguf_builder.h"
#include "transfer/download_fixture.h"

namespace mhub::hub {
namespace {
using namespace test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string gguf_file(float value) {
  return mhub::test::GgufBuilder()
      .text("general.architecture", "llama")
      .tensor_f32("token_embd.weight", {64, 16}, std::vector<float>(1024, value))
      .build();
}

class StoreCare : public DownloadTest {
 protected:
  registry::ModelRecord import(const std::string& name, float value) {
    write_file(dir_ / (name + ".gguf"), gguf_file(value));
    auto model = library_->import(dir_ / (name + ".gguf"), name);
    EXPECT_TRUE(model) << model.error().one_line();
    return *model;
  }
  RepairReport repaired(const std::string& model = "org/name") {
    auto report = repair(*library_, model, sink_, {});
    EXPECT_TRUE(report) << report.error().one_line();
    return report ? *report : RepairReport();
  }
  GcReport collected(const GcOptions& options = {}) {
    auto report = collect_garbage(*library_, options);
    EXPECT_TRUE(report) << report.error().one_line();
    return report ? *report : GcReport();
  }
  static std::vector<std::string> kinds(const std::vector<GcReport::Item>& items) {
    std::vector<std::string> found;
    for (const auto& item : items) found.push_back(item.kind + (item.name.empty() ? "" : " " + item.name));
    return found;
  }
  fs::path downloaded() {
    hub_.set_file("model.bin", random_bytes(kLarge, 3));
    hub_.set_file("config.json", "{}");
    return succeeds().path;
  }
  // Bytes turned over at these places, the file's size and time as before.
  static void damage(const fs::path& file, std::initializer_list<uint64_t> places) {
    const auto time = fs::last_write_time(file);
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    for (const uint64_t place : places) {
      stream.seekg(static_cast<std::streamoff>(place));
      const char byte = static_cast<char>(~stream.get());
      stream.seekp(static_cast<std::streamoff>(place));
      stream.put(byte);
    }
    stream.close();
    fs::last_write_time(file, time);
  }
};

using Repair = StoreCare;

TEST_F(Repair, FetchesOnlyTheExtentsThatAreBad) {
  const fs::path root = downloaded();
  damage(root / "model.bin", {5, 9u << 20});  // extents 0 and 2
  const uint64_t before = hub_.body_bytes_sent();
  const RepairReport report = repaired();
  EXPECT_THAT(report.repaired, ElementsAre("model.bin"));
  EXPECT_EQ(report.bytes_kept, kLarge - (8u << 20));
  EXPECT_EQ(hub_.body_bytes_sent() - before, 8u << 20);
  EXPECT_EQ(sha256_of(read_file(root / "model.bin")), sha256_of(hub_.content("model.bin")));
  EXPECT_THAT(library_->verify("org/name", {})->problems, IsEmpty());
  EXPECT_TRUE(fs::is_empty(config_.home / "partial"));
  EXPECT_TRUE(library_->find("org/name")->complete);
}

TEST_F(Repair, AShortOrMissingFileKeepsWhatIsGood) {
  const fs::path root = downloaded();
  fs::resize_file(root / "model.bin", (12u << 20) + 7);
  fs::remove(root / "config.json");
  const RepairReport report = repaired();
  EXPECT_THAT(report.repaired, ElementsAre("config.json", "model.bin"));
  EXPECT_EQ(report.bytes_kept, 12u << 20);
  EXPECT_THAT(library_->verify("org/name", {})->problems, IsEmpty());
}

TEST_F(Repair, AFileThatIsLinkedElsewhereIsNotTouchedThere) {
  const fs::path root = downloaded();
  damage(root / "model.bin", {5});
  fs::create_hard_link(root / "model.bin", dir_ / "mine");
  const std::string mine = sha256_of(read_file(dir_ / "mine"));
  EXPECT_EQ(repaired().bytes_kept, kLarge - (4u << 20));
  EXPECT_EQ(sha256_of(read_file(dir_ / "mine")), mine);
  EXPECT_EQ(sha256_of(read_file(root / "model.bin")), sha256_of(hub_.content("model.bin")));
}

TEST_F(Repair, AGoodModelAsksNobody) {
  downloaded();
  hub_.forget_requests();
  EXPECT_THAT(repaired().repaired, IsEmpty());
  EXPECT_THAT(hub_.requests(), IsEmpty());
}

TEST_F(Repair, AVanishedDirectoryComesBackWhole) {
  const fs::path root = downloaded();
  fs::remove_all(root);
  EXPECT_EQ(repaired().repaired.size(), 2u);
  EXPECT_THAT(library_->verify("org/name", {})->problems, IsEmpty());
}

TEST_F(Repair, SaysWhatItCannotMend) {
  const fs::path root = downloaded();
  write_file(root / "extra", "x");
  const RepairReport report = repaired();
  EXPECT_THAT(report.repaired, IsEmpty());
  ASSERT_EQ(report.left.size(), 1u);
  EXPECT_EQ(report.left[0].path, "extra");

  const auto local = import("local", 1);
  damage(fs::path(local.path) / "local.gguf", {40});
  EXPECT_EQ(repair(*library_, "local", sink_, {}).error().code, ErrorCode::kIntegrity);
}

TEST_F(Repair, AHubWithOtherBytesNowIsRefusedAndTheDamageStaysVisible) {
  const fs::path root = downloaded();
  damage(root / "model.bin", {5});
  hub_.set_commit("9999999999999999999999999999999999999999");
  hub_.set_file("model.bin", random_bytes(kLarge, 4));
  const auto refused = repair(*library_, "org/name", sink_, {});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(fs::exists(root / "model.bin"));
  EXPECT_EQ(library_->verify("org/name", {})->problems.size(), 1u);
}

using Gc = StoreCare;

TEST_F(Gc, RemovesDeadPartialsLeftoversAndExtraFilesOnly) {
  const auto kept = import("kept", 1);
  const fs::path home = config_.home;
  write_file(home / "partial/download-0123456789abcdef01234567/lock", "");
  write_file(home / "partial/download-0123456789abcdef01234567/dead-999999999-1/x.part", std::string(1000, 'x'));
  write_file(home / "partial/import-999999999-abcdef/x", "y");
  write_file(home / ("partial/import-" + std::to_string(getpid()) + "-abcdef/x"), "mine");
  const fs::path leftover = home / "models/local/local/old/0123456789012345678901234567890123456789";
  write_file(leftover / "a.gguf", std::string(500, 'a'));
  write_file(fs::path(kept.path) / "extra.bin", "e");

  GcOptions dry;
  dry.dry_run = true;
  const GcReport plan = collected(dry);
  EXPECT_THAT(kinds(plan.removed), ElementsAre("partial", "partial", "unregistered local/old", "extra local/kept"));
  EXPECT_EQ(plan.freed_bytes(), 1000u + 1 + 500 + 1);
  EXPECT_TRUE(fs::exists(leftover / "a.gguf"));

  const GcReport report = collected();
  EXPECT_EQ(kinds(report.removed), kinds(plan.removed));
  EXPECT_EQ(report.freed_bytes(), plan.freed_bytes());
  EXPECT_THAT(kinds(report.busy), ElementsAre("partial"));
  EXPECT_FALSE(fs::exists(home / "models/local/local/old")) << "with its empty parents";
  EXPECT_FALSE(fs::exists(fs::path(kept.path) / "extra.bin"));
  EXPECT_EQ(std::distance(fs::directory_iterator(home / "partial"), {}), 1);
  EXPECT_THAT(library_->verify("kept", {})->problems, IsEmpty());
  EXPECT_THAT(collected().removed, IsEmpty());
}

TEST_F(Gc, LeavesADownloadThatIsUnderWay) {
  import("other", 1);
  const std::string commit(40, 'c');
  const fs::path target = config_.home / "models/modelscope/org/name" / commit;
  write_file(target / "config.json", "{}");
  const fs::path root = StoreLayout(config_.home).download_root("modelscope", "org/name", commit);
  write_file(root / "lock", "");
  const int fd = open((root / "lock").c_str(), O_RDWR);
  ASSERT_EQ(flock(fd, LOCK_EX), 0);
  const GcReport report = collected();
  EXPECT_THAT(report.removed, IsEmpty());
  EXPECT_THAT(kinds(report.busy), ElementsAre("partial", "unregistered org/name"));
  close(fd);
  EXPECT_EQ(collected().removed.size(), 2u);
  EXPECT_FALSE(fs::exists(target));
}

TEST_F(Gc, RefusesWhenTheRegistryMayNotKnowTheStore) {
  import("one", 1);
  library_.reset();
  fs::remove(config_.home / "registry.db");
  reopen();
  auto refused = collect_garbage(*library_, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kRegistry);
  EXPECT_THAT(refused.error().hint, HasSubstr("mhub registry rebuild"));
  import("two", 2);  // no longer empty, but "one" was there before
  EXPECT_EQ(collect_garbage(*library_, {}).error().code, ErrorCode::kRegistry);
  library_.reset();
  const auto rebuilt = rebuild_registry(config_, {});
  ASSERT_TRUE(rebuilt) << rebuilt.error().one_line();
  EXPECT_EQ(rebuilt->models.size(), 2u);
  reopen();
  EXPECT_THAT(collected().removed, IsEmpty());
  EXPECT_THAT(library_->verify("one", {})->problems, IsEmpty());
}

TEST_F(Gc, AgeAndSizeTakeTheLeastRecentlyUsedButNotPinnedOrLeased) {
  const auto one = import("one", 1), two = import("two", 2), three = import("three", 3), four = import("four", 4);
  for (const char* name : {"one", "two", "three", "four"}) fs::remove(dir_ / (std::string(name) + ".gguf"));
  ASSERT_TRUE(set_pinned(*library_, "one", true));
  ASSERT_TRUE(library_->registry().touch_model(two.id));
  const auto lease = lease_model(*library_, three);
  ASSERT_TRUE(lease);
  EXPECT_THAT(collected({.dry_run = true, .older_than_seconds = 3600, .max_bytes = {}}).removed, IsEmpty());
  const GcReport all = collected({.dry_run = true, .older_than_seconds = 0, .max_bytes = {}});
  EXPECT_THAT(kinds(all.removed), ElementsAre("model local/four", "model local/two"));
  EXPECT_THAT(kinds(all.busy), ElementsAre("model local/three"));
  const uint64_t size = four.total_bytes();
  const GcReport report = collected({.dry_run = false, .older_than_seconds = {}, .max_bytes = 3 * size});
  EXPECT_THAT(kinds(report.removed), ElementsAre("model local/four"));
  EXPECT_EQ(report.freed_bytes(), size);
  EXPECT_EQ(library_->list()->size(), 3u);
}

TEST_F(Gc, WhatIsRegisteredAnywhereBelowStays) {
  hub_.set_file("model.bin", random_bytes(10'000, 7));
  DownloadOptions options;
  options.local_dir = config_.home / "models/mine/a/b/c/deeper/than/others";
  ASSERT_TRUE(download(options));
  EXPECT_THAT(collected().removed, IsEmpty());
  EXPECT_TRUE(fs::exists(options.local_dir / "model.bin"));
}

TEST_F(Gc, SizeTakesNoModelThatFreesNothing) {
  // The two oldest share their file; a pinned one shares another with the third; the fourth has its own.
  const auto one = import("one", 1), twin = import("twin", 1), three = import("three", 3), held = import("held", 3);
  const auto four = import("four", 4);
  for (const char* name : {"one", "twin", "three", "held", "four"}) fs::remove(dir_ / (std::string(name) + ".gguf"));
  const auto share = [](const auto& model, const auto& with) {
    const fs::path file = fs::path(model.path) / model.files.front().path;
    fs::remove(file);
    fs::create_hard_link(fs::path(with.path) / with.files.front().path, file);
  };
  share(twin, one);
  share(three, held);
  ASSERT_TRUE(set_pinned(*library_, "held", true));
  const uint64_t size = four.total_bytes();
  // Three contents lie here; one must go: that of the fourth, which alone gives something back.
  const GcReport one_goes = collected({.dry_run = true, .older_than_seconds = {}, .max_bytes = 2 * size});
  EXPECT_THAT(kinds(one_goes.removed), ElementsAre("model local/four"));
  const GcReport most = collected({.dry_run = false, .older_than_seconds = {}, .max_bytes = 0});
  EXPECT_THAT(kinds(most.removed), ElementsAre("model local/four", "model local/one", "model local/twin"));
  EXPECT_EQ(library_->list()->size(), 2u) << "the third shares its only file with a pinned one";
}

using Leases = StoreCare;

TEST_F(Leases, RmRefusesWhileAProcessHoldsOneAndNotAfterItWasKilled) {
  const auto model = import("mine", 1);
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto library = ModelLibrary::open(config_);
    const auto lease = lease_model(**library, model);
    if (!lease || write(ready[1], "x", 1) != 1) _exit(1);
    pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const auto refused = library_->remove("mine");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPolicy);
  EXPECT_THAT(refused.error().message, HasSubstr(std::to_string(child)));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(library_->remove("mine"));
  EXPECT_FALSE(fs::exists(model.path));
  EXPECT_TRUE(fs::is_empty(config_.home / "leases"));
  EXPECT_TRUE(fs::is_empty(config_.home / "manifests"));
}

using Names = StoreCare;

TEST_F(Names, AliasesAreCheckedAndMove) {
  import("one", 1);
  import("two", 2);
  ASSERT_TRUE(set_alias(*library_, "one", "chat"));
  EXPECT_EQ(library_->find("chat")->name, "local/one");
  ASSERT_TRUE(set_alias(*library_, "two", "chat"));
  EXPECT_EQ(library_->find("chat")->name, "local/two");
  for (const std::string bad : {"", "a/b", "-x", ".x", "a b", "ms:x", "a\n", "x@y"}) {
    EXPECT_EQ(set_alias(*library_, "one", bad).error().code, ErrorCode::kUsage) << bad;
  }
  EXPECT_EQ(set_alias(*library_, "none", "x").error().code, ErrorCode::kModelNotFound);
  ASSERT_TRUE(remove_alias(*library_, "chat"));
  EXPECT_EQ(remove_alias(*library_, "chat").error().code, ErrorCode::kModelNotFound);
}

using Rebuild = StoreCare;

TEST_F(Rebuild, MakesTheSameRowsFromManifestsWithoutReadingFiles) {
  const fs::path root = downloaded();
  import("mine", 1);
  ASSERT_TRUE(set_alias(*library_, "mine", "demo"));
  ASSERT_TRUE(set_pinned(*library_, "mine", true));
  DownloadOptions elsewhere = from(Source::kHuggingFace);
  elsewhere.local_dir = dir_ / "elsewhere";
  ASSERT_TRUE(download(elsewhere));
  library_.reset();
  write_file(config_.home / "registry.db", "damage");
  const auto report = rebuild_registry(config_, {});
  ASSERT_TRUE(report) << report.error().one_line();
  EXPECT_EQ(report->from_manifest, 3u);
  EXPECT_EQ(report->hashed, 0u);
  EXPECT_EQ(read_file(report->old_registry), "damage");
  reopen();
  EXPECT_EQ(library_->list()->size(), 3u);
  EXPECT_EQ(library_->find("demo")->name, "local/mine");
  EXPECT_TRUE(library_->find("demo")->pinned);
  EXPECT_TRUE(library_->find("ms:org/name")->complete);
  EXPECT_EQ(library_->find("hf:org/name")->path, (dir_ / "elsewhere").string());
  damage(root / "model.bin", {5});
  EXPECT_EQ(repaired("ms:org/name").bytes_kept, kLarge - (4u << 20)) << "extent hashes came back too";
}

TEST_F(Rebuild, DatasetsComeBackAndGcLeavesThem) {
  hub_.set_file("model.bin", random_bytes(300'000, 7));
  DownloadOptions dataset = from(Source::kHuggingFace);
  dataset.repo_type = RepoType::kDataset;
  const auto done = download(dataset);
  ASSERT_TRUE(done) << done.error().one_line();
  EXPECT_THAT(collected().removed, IsEmpty());
  ASSERT_TRUE(fs::exists(done->path / "model.bin")) << "what is registered stays";
  for (const bool with_manifest : {true, false}) {
    library_.reset();
    fs::remove(config_.home / "registry.db");
    if (!with_manifest) fs::remove_all(config_.home / "manifests");
    const auto report = rebuild_registry(config_, {});
    ASSERT_TRUE(report) << report.error().one_line();
    EXPECT_EQ(report->from_manifest + report->hashed, 1u);
    reopen();
    const auto found = library_->list();
    ASSERT_EQ(found->size(), 1u);
    EXPECT_EQ(found->front().name, "datasets/org/name");
    EXPECT_EQ(found->front().path, done->path.string());
    EXPECT_EQ(found->front().commit, std::string(40, 'c'));
    EXPECT_THAT(collected().removed, IsEmpty());
  }
}

TEST_F(Rebuild, HashesWhereThereIsNoManifestAndLeavesOutWhatIsNotAsRecorded) {
  const fs::path root = downloaded();
  const auto mine = import("mine", 1), bad = import("bad", 2);
  damage(fs::path(bad.path) / "bad.gguf", {60});
  fs::last_write_time(fs::path(bad.path) / "bad.gguf", fs::file_time_type::clock::now());
  library_.reset();
  fs::remove(config_.home / "registry.db");
  for (const auto& entry : fs::directory_iterator(config_.home / "manifests")) {
    if (read_file(entry.path()).find("local/bad") == std::string::npos) fs::remove(entry.path());
  }
  write_file(config_.home / "models/local/local/odd/0123456789012345678901234567890123456789/.git/x", "hostile");
  const auto report = rebuild_registry(config_, {});
  ASSERT_TRUE(report) << report.error().one_line();
  EXPECT_EQ(report->hashed, 2u);
  EXPECT_EQ(report->skipped.size(), 2u);
  reopen();
  const auto found = library_->find("org/name");
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->complete) << "nothing says what the listing had";
  EXPECT_EQ(library_->find("mine")->commit, mine.commit);
  hub_.forget_requests();
  ASSERT_TRUE(download());
  EXPECT_EQ(hub_.body_requests(), 0u);
  EXPECT_TRUE(library_->find("org/name")->complete);
}

TEST_F(Rebuild, RefusesANewerRegistry) {
  import("mine", 1);
  library_.reset();
  {
    std::fstream file(config_.home / "registry.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(60);  // user_version, big-endian
    file.write("\0\0\0\x63", 4);
  }
  const std::string before = read_file(config_.home / "registry.db");
  EXPECT_EQ(rebuild_registry(config_, {}).error().code, ErrorCode::kRegistry);
  EXPECT_EQ(read_file(config_.home / "registry.db"), before);
}

using Use = StoreCare;

TEST_F(Use, CountsSharedFilesOnceAndSaysWhatAModelWouldGiveBack) {
  const auto one = import("one", 1);
  fs::remove(dir_ / "one.gguf");
  import("two", 2);  // its source is still linked
  write_file(config_.home / "partial/new-1-abc/x", std::string(77, 'x'));
  const auto use = disk_use(*library_);
  ASSERT_TRUE(use) << use.error().one_line();
  ASSERT_EQ(use->models.size(), 2u);
  EXPECT_EQ(use->models[0].exclusive_bytes, one.total_bytes());
  EXPECT_EQ(use->models[1].exclusive_bytes, 0u);
  EXPECT_EQ(use->models_bytes, 2 * one.total_bytes());
  EXPECT_EQ(use->partial_bytes, 77u);
  EXPECT_EQ(use->unregistered_bytes, 0u);
  EXPECT_GT(use->free_bytes, 0u);
}

}  // namespace
}  // namespace mhub::hub
