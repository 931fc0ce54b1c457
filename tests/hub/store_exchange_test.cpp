// SPDX-License-Identifier: Apache-2.0
#include "mhub/hub/store_exchange.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "mhub/hub/store_care.h"
#include "store/foreign_cache.h"
#include "store/tar.h"
#include "support/gguf_builder.h"
#include "transfer/download_fixture.h"

namespace mhub::hub {
namespace {
using namespace test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

uint64_t inode_of(const fs::path& file) {
  struct stat info {};
  return stat(file.c_str(), &info) == 0 ? info.st_ino : 0;
}

class Exchange : public DownloadTest {
 protected:
  AdoptReport adopted(const fs::path& root) {
    auto report = adopt(*library_, root, {});
    EXPECT_TRUE(report) << report.error().one_line();
    return report ? *report : AdoptReport();
  }
  // As huggingface_hub leaves it: blobs, links, ref.
  fs::path huggingface_cache(const std::string& weights) {
    const fs::path repository = dir_ / "hf/models--org--name";
    const std::string config = "{\"architectures\":[\"LlamaForCausalLM\"]}";
    const auto add = [&](const std::string& path, const std::string& etag, const std::string& content) {
      write_file(repository / "blobs" / etag, content);
      const fs::path link = repository / "snapshots" / kCommit / path;
      fs::create_directories(link.parent_path());
      fs::create_symlink(fs::path(path.find('/') == std::string::npos ? "../../blobs" : "../../../blobs") / etag, link);
    };
    add("config.json", mhub::test::git_sha1_of(config), config);
    add("sub/weights.bin", sha256_of("weights"), weights);
    write_file(repository / "refs/main", kCommit);
    return dir_ / "hf";
  }
  void expect_whole(const std::string& model) {
    const auto report = library_->verify(model, {});
    ASSERT_TRUE(report) << report.error().one_line();
    EXPECT_THAT(report->problems, IsEmpty());
  }
};

using Adopt = Exchange;

TEST_F(Adopt, AHuggingFaceCacheWithoutCopying) {
  const AdoptReport report = adopted(huggingface_cache("weights"));
  ASSERT_EQ(report.adopted.size(), 1u);
  EXPECT_THAT(report.refused, IsEmpty());
  EXPECT_EQ(report.bytes_copied, 0u);
  const auto row = library_->find("hf:org/name");
  ASSERT_TRUE(row);
  EXPECT_EQ(row->commit, kCommit);
  EXPECT_EQ(row->revision, "main");
  EXPECT_EQ(inode_of(fs::path(row->path) / "sub/weights.bin"),
            inode_of(dir_ / "hf/models--org--name/blobs" / sha256_of("weights")));
  expect_whole("hf:org/name");
  EXPECT_EQ(adopted(dir_ / "hf").already.size(), 1u);
  EXPECT_EQ(adopted(dir_ / "hf/models--org--name").already.size(), 1u);
}

TEST_F(Adopt, ABlobThatIsNotItsNameIsRefusedAndNothingIsRegistered) {
  const AdoptReport report = adopted(huggingface_cache("damaged"));
  EXPECT_THAT(report.adopted, IsEmpty());
  ASSERT_EQ(report.refused.size(), 1u);
  EXPECT_THAT(report.refused[0], HasSubstr("its cache says"));
  EXPECT_THAT(*library_->list(), IsEmpty());
  EXPECT_TRUE(fs::is_empty(config_.home / "partial"));
}

TEST_F(Adopt, BothModelScopeLayouts) {
  write_file(dir_ / "ms/models/org--new.er/snapshots/master/a.txt", "new");
  write_file(dir_ / "ms/models/org/old___er/b.txt", "old");
  write_file(dir_ / "ms/models/org/old___er/.msc", "pickle");
  write_file(dir_ / "ms/models/org/old___er/.mv", "Revision:v1.0,CreatedAt:1700000000");
  fs::create_symlink(dir_ / "ms/models/org/old___er", dir_ / "ms/models/org/old.er");
  const AdoptReport report = adopted(dir_ / "ms");
  EXPECT_THAT(report.refused, IsEmpty());
  ASSERT_EQ(report.adopted.size(), 2u);
  EXPECT_EQ(library_->find("ms:org/new.er")->revision, "master");
  EXPECT_EQ(library_->find("ms:org/old.er")->revision, "v1.0");
  EXPECT_EQ(library_->find("ms:org/old.er")->files.size(), 1u) << "not the client's bookkeeping";
}

TEST_F(Adopt, AnOllamaStoreAndServesItsManifestVerbatim) {
  const std::string gguf =
      mhub::test::GgufBuilder().text("general.architecture", "llama").tensor_f32("w", {4}, {1, 2, 3, 4}).build();
  const auto blob = [&](const std::string& content) {
    write_file(dir_ / "ollama/blobs" / ("sha256-" + sha256_of(content)), content);
    return "sha256:" + sha256_of(content);
  };
  const std::string manifest =
      R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":")" +
      blob("{}") + R"(","size":2},"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":")" +
      blob(gguf) + R"(","size":1},{"mediaType":"application/vnd.ollama.image.template","digest":")" +
      blob("{{ .Prompt }}") + R"(","size":13}]})";
  write_file(dir_ / "ollama/manifests/registry.ollama.ai/library/tiny/1b", manifest);
  const AdoptReport report = adopted(dir_ / "ollama");
  EXPECT_THAT(report.refused, IsEmpty());
  const auto row = library_->find("library/tiny");
  ASSERT_TRUE(row) << row.error().one_line();
  EXPECT_EQ(row->source, "ollama");
  EXPECT_EQ(row->format, "gguf");
  EXPECT_EQ(read_file(fs::path(row->path) / "tiny-1b.gguf"), gguf);
  EXPECT_EQ(read_file(fs::path(row->path) / "template"), "{{ .Prompt }}");
  EXPECT_EQ(read_file(fs::path(row->path) / "ollama-manifest.json"), manifest);
}

