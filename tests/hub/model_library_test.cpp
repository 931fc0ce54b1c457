// SPDX-License-Identifier: Apache-2.0
#include "mhub/hub/model_library.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "library_fixture.h"

namespace mhub::hub {
namespace {
using namespace test;
using ::testing::HasSubstr;

class Find : public LibraryTest {
 protected:
  // A row of a hub without files behind it.
  int64_t put(const std::string& source, const std::string& name, const std::string& commit,
              const std::string& created, bool complete = true) {
    registry::ModelRecord model;
    model.complete = complete;
    model.name = name;
    model.source = source;
    model.endpoint = source == "modelscope" ? "https://modelscope.cn" : "http://127.0.0.1:8090";
    model.revision = source == "modelscope" ? "master" : "main";
    model.commit = commit;
    model.path = "/store/" + source + "/" + name + "/" + commit;
    model.created_at = created;
    return *library_->registry().put_model(model);
  }
  std::string commit_of(const std::string& model) {
    auto found = library_->find(model);
    return found ? found->commit : "error: " + found.error().message;
  }
};

TEST_F(Find, ByNameSourceEndpointRevisionAndCommit) {
  put("modelscope", "org/name", "1111111111", "2026-01-01T00:00:00.000Z");
  put("huggingface", "org/name", "2222222222", "2026-01-02T00:00:00.000Z");
  EXPECT_EQ(commit_of("org/name"), "2222222222") << "the newest";
  EXPECT_EQ(commit_of("ms:org/name"), "1111111111");
  EXPECT_EQ(commit_of("hf:org/name"), "2222222222");
  EXPECT_EQ(commit_of("org/name@master"), "1111111111");
  EXPECT_EQ(commit_of("ms:org/name@master"), "1111111111");
  EXPECT_EQ(commit_of("hf:org/name@2222222"), "2222222222");
  EXPECT_EQ(commit_of("http://127.0.0.1:8090/org/name"), "2222222222");
  EXPECT_EQ(find_code("http://127.0.0.1:1/org/name"), ErrorCode::kModelNotFound);
  EXPECT_EQ(find_code("ms:org/name@main"), ErrorCode::kModelNotFound);
  EXPECT_EQ(find_code("org/other"), ErrorCode::kModelNotFound);
}

TEST_F(Find, AWholeModelBeforeANewerOneOfSomeFiles) {
  put("modelscope", "org/name", "1111111111", "2026-01-01T00:00:00.000Z");
  put("huggingface", "org/name", "2222222222", "2026-01-02T00:00:00.000Z", false);
  EXPECT_EQ(commit_of("org/name"), "1111111111");
  EXPECT_EQ(commit_of("hf:org/name"), "2222222222");
}

TEST_F(Find, TheOrganisationMayBeLeftOutWhereThatIsUnique) {
  put("modelscope", "one/alpha", "1", "2026-01-01T00:00:00.000Z");
  put("modelscope", "one/beta", "2", "2026-01-01T00:00:00.000Z");
  put("modelscope", "two/beta", "3", "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(commit_of("alpha"), "1");
  EXPECT_EQ(commit_of("alpha@master"), "1");
  EXPECT_EQ(find_code("pha"), ErrorCode::kModelNotFound);
  EXPECT_THAT(commit_of("beta"), ::testing::AllOf(HasSubstr("one/beta"), HasSubstr("two/beta")));
}

TEST_F(Find, ByAlias) {
  registry::ModelRecord model;
  model.name = "org/name";
  model.source = "local";
  model.path = "/x";
  model.commit = "1";
  model.aliases = {"demo"};
  ASSERT_TRUE(library_->registry().put_model(model));
  EXPECT_EQ(commit_of("demo"), "1");
}

TEST_F(Find, ByPathOfARegisteredModelOrOfAnyOther) {
  write_model_directory(dir_ / "source");
  write_file(dir_ / "tiny.gguf", gguf_file());
  const auto model = import(dir_ / "source", "mine");
  const auto gguf = import(dir_ / "tiny.gguf", "tiny");
  EXPECT_EQ(library_->find(model.path)->id, model.id);
  EXPECT_EQ(library_->find(model.path)->files.size(), 3u);
  EXPECT_EQ(library_->find(gguf.path + "/tiny.gguf")->id, gguf.id);

  const auto directory = library_->find((dir_ / "source").string());
  ASSERT_TRUE(directory);
  EXPECT_EQ(directory->id, 0);
  EXPECT_EQ(directory->format, "safetensors");
  EXPECT_EQ(directory->path, (dir_ / "source").string());
  const auto file = library_->find((dir_ / "tiny.gguf").string());
  ASSERT_TRUE(file);
  EXPECT_EQ(file->name, "tiny");
  EXPECT_EQ(file->path, (dir_ / "tiny.gguf").string());
  EXPECT_EQ(find_code((dir_ / "none").string()), ErrorCode::kModelNotFound);
  EXPECT_EQ(find_code("./none.gguf"), ErrorCode::kModelNotFound);
  write_file(dir_ / "text.gguf", "no model");
  EXPECT_EQ(find_code((dir_ / "text.gguf").string()), ErrorCode::kBadModel);
}

TEST_F(Find, HostileTextIsNotFound) {
  for (const std::string text : {"", "'; DROP TABLE models", "a\nb", "%", "*"}) {
    EXPECT_EQ(find_code(text), ErrorCode::kModelNotFound) << text;
  }
}

using Verify = LibraryTest;

TEST_F(Verify, SeesEveryKindOfDamage) {
  write_model_directory(dir_ / "source");
  const auto model = import(dir_ / "source", "mine");
  const fs::path root = model.path;
  const auto flip = [&](const fs::path& file) {  // same size, one bit; not through the hard link
    std::string content = read_file(file);
    content.back() ^= 1;
    fs::remove(file);
    write_file(file, content);
  };
  flip(root / "model.safetensors");
  fs::remove(root / "config.json");
  fs::remove(root / "onnx/notes.txt");
  write_file(root / "onnx/notes.txt", "longer notes");
  write_file(root / "extra.txt", "x");
  const auto report = library_->verify("mine", {});
  ASSERT_TRUE(report) << report.error().one_line();
  EXPECT_EQ(report->files, 3u);
  std::vector<std::string> found;
  for (const auto& problem : report->problems) found.push_back(problem.path + ": " + problem.what);
  EXPECT_THAT(found, ::testing::ElementsAre("config.json: missing", HasSubstr("extra.txt: extra"),
                                            HasSubstr("model.safetensors: damaged: sha256"),
                                            HasSubstr("onnx/notes.txt: damaged: 12 bytes, expected 5")));
}

TEST_F(Verify, ALinkOrDirectoryInPlaceOfAFileIsDamage) {
  write_model_directory(dir_ / "source");
  const fs::path root = import(dir_ / "source", "mine").path;
  fs::remove(root / "config.json");
  fs::create_symlink(dir_ / "source/config.json", root / "config.json");
  fs::remove(root / "model.safetensors");
  fs::create_directory(root / "model.safetensors");
  EXPECT_EQ(library_->verify("mine", {})->problems.size(), 2u);
}

TEST_F(Verify, AVanishedDirectoryIsOneProblem) {
  write_model_directory(dir_ / "source");
  const auto model = import(dir_ / "source", "mine");
  fs::remove_all(model.path);
  const auto report = library_->verify("mine", {});
  ASSERT_TRUE(report);
  ASSERT_EQ(report->problems.size(), 1u);
  EXPECT_THAT(report->problems[0].what, HasSubstr("missing"));
}

TEST_F(Verify, RefreshesTheRowsOfGoodFiles) {
  write_model_directory(dir_ / "source");
  const auto model = import(dir_ / "source", "mine");
  fs::last_write_time(fs::path(model.path) / "config.json", fs::file_time_type::clock::now() + std::chrono::hours(1));
  ASSERT_TRUE(library_->verify("mine", {}));
  const auto after = library_->find("mine");
  ASSERT_TRUE(after);
  EXPECT_NE(after->files[0].mtime_ns, model.files[0].mtime_ns);
  EXPECT_GE(after->files[0].verified_at, model.files[0].verified_at);
}

TEST_F(Verify, UnregisteredAndInterrupted) {
  write_model_directory(dir_ / "source");
  EXPECT_EQ(library_->verify((dir_ / "source").string(), {}).error().code, ErrorCode::kModelNotFound);
  import(dir_ / "source", "mine");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(library_->verify("mine", stop.get_token()).error().code, ErrorCode::kInterrupted);
}

using Remove = LibraryTest;

TEST_F(Remove, TakesRowFilesAndEmptyDirectories) {
  write_model_directory(dir_ / "one", 1);
  write_model_directory(dir_ / "two", 2);
  const auto first = import(dir_ / "one", "mine"), second = import(dir_ / "two", "mine");
  const auto removed = library_->remove("mine");
  ASSERT_TRUE(removed) << removed.error().one_line();
  EXPECT_EQ(removed->model.commit, second.commit);
  EXPECT_TRUE(removed->files_deleted);
  EXPECT_FALSE(fs::exists(second.path));
  EXPECT_TRUE(fs::exists(first.path)) << "the other commit stays";
  ASSERT_TRUE(library_->remove("mine"));
  EXPECT_TRUE(fs::exists(config_.home / "models"));
  EXPECT_TRUE(fs::is_empty(config_.home / "models"));
  EXPECT_TRUE(partial_is_empty());
  EXPECT_TRUE(fs::exists(dir_ / "one/config.json")) << "the import's source is not ours";
  EXPECT_EQ(library_->remove("mine").error().code, ErrorCode::kModelNotFound);
}

TEST_F(Remove, NeverDeletesOutsideTheStore) {
  write_model_directory(dir_ / "precious");
  for (const bool in_store : {true, false}) {  // a row may claim to be in a store that has moved
    registry::ModelRecord model;
    model.name = "org/precious";
    model.source = "local";
    model.path = (dir_ / "precious").string();
    model.in_store = in_store;
    ASSERT_TRUE(library_->registry().put_model(model));
    const auto removed = library_->remove("org/precious");
    ASSERT_TRUE(removed) << removed.error().one_line();
    EXPECT_FALSE(removed->files_deleted);
    EXPECT_TRUE(fs::exists(dir_ / "precious/config.json"));
  }
  EXPECT_EQ(library_->remove((dir_ / "precious").string()).error().code, ErrorCode::kModelNotFound);
}

TEST_F(Remove, WaitsForTheProcessThatHasItOpen) {
  write_model_directory(dir_ / "source");
  const auto model = import(dir_ / "source", "mine");
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    [[maybe_unused]] const int fd = open((model.path + "/model.safetensors").c_str(), O_RDONLY);
    [[maybe_unused]] const auto n = write(ready[1], "x", 1);
    pause();
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const auto refused = library_->remove("mine");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPolicy);
  EXPECT_THAT(refused.error().message, HasSubstr(std::to_string(pid)));
  EXPECT_TRUE(library_->verify("mine", {})->problems.empty());
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  EXPECT_TRUE(library_->remove("mine"));
}

}  // namespace
}  // namespace mhub::hub
