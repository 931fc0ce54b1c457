// SPDX-License-Identifier: Apache-2.0
// The machine around the program fails: one clear line, the right exit code, nothing lost (docs/cli.md section 1).
#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "cli_fixture.h"

namespace mhub::test {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

class CliFaults : public CliTest {
 protected:
  CliFaults() { imported_ = json({"import", gguf_model().string(), "--name", "tiny", "--json"}); }
  fs::path registry() const { return home() / "registry.db"; }
  Json imported_;
};

TEST_F(CliFaults, ADamagedRegistryIsExit6AndStaysAsItIs) {
  const std::string good = read_file(registry());
  for (const std::string& bad : {std::string("not a database"), good.substr(0, 3000), std::string(8192, '\0')}) {
    write_file(registry(), bad);
    for (const char* command : {"list", "show", "verify", "rm"}) {
      std::vector<std::string> arguments = {command};
      if (std::string(command) != "list") arguments.push_back("tiny");
      const std::string line = fails(arguments, 6);
      EXPECT_THAT(line, ::testing::AllOf(HasSubstr(registry().string()), HasSubstr("damaged"),
                                         HasSubstr("mhub registry rebuild")));
    }
    EXPECT_EQ(read_file(registry()), bad);
  }
  // What the line advises works.
  fs::rename(registry(), home() / "registry.bad");
  EXPECT_EQ(json({"import", gguf_model().string(), "--name", "tiny", "--json"})["commit"], imported_["commit"]);
}

TEST_F(CliFaults, ANewerRegistryIsExit6AndUnchanged) {
  SQLite::Database(registry().string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 1000");
  const std::string before = read_file(registry());
  EXPECT_THAT(fails({"list"}, 6), ::testing::AllOf(HasSubstr("1000"), HasSubstr("newer mhub")));
  EXPECT_EQ(fails_json({"list"}, 6), "registry");
  EXPECT_EQ(read_file(registry()), before);
}

TEST_F(CliFaults, ALockedRegistryIsExit6AfterTheTimeout) {
  SQLite::Database other(registry().string(), SQLite::OPEN_READWRITE);
  other.exec("BEGIN IMMEDIATE");
  options_.environment["MHUB_REGISTRY_TIMEOUT"] = "0.2";
  EXPECT_THAT(fails({"rm", "tiny"}, 6), HasSubstr("locked"));
  EXPECT_EQ(json({"list", "--json"})["models"].size(), 1u) << "reading goes on beside an open transaction";
  other.exec("ROLLBACK");
  EXPECT_TRUE(fs::exists(imported_["path"].get<std::string>()));
  EXPECT_EQ(mhub({"rm", "tiny"}).exit_code, 0);
}

TEST_F(CliFaults, AReadOnlyHomeCanBeReadAndWritingIsExit5) {
  options_.before_exec = obey_permissions;
  for (const fs::path& path : {registry(), home()}) {
    fs::permissions(path, fs::perms::owner_write, fs::perm_options::remove);
  }
  EXPECT_EQ(json({"list", "--json"})["models"].size(), 1u);
  EXPECT_EQ(json({"verify", "tiny", "--json"})["ok"], true);
  EXPECT_THAT(fails({"rm", "tiny"}, 5), HasSubstr("MHUB_HOME"));
  EXPECT_THAT(fails({"import", gguf_model("other.gguf", 2).string()}, 5), HasSubstr("MHUB_HOME"));
  options_.environment["MHUB_HOME"] = (home() / "inner").string();
  fails({"list"}, 5);
  fs::permissions(home(), fs::perms::owner_all);
  fs::permissions(registry(), fs::perms::owner_read | fs::perms::owner_write);
  options_.environment["MHUB_HOME"] = home().string();
  EXPECT_EQ(json({"verify", "tiny", "--json"})["ok"], true) << "nothing was lost";
}

// 4 MiB of weights, not to be linked: anyone may write them.
fs::path big_model(const fs::path& dir) {
  const fs::path file = dir / "big.gguf";
  write_file(file, GgufBuilder()
                       .text("general.architecture", "llama")
                       .tensor_f32("token_embd.weight", {1024, 1024}, std::vector<float>(1 << 20, 1.f))
                       .build());
  fs::permissions(file, fs::perms::all);
  return file;
}

TEST_F(CliFaults, AFileSizeLimitIsExit5) {
  options_.before_exec = [] {
    const rlimit limit{1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
  };
  const fs::path big = big_model(dir_.path());
  EXPECT_THAT(fails({"import", big.string()}, 5), HasSubstr("big.gguf"));
  EXPECT_TRUE(fs::is_empty(home() / "partial"));
  EXPECT_EQ(json({"list", "--json"})["models"].size(), 1u);
}

TEST_F(CliFaults, AFullDiskIsExit5) {
  const std::string target = home().string();
  const auto small_disk = [target] {
    const bool mounted = unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         mount("tmpfs", target.c_str(), "tmpfs", 0, "size=2m,mode=700") == 0;
    if (!mounted) _exit(99);
  };
  options_.before_exec = small_disk;
  if (mhub({"list"}).exit_code == 99) GTEST_SKIP() << "no right to mount a small tmpfs";
  EXPECT_THAT(fails({"import", big_model(dir_.path()).string()}, 5), HasSubstr("free space"));
  EXPECT_EQ(mhub({"import", gguf_model().string()}).exit_code, 0) << "what fits goes in";
}

TEST_F(CliFaults, AModelThatAProcessHasOpenIsExit8) {
  const int fd = open((imported_["path"].get<std::string>() + "/tiny.gguf").c_str(), O_RDONLY);
  ASSERT_GE(fd, 0);
  EXPECT_THAT(fails({"rm", "tiny"}, 8), HasSubstr(std::to_string(getpid())));
  close(fd);
  EXPECT_EQ(mhub({"rm", "tiny"}).exit_code, 0);
}

// SIGINT while two sparse GiB are hashed.
TEST_F(CliFaults, InterruptionsAreExit130And143) {
  const std::string header =
      SafetensorsBuilder::file(R"({"w":{"dtype":"F32","shape":[536870912],"data_offsets":[0,2147483648]}})", "");
  const fs::path model = safetensors_model("sparse");
  write_file(model / "model.safetensors", header);
  fs::resize_file(model / "model.safetensors", header.size() + (uint64_t{1} << 31));
  for (const auto& [signal_number, exit_code] : {std::pair(SIGINT, 130), std::pair(SIGTERM, 143)}) {
    options_.while_running = [this, number = signal_number](pid_t pid) {
      std::error_code none;
      const auto staged = [&] { return fs::directory_iterator(home() / "partial", none) != fs::directory_iterator{}; };
      for (int waits = 0; waits < 1000 && !staged(); ++waits) usleep(10'000);
      kill(pid, number);
    };
    fails({"import", model.string()}, exit_code);
    options_.while_running = nullptr;
    EXPECT_TRUE(fs::is_empty(home() / "partial"));
    EXPECT_EQ(json({"list", "--json"})["models"].size(), 1u);
  }
}

// Several programs at once on one home, and linking the same sources.
TEST_F(CliFaults, ParallelImportsAllSucceed) {
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const std::string name = "m" + std::to_string(i);
    const fs::path model = i % 2 ? gguf_model(name + ".gguf", static_cast<float>(i)) : dir_ / "tiny.gguf";
    const pid_t pid = fork();
    if (pid == 0) _exit(mhub({"import", model.string(), "--name", name}).exit_code);
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  EXPECT_EQ(json({"list", "--json"})["models"].size(), 7u);
}

}  // namespace
}  // namespace mhub::test