TEST_F(Adopt, HostileNamesAreRefusedAndOtherPlacesAreUsage) {
  write_file(dir_ / "ms/models/org--bad/snapshots/master/.git/config", "x");
  write_file(dir_ / "ms/models/org--bad/snapshots/master/-rf", "x");
  EXPECT_EQ(adopted(dir_ / "ms").refused.size(), 1u);
  EXPECT_THAT(*library_->list(), IsEmpty());
  write_file(dir_ / "empty/readme.txt", "nothing");
  EXPECT_EQ(adopt(*library_, dir_ / "empty", {}).error().code, ErrorCode::kUsage);
  EXPECT_FALSE(parse_ollama_manifest("{}", "a", "b"));
  EXPECT_FALSE(parse_ollama_manifest(R"({"layers":[{"digest":"sha256:../../x"}]})", "a", "b"));
  EXPECT_FALSE(parse_ollama_manifest(R"({"layers":[1]})", "a", "b"));
}

using Dedup = Exchange;

TEST_F(Dedup, AnotherHubsModelWithTheSameFilesIsLinkedNotFetched) {
  hub_.set_file("model.bin", random_bytes(1u << 20, 3));
  ASSERT_TRUE(download(from(Source::kModelScope)));
  const uint64_t before = hub_.body_bytes_sent();
  ASSERT_TRUE(download(from(Source::kHuggingFace)));
  EXPECT_EQ(hub_.body_bytes_sent(), before);
  const auto ms = library_->find("ms:org/name"), hf = library_->find("hf:org/name");
  EXPECT_NE(ms->path, hf->path);
  EXPECT_EQ(inode_of(fs::path(ms->path) / "model.bin"), inode_of(fs::path(hf->path) / "model.bin"));
  // The link moved the file's ctime: both rows know, so a warm run reads nothing.
  hub_.forget_requests();
  ASSERT_TRUE(download(from(Source::kModelScope)));
  ASSERT_TRUE(download(from(Source::kHuggingFace)));
  EXPECT_EQ(hub_.body_requests(), 0u);
  ASSERT_TRUE(library_->remove("hf:org/name"));
  expect_whole("ms:org/name");
}

