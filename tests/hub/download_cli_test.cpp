// SPDX-License-Identifier: Apache-2.0
// `mhub download` as scripts see it: stdout, stderr, exit codes, events, signals.
#include <sys/resource.h>

#include <csignal>
#include <sstream>
#include <thread>

#include "contract/cli_fixture.h"
#include "support/fake_hub.h"

namespace mhub::test {
namespace {

class DownloadCli : public CliTest {
 protected:
  DownloadCli() {
    hub_.set_file("config.json", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})");
    hub_.set_file("model.bin", random_bytes(3 << 20, 1));
    options_.environment["MODELSCOPE_ENDPOINT"] = hub_.url();
    options_.environment["HF_ENDPOINT"] = hub_.url();
    options_.environment["MHUB_RETRY_DELAY"] = "0.01";
    options_.environment["MHUB_RETRIES"] = "2";
  }
  static std::vector<std::string> lines(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> all;
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  }
  std::string store_path(const std::string& source = "modelscope") const {
    return (home() / "models" / source / "org/name" / std::string(40, 'c')).string();
  }
  FakeHub hub_;
};

TEST_F(DownloadCli, LastLineIsTheDirectory) {
  const auto result = mhub({"download", "org/name"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, store_path() + "\n");
  EXPECT_EQ(read_file(store_path() + "/model.bin"), hub_.content("model.bin"));
  const auto again = mhub({"download", "org/name", "--quiet"});
  EXPECT_EQ(again.out, store_path() + "\n");
  EXPECT_EQ(again.err, "");
  EXPECT_EQ(mhub({"verify", "org/name"}).exit_code, 0);
}

TEST_F(DownloadCli, ModelScopesOwnCommandLineWithOneWordChanged) {
  const std::string target = (dir_ / "here").string();
  const auto result = mhub({"download", "--local_dir", target, "--model", "org/name", "config.json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, target + "\n");
  EXPECT_TRUE(std::filesystem::exists(target + "/config.json"));
  EXPECT_FALSE(std::filesystem::exists(target + "/model.bin"));
}

TEST_F(DownloadCli, Events) {
  const auto result = mhub({"download", "hf:org/name", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  std::vector<std::string> names;
  Json last;
  for (const auto& line : lines(result.out)) {
    const auto event = parse_json(line);
    ASSERT_TRUE(event) << line;
    names.push_back((*event)["event"]);
    last = *event;
    if (names.back() == "file_done") {
      EXPECT_EQ((*event)["sha256"], sha256_of(hub_.content((*event)["path"])));
    }
  }
  EXPECT_EQ(names.front(), "plan");
  EXPECT_EQ(std::count(names.begin(), names.end(), "file_done"), 2);
  EXPECT_EQ(last["event"], "summary");
  EXPECT_EQ(last["path"], store_path("huggingface"));
  EXPECT_EQ(last["files"], 2);
  EXPECT_EQ(last["bytes_network"], hub_.content("model.bin").size() + hub_.content("config.json").size());
  EXPECT_TRUE(last["bytes_reused"] == 0 && last["seconds"].is_number());
}

TEST_F(DownloadCli, GlobsTakeSeveralPatterns) {
  hub_.set_file("onnx/a.json", "{}");
  const auto result = mhub({"download", "--include", "*.json", "*.txt", "--exclude", "onnx/", "--model", "org/name"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(std::filesystem::exists(store_path() + "/config.json"));
  EXPECT_FALSE(std::filesystem::exists(store_path() + "/onnx"));
}

TEST_F(DownloadCli, DryRunListsAndFetchesNothing) {
  const auto result = mhub({"download", "org/name", "--dry-run"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("model.bin"), std::string::npos);
  EXPECT_EQ(hub_.body_requests(), 0u);
  EXPECT_FALSE(std::filesystem::exists(store_path()));
}

TEST_F(DownloadCli, Failures) {
  EXPECT_NE(fails({"download", "other/name"}, 3).find("HTTP 404"), std::string::npos);
  EXPECT_EQ(fails_json({"download", "hf:other/name"}, 3), "hub_not_found");
  fails({"download"}, 2);
  fails({"download", "a/b/c"}, 2);
  fails({"download", "org/name", "absent.bin"}, 3);
  fails({"download", "org/name", "--endpoint", "http://127.0.0.1:1", "--retries", "0"}, 3);
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    if (!request.file.empty() && !reply.body.empty()) reply.body[0] ^= 1;
  });
  const auto damaged = mhub({"download", "org/name"});
  EXPECT_EQ(damaged.exit_code, 4);
  EXPECT_EQ(damaged.out, "");
  EXPECT_FALSE(std::filesystem::exists(store_path()));
}

TEST_F(DownloadCli, FileSizeLimitIsADiskError) {
  options_.before_exec = [] {
    const rlimit limit{1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
  };
  const auto result = mhub({"download", "org/name"});
  EXPECT_EQ(result.exit_code, 5) << result.err;
}

TEST_F(DownloadCli, ReadOnlyTargetIsADiskError) {
  options_.before_exec = obey_permissions;
  std::filesystem::create_directory(dir_ / "locked");
  std::filesystem::permissions(dir_ / "locked", std::filesystem::perms::owner_read);
  const auto result = mhub({"download", "org/name", "--local-dir", (dir_ / "locked/x").string()});
  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_NE(lines(result.err).back().find("locked"), std::string::npos) << result.err;
}

TEST_F(DownloadCli, SignalsEndItWithAWayOn) {
  hub_.set_bytes_per_second(1e6);
  for (const auto& [signal, code] : {std::pair(SIGINT, 130), std::pair(SIGTERM, 143)}) {
    options_.while_running = [signal = signal](pid_t pid) {
      std::this_thread::sleep_for(std::chrono::milliseconds(700));
      kill(pid, signal);
    };
    const auto result = mhub({"download", "org/name"});
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_NE(lines(result.err).back().find("same command"), std::string::npos) << result.err;
  }
  options_.while_running = {};
  hub_.set_bytes_per_second(0);
  const uint64_t before = hub_.body_bytes_sent();
  EXPECT_GT(before, 100'000u);
  ASSERT_EQ(mhub({"download", "org/name"}).exit_code, 0);
  EXPECT_LT(hub_.body_bytes_sent() - before, hub_.content("model.bin").size() - 300'000);
}

TEST_F(DownloadCli, TokenIsNeverPrinted) {
  hub_.set_hook([](const HubRequest&, HubReply& reply) { reply.status = 403; });
  const auto result = mhub({"download", "org/name", "--token", "canary-secret"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ((result.out + result.err).find("canary"), std::string::npos) << result.err;
}

TEST_F(DownloadCli, BarOnATerminal) {
  hub_.set_bytes_per_second(2e6);
  const auto result = run_on_terminal(command({"download", "org/name"}), "", options_);
  EXPECT_EQ(result.exit_code, 0) << result.out;
  EXPECT_NE(result.out.find("total ["), std::string::npos);
  EXPECT_NE(result.out.find("model.bin"), std::string::npos);
}

TEST_F(DownloadCli, FourProcessesAtOnce) {
  hub_.set_bytes_per_second(4e6);
  std::vector<std::thread> threads;
  std::vector<ProcessResult> results(4);
  for (auto& result : results) threads.emplace_back([&] { result = mhub({"download", "org/name"}); });
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, store_path() + "\n");
  }
  EXPECT_LT(hub_.body_bytes_sent(), hub_.content("model.bin").size() + 1000);
  EXPECT_EQ(mhub({"verify", "org/name"}).exit_code, 0);
}

}  // namespace
}  // namespace mhub::test
