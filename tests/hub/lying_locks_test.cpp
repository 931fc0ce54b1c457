// SPDX-License-Identifier: Apache-2.0
// F25, F27, D10: many processes on one model, also where locks silently do nothing and processes are killed.
#include <csignal>
#include <random>
#include <thread>

#include "contract/cli_fixture.h"
#include "support/fake_hub.h"

namespace mhub::test {
namespace {

constexpr size_t kProcesses = 8;

class LyingLocks : public CliTest {
 protected:
  LyingLocks() {
    hub_.set_file("config.json", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})");
    hub_.set_file("model.bin", random_bytes(4 << 20, 1));
    options_.environment["MODELSCOPE_ENDPOINT"] = hub_.url();
    options_.environment["MHUB_RETRY_DELAY"] = "0.01";
  }
  void without_locks() {
    const char* library = std::getenv("MHUB_FAULT_LIBRARY");
    ASSERT_NE(library, nullptr);
    options_.environment["LD_PRELOAD"] = library;
    options_.environment["MHUB_NO_LOCKS"] = "1";
  }
  std::vector<ProcessResult> all_at_once(const std::vector<std::string>& arguments) {
    std::vector<ProcessResult> results(kProcesses);
    std::vector<std::thread> threads;
    for (auto& result : results) threads.emplace_back([&] { result = mhub(arguments); });
    for (auto& thread : threads) thread.join();
    return results;
  }
  void expect_whole() {
    const auto listed = json({"list", "--json"});
    ASSERT_EQ(listed["models"].size(), 1u);
    const std::filesystem::path path = listed["models"][0]["path"].get<std::string>();
    EXPECT_TRUE(read_file(path / "model.bin") == hub_.content("model.bin"));
    EXPECT_TRUE(read_file(path / "config.json") == hub_.content("config.json"));
    EXPECT_EQ(mhub({"verify", "org/name"}).exit_code, 0);
  }
  FakeHub hub_;
};

TEST_F(LyingLocks, F25EightProcessesFetchOnce) {
  hub_.set_bytes_per_second(8e6);
  for (const auto& result : all_at_once({"download", "org/name"})) EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_LT(hub_.body_bytes_sent(), hub_.content("model.bin").size() + 1000);
  expect_whole();
}

TEST_F(LyingLocks, F27LocksThatDoNothingCorruptNothing) {
  without_locks();
  hub_.set_bytes_per_second(40e6);
  for (const auto& result : all_at_once({"download", "org/name"})) EXPECT_EQ(result.exit_code, 0) << result.err;
  expect_whole();
}

TEST_F(LyingLocks, D10KilledProcessesWithoutLocksCorruptNothing) {
  without_locks();
  hub_.set_bytes_per_second(20e6);
  const int rounds = std::getenv("MHUB_LONG") ? 40 : 4;
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::thread> threads;
    std::vector<ProcessResult> results(kProcesses);
    for (size_t i = 0; i < kProcesses; ++i) {
      threads.emplace_back([this, &result = results[i],
                            seed = static_cast<unsigned>(round) * 100 + static_cast<unsigned>(i), spared = i == 0] {
        ProcessOptions options = options_;
        if (!spared) {
          options.while_running = [seed](pid_t pid) {
            std::mt19937 random(seed);
            std::this_thread::sleep_for(std::chrono::milliseconds(50 + random() % 900));
            kill(pid, SIGKILL);
          };
        }
        result = run_process(command({"download", "org/name"}), options);
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(results[0].exit_code, 0) << results[0].err;
    for (const auto& result : results) {
      EXPECT_TRUE(result.exit_code == 0 || result.exit_code == 128 + SIGKILL) << result.exit_code << result.err;
    }
    expect_whole();
    ASSERT_EQ(mhub({"rm", "org/name", "--yes"}).exit_code, 0);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace mhub::test