TEST_F(Dedup, ADamagedFileIsNotSpread) {
  hub_.set_file("model.bin", random_bytes(1u << 20, 3));
  const auto first = download(from(Source::kModelScope));
  fs::resize_file(first->path / "model.bin", 100);
  const auto second = download(from(Source::kHuggingFace));
  ASSERT_TRUE(second);
  EXPECT_EQ(sha256_of(read_file(second->path / "model.bin")), sha256_of(hub_.content("model.bin")));
}

using Layouts = Exchange;

TEST_F(Layouts, OfBothClientsByLinks) {
  hub_.set_file("config.json", "{}");
  hub_.set_file("sub/model.bin", random_bytes(1000, 3));
  ASSERT_TRUE(download(from(Source::kHuggingFace)));
  const auto model = library_->find("org/name");
  const auto hf = expose(*library_, *model, CacheLayout::kHuggingFace, dir_ / "hub", {});
  ASSERT_TRUE(hf) << hf.error().one_line();
  EXPECT_EQ(*hf, dir_ / "hub/models--org--name/snapshots" / model->commit);
  EXPECT_EQ(read_file(*hf / "sub/model.bin"), hub_.content("sub/model.bin"));
  EXPECT_TRUE(fs::is_symlink(*hf / "sub/model.bin"));
  EXPECT_EQ(read_file(dir_ / "hub/models--org--name/refs/main"), model->commit);
  const auto ms = expose(*library_, *model, CacheLayout::kModelScope, dir_ / "cache", {});
  ASSERT_TRUE(ms) << ms.error().one_line();
  EXPECT_EQ(*ms, dir_ / "cache/models/org--name/snapshots/master");
  EXPECT_EQ(inode_of(*ms / "sub/model.bin"), inode_of(fs::path(model->path) / "sub/model.bin"));
  // Again, with fresh stat in the row; and the store's own view of its files is still true.
  ASSERT_TRUE(expose(*library_, *library_->find("org/name"), CacheLayout::kHuggingFace, dir_ / "hub", {}));
  hub_.forget_requests();
  ASSERT_TRUE(download(from(Source::kHuggingFace)));
  EXPECT_EQ(hub_.body_requests(), 0u);
  // What was shown can be adopted by another home.
  HubConfig other = config_;
  other.home = dir_ / "other";
  const auto library = ModelLibrary::open(other);
  EXPECT_EQ(adopt(**library, dir_ / "hub", {})->adopted.size(), 1u);
}

