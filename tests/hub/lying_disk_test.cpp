// SPDX-License-Identifier: Apache-2.0
// F24 and D09: a disk that fills up or fails under `mhub download`. Every run ends in all right or in a clear non-zero
// exit, and the next run finishes without fetching again what was verified. MHUB_LONG=1 runs 300 failures.
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <random>
#include <set>
#include <sstream>

#include "contract/cli_fixture.h"
#include "support/fake_hub.h"

namespace mhub::test {
namespace {

class LyingDisk : public CliTest {
 protected:
  LyingDisk() {
    hub_.set_file("config.json", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})");
    hub_.set_file("model.bin", random_bytes(3 << 20, 1));
    hub_.set_file("a/b/tokenizer.json", random_bytes(70'000, 2));
    options_.environment["MODELSCOPE_ENDPOINT"] = hub_.url();
    options_.environment["MHUB_RETRY_DELAY"] = "0.01";
    options_.environment["MHUB_RETRIES"] = "2";
  }
  void expect_whole() {
    const Json model = json({"show", "org/name", "--json"});
    const std::filesystem::path path = model["path"].get<std::string>();
    for (const char* file : {"config.json", "model.bin", "a/b/tokenizer.json"}) {
      EXPECT_TRUE(read_file(path / file) == hub_.content(file)) << file;
    }
    EXPECT_EQ(mhub({"verify", "org/name"}).exit_code, 0);
  }
  FakeHub hub_;
};

TEST_F(LyingDisk, F24FullDiskIsToldBeforeTheFirstByte) {
  std::filesystem::create_directories(home());
  const std::string target = home().string();
  options_.before_exec = [target] {
    const bool mounted = unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         mount("tmpfs", target.c_str(), "tmpfs", 0, "size=2m,mode=700") == 0;
    if (!mounted) _exit(99);
  };
  if (mhub({"list"}).exit_code == 99) GTEST_SKIP() << "no right to mount a small tmpfs";
  EXPECT_NE(fails({"download", "org/name", "--quiet"}, 5).find("free"), std::string::npos);
  EXPECT_EQ(hub_.body_requests(), 0u);
  EXPECT_EQ(mhub({"download", "org/name", "config.json", "--quiet"}).exit_code, 0) << "what fits goes in";
}

TEST_F(LyingDisk, F24QuotaMidwayThenRoomAgain) {
  options_.before_exec = [] {
    const rlimit limit{1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
  };
  EXPECT_EQ(mhub({"download", "org/name"}).exit_code, 5);
  options_.before_exec = {};
  EXPECT_EQ(mhub({"download", "org/name"}).exit_code, 0);
  expect_whole();
}

TEST_F(LyingDisk, D09InjectedFailuresEndCleanAndTheNextRunCompletes) {
  const char* library = std::getenv("MHUB_FAULT_LIBRARY");
  ASSERT_NE(library, nullptr);
  const int runs = std::getenv("MHUB_LONG") ? 300 : 48;
  const std::vector<std::string> calls = {"pwrite", "write", "fsync", "rename", "open", "ftruncate", "fallocate"};
  const std::vector<std::string> errors = {"ENOSPC", "EIO", "EDQUOT", "EMFILE", "EROFS"};
  std::mt19937 random(7);
  const auto environment = options_.environment;
  int failed = 0, finished = 0;
  for (int run = 0; run < runs; ++run) {
    std::filesystem::remove_all(home());
    options_.environment = environment;
    ASSERT_EQ(mhub({"list"}).exit_code, 0);
    const std::string& call = calls[static_cast<size_t>(run) % calls.size()];
    const std::string& error = errors[random() % errors.size()];
    const int most = call == "open" ? 90 : call == "rename" ? 6 : call == "pwrite" ? 40 : 24;
    const bool and_later = random() % 3 == 0;
    const std::string fault = call + ":" +
                              std::to_string(1 + static_cast<int>(random() % static_cast<unsigned>(most))) +
                              (and_later ? "+" : "") + ":" + error;
    options_.environment["LD_PRELOAD"] = library;
    options_.environment["MHUB_FAULT_UNDER"] = home().string();
    options_.environment["MHUB_FAULT"] = fault;
    hub_.forget_requests();
    const ProcessResult first = mhub({"download", "org/name", "--quiet"});
    const uint64_t sent = hub_.body_bytes_sent();
    options_.environment = environment;
    if (first.exit_code == 0) {
      ++finished;
    } else {
      ++failed;
      EXPECT_TRUE(first.exit_code == 5 || first.exit_code == 6) << fault << ": exit " << first.exit_code << first.err;
      EXPECT_EQ(first.out, "") << fault;
      EXPECT_EQ(std::count(first.err.begin(), first.err.end(), '\n'), 1) << fault << first.err;
    }
    const ProcessResult second = mhub({"download", "org/name", "--quiet"});
    ASSERT_EQ(second.exit_code, 0) << fault << second.err;
    expect_whole();
    if (first.exit_code == 0) {
      EXPECT_EQ(hub_.body_bytes_sent(), sent) << fault << ": a finished run fetched again";
    }
    if (HasFailure()) return;
  }
  std::printf("%d injected failures: %d runs ended with an error, %d finished all the same\n", runs, failed, finished);
  EXPECT_GT(failed, runs / 4) << "the failures must reach the program";
}

// D02: what a power cut could leave behind is decided by the order of the calls.
TEST_F(LyingDisk, D02DataSyncThenRenameThenDirectorySyncThenTheRegistry) {
  options_.environment["LD_PRELOAD"] = std::getenv("MHUB_FAULT_LIBRARY");
  options_.environment["MHUB_FAULT_UNDER"] = home().string();
  const auto log = (dir_ / "calls").string();
  ASSERT_EQ(mhub({"list"}).exit_code, 0);
  options_.environment["MHUB_CALL_LOG"] = log;
  ASSERT_EQ(mhub({"download", "org/name", "model.bin", "--quiet"}).exit_code, 0);
  std::istringstream in(read_file(log));
  int line = 0, last_write = 0, data_sync = 0, rename = 0, directory_sync = 0, first_commit = 0;
  std::set<std::string> synced;  // before the registry knows of the model
  for (std::string text; std::getline(in, text);) {
    ++line;
    const std::string call = text.substr(0, text.find(' ')), path = text.substr(call.size() + 1);
    if (call == "pwrite" && path.ends_with(".part")) last_write = line;
    if (call == "fsync" && path.ends_with(".part")) data_sync = line;
    if (call == "rename" && path.find("/models/") != std::string::npos) rename = line;
    if (call == "fsync" && path.ends_with(std::string(40, 'c')))
      directory_sync = directory_sync ? directory_sync : line;
    if (call == "pwrite" && path.ends_with("registry.db") && first_commit == 0) first_commit = line;
    if (call == "fsync" && first_commit == 0) synced.insert(path);
  }
  EXPECT_LT(0, last_write);
  EXPECT_LT(last_write, data_sync);
  EXPECT_LT(data_sync, rename);
  EXPECT_LT(rename, directory_sync);
  EXPECT_LT(directory_sync, first_commit);
  const std::filesystem::path model = json({"show", "org/name", "--json"})["path"].get<std::string>();
  for (auto parent = model.parent_path(); parent != home().parent_path(); parent = parent.parent_path()) {
    EXPECT_TRUE(synced.contains(parent)) << parent << " holds a new directory";
  }
}

}  // namespace
}  // namespace mhub::test