class Bundles : public Exchange {
 protected:
  Bundles() {
    hub_.set_file("config.json", "{}");
    hub_.set_file("model.bin", random_bytes(300'000, 3));
    EXPECT_TRUE(download(from(Source::kModelScope)));
    EXPECT_TRUE(download(from(Source::kHuggingFace)));
  }
  Result<BundleReport> import_elsewhere(const fs::path& file) {
    HubConfig other = config_;
    other.home = dir_ / "other";
    other_ = *ModelLibrary::open(other);
    return import_bundle(*other_, file, {});
  }
  std::unique_ptr<ModelLibrary> other_;
  const fs::path bundle_ = dir_ / "models.tar";
};

TEST_F(Bundles, CarryModelsWithEveryContentOnce) {
  const auto report = export_bundle(*library_, {"ms:org/name", "hf:org/name"}, bundle_, {});
  ASSERT_TRUE(report) << report.error().one_line();
  EXPECT_EQ(report->contents, 2u);
  EXPECT_LT(fs::file_size(bundle_), 320'000u);
  EXPECT_TRUE(is_bundle(bundle_));
  EXPECT_EQ(std::system(("tar tf " + bundle_.string() + " > " + (dir_ / "names").string()).c_str()), 0);
  EXPECT_THAT(read_file(dir_ / "names"), HasSubstr("files/" + sha256_of(hub_.content("model.bin"))));
  const auto imported = import_elsewhere(bundle_);
  ASSERT_TRUE(imported) << imported.error().one_line();
  EXPECT_EQ(imported->models.size(), 2u);
  for (const char* name : {"ms:org/name", "hf:org/name"}) {
    EXPECT_THAT(other_->verify(name, {})->problems, IsEmpty());
    EXPECT_EQ(other_->find(name)->commit, library_->find(name)->commit);
    EXPECT_TRUE(other_->find(name)->complete);
  }
  EXPECT_TRUE(fs::is_empty(dir_ / "other/partial"));
  EXPECT_THAT(collect_garbage(*other_, {})->removed, IsEmpty());
}

TEST_F(Bundles, ADamagedOneRegistersNothing) {
  ASSERT_TRUE(export_bundle(*library_, {"ms:org/name"}, bundle_, {}));
  const std::string good = read_file(bundle_);
  std::string flipped = good;
  flipped[good.size() / 2] ^= 1;
  for (const std::string& bad :
       {flipped, good.substr(0, good.size() / 2), good.substr(0, 700), std::string(512, '\0')}) {
    write_file(dir_ / "bad.tar", bad);
    const auto imported = import_elsewhere(dir_ / "bad.tar");
    ASSERT_FALSE(imported);
    EXPECT_EQ(imported.error().code, ErrorCode::kIntegrity);
    EXPECT_THAT(*other_->list(), IsEmpty());
    EXPECT_TRUE(fs::is_empty(dir_ / "other/partial"));
  }
}

TEST_F(Bundles, ADamagedModelIsNotExported) {
  std::fstream(fs::path(library_->find("ms:org/name")->path) / "model.bin", std::ios::in | std::ios::out) << "x";
  const auto report = export_bundle(*library_, {"ms:org/name"}, bundle_, {});
  EXPECT_EQ(report.error().code, ErrorCode::kIntegrity);
  EXPECT_FALSE(fs::exists(bundle_));
}

TEST_F(Bundles, HostileNamesInTheIndexAreRefused) {
  ASSERT_TRUE(export_bundle(*library_, {"ms:org/name"}, bundle_, {}));
  const std::string good = read_file(bundle_);
  for (const auto& [old_text, new_text] : {std::pair<std::string, std::string>{"config.json", "../x/y.json"},
                                           {"modelscope\\\"", "../../x/yy\\\""},
                                           {"org/name", "../../xx"}}) {
    std::string bad = good;
    size_t changed = 0;
    for (size_t at = 0; (at = bad.find(old_text, at)) != std::string::npos && at < 100'000;
         at += old_text.size(), ++changed) {
      ASSERT_EQ(old_text.size(), new_text.size());
      bad.replace(at, old_text.size(), new_text);
    }
    ASSERT_GT(changed, 0u) << old_text;
    write_file(dir_ / "bad.tar", bad);
    const auto imported = import_elsewhere(dir_ / "bad.tar");
    ASSERT_FALSE(imported) << old_text;
    EXPECT_EQ(imported.error().code, ErrorCode::kPolicy) << imported.error().one_line();
    EXPECT_THAT(*other_->list(), IsEmpty());
  }
}

TEST(Tar, SizesBeyondOctalAndWrongHeaders) {
  const TarEntry large{"files/x", uint64_t{100} << 30};
  const TarBlock block = tar_header(large);
  EXPECT_EQ((*parse_tar_header(block))->bytes, large.bytes);
  EXPECT_FALSE(*parse_tar_header(TarBlock{}));
  for (const size_t at : {0u, 124u, 148u, 156u, 257u}) {
    TarBlock bad = block;
    bad[at] = static_cast<char>(bad[at] + 1);
    EXPECT_FALSE(parse_tar_header(bad)) << at;
  }
}

}  // namespace
}  // namespace mhub::hub
