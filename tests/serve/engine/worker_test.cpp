// SPDX-License-Identifier: Apache-2.0
// WorkerClient with the real program and a small model of random weights.
#include <gtest/gtest.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "mhub/engine/engine.h"
#include "read_stream.h"
#include "support/temp_dir.h"
#include "worker_supervisor.h"

namespace mhub::engine::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr const char* kTinyConfig = R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
  "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
  "num_key_value_heads": 2, "vocab_size": 512, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
  "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": true, "torch_dtype": "float32",
  "bos_token_id": 1, "eos_token_id": 2})";

std::string program() {
  const char* path = std::getenv("MHUB_BIN");
  return path ? path : "";
}

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
    mhub::test::write_file(dir_ / "config.json", kTinyConfig);
    config.model = dir_.path().string();
    config.device = "cpu";
    config.load_format = "dummy";
    config.dtype = "float32";
    config.num_threads = 1;
    config.max_model_len = 2048;
    config.kv_cache_memory_bytes = 8u << 20;
  }
  std::unique_ptr<WorkerClient> start() {
    auto client = WorkerClient::start(program(), config);
    EXPECT_TRUE(client) << client.error().one_line();
    return client ? *std::move(client) : nullptr;
  }
  // Runs long enough to be killed in the middle.
  static std::unique_ptr<TokenStream> long_stream(WorkerClient& client) {
    auto stream = client.submit(request({3, 4, 5}, 2000));
    EXPECT_TRUE(stream) << stream.error().one_line();
    EXPECT_TRUE((*stream)->next(std::chrono::seconds(30)));
    return *std::move(stream);
  }

  mhub::test::TempDir dir_;
  EngineConfig config;
};

TEST_F(WorkerTest, GeneratesWhatTheEngineInThisProcessGenerates) {
  auto client = start();
  ASSERT_TRUE(client);
  EXPECT_TRUE(client->ready());
  EXPECT_EQ(client->info().vocab_size, 512);
  EXPECT_EQ(client->info().max_model_len, 2048);
  auto local = Engine::create(config);
  ASSERT_TRUE(local);
  auto made = request({3, 4, 5, 6}, 40);
  made.params.logprobs = 2;
  made.params.prompt_logprobs = 1;
  auto remote_stream = client->submit(made), local_stream = (*local)->submit(made);
  ASSERT_TRUE(remote_stream && local_stream);
  const auto remote = read_all(**remote_stream), here = read_all(**local_stream);
  EXPECT_EQ(remote.tokens, here.tokens);
  EXPECT_EQ(remote.tokens.size(), 40u);
  EXPECT_EQ(remote.finish, FinishReason::kLength);
  ASSERT_EQ(remote.logprobs.size(), 40u);
  EXPECT_EQ(remote.logprobs[7].top.size(), here.logprobs[7].top.size());
  EXPECT_EQ(remote.prompt_logprobs.size(), 3u);
  EXPECT_EQ(client->stats().generation_tokens, 40u);
}

TEST_F(WorkerTest, DroppedStreamsFreeTheirBlocks) {
  auto client = start();
  ASSERT_TRUE(client);
  auto stream = long_stream(*client);
  stream.reset();
  EXPECT_TRUE(eventually([&] { return client->stats().blocks_held == 0 && client->stats().running == 0; }));
}

TEST_F(WorkerTest, TheCommandLineNamesItAndItInheritsNoSecret) {
  setenv("MHUB_TEST_API_KEY", "secret-of-the-server", 1);
  auto client = start();
  unsetenv("MHUB_TEST_API_KEY");
  ASSERT_TRUE(client);
  const std::string proc = "/proc/" + std::to_string(client->worker_pid());
  EXPECT_NE(mhub::test::read_file(proc + "/cmdline").find("engine-worker"), std::string::npos);
  const auto environment = mhub::test::read_file(proc + "/environ");
  EXPECT_NE(environment.find("PATH="), std::string::npos);
  EXPECT_EQ(environment.find("secret-of-the-server"), std::string::npos);
}

TEST_F(WorkerTest, KilledMidStreamEndsItWithinASecondAndServesAgain) {
  auto client = start();
  ASSERT_TRUE(client);
  const auto before = read_all(**client->submit(request({3, 4, 5}, 20))).tokens;
  auto stream = long_stream(*client);
  const int first_pid = client->worker_pid();
  ASSERT_EQ(kill(first_pid, SIGKILL), 0);
  const auto killed = Clock::now();
  const auto all = read_all(*stream);
  EXPECT_LT(Clock::now() - killed, milliseconds(1000));
  EXPECT_EQ(all.finish, FinishReason::kError);
  ASSERT_TRUE(all.error);
  EXPECT_NE(all.error->message.find("signal 9"), std::string::npos) << all.error->message;
  const auto counted = client->stats().generation_tokens;
  EXPECT_GE(counted, 21u);
  ASSERT_TRUE(eventually([&] { return client->ready(); }));
  EXPECT_NE(client->worker_pid(), first_pid);
  EXPECT_EQ(read_all(**client->submit(request({3, 4, 5}, 20))).tokens, before);
  EXPECT_GE(client->stats().generation_tokens, counted + 20);  // counters never go back
}

TEST_F(WorkerTest, WhileThereIsNoWorkerRequestsAreUnavailable) {
  auto client = start();
  ASSERT_TRUE(client);
  kill(client->worker_pid(), SIGKILL);
  ASSERT_TRUE(eventually([&] { return !client->ready(); }, milliseconds(1000)));
  bool refused = false;
  while (!client->ready()) {
    auto stream = client->submit(request({3}, 1));
    if (!stream) {
      EXPECT_EQ(stream.error().code, ErrorCode::kUnavailable);
      refused = true;
    }
  }
  EXPECT_TRUE(refused);
}

TEST_F(WorkerTest, AFrozenWorkerIsNotReadyThenReplaced) {
  auto client = start();
  ASSERT_TRUE(client);
  auto stream = long_stream(*client);
  const int pid = client->worker_pid();
  kill(pid, SIGSTOP);
  EXPECT_TRUE(eventually([&] { return !client->ready(); }, milliseconds(5000)));
  EXPECT_EQ(read_all(*stream).finish, FinishReason::kError);
  ASSERT_TRUE(eventually([&] { return client->ready(); }));
  EXPECT_NE(client->worker_pid(), pid);
}

TEST_F(WorkerTest, ShutsDownCleanly) {
  auto client = start();
  ASSERT_TRUE(client);
  auto stream = long_stream(*client);
  const int pid = client->worker_pid();
  client.reset();
  EXPECT_EQ(read_all(*stream).finish, FinishReason::kError);
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(WorkerTest, DiesWithTheServer) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const pid_t server = fork();
  if (server == 0) {
    auto client = WorkerClient::start(program(), config);
    const int pid = client ? (*client)->worker_pid() : -1;
    _exit(write(fds[1], &pid, sizeof pid) == sizeof pid ? 0 : 1);  // as a crash does: nothing is cleaned up
  }
  int worker = -1;
  ASSERT_EQ(read(fds[0], &worker, sizeof worker), static_cast<ssize_t>(sizeof worker));
  ASSERT_GT(worker, 0);
  ASSERT_EQ(waitpid(server, nullptr, 0), server);
  EXPECT_TRUE(eventually([&] {  // gone, or a zombie that nobody has collected yet
    const auto stat = mhub::test::read_file("/proc/" + std::to_string(worker) + "/stat");
    return stat.empty() || stat.find(") Z ") != std::string::npos;
  }));
  close(fds[0]);
  close(fds[1]);
}

TEST_F(WorkerTest, ABadModelIsReportedAsItIs) {
  mhub::test::write_file(dir_ / "config.json", R"({"architectures": ["NoSuchModel"]})");
  const auto client = WorkerClient::start(program(), config);
  const auto local = Engine::create(config);
  ASSERT_FALSE(client);
  ASSERT_FALSE(local);
  EXPECT_EQ(client.error().code, ErrorCode::kBadModel);
  EXPECT_EQ(client.error().message, local.error().message);
  EXPECT_EQ(client.error().hint, local.error().hint);
}

TEST_F(WorkerTest, AProgramThatCannotBeStartedIsAnError) {
  const auto client = WorkerClient::start("/nonexistent/mhub", config);
  ASSERT_FALSE(client);
  EXPECT_NE(client.error().message.find("could not be executed"), std::string::npos) << client.error().message;
}

TEST_F(WorkerTest, GivesUpWhenRestartsDoNotHelp) {
  WorkerTimings timings;
  timings.first_backoff = milliseconds(1);
  timings.max_failures = 2;
  StreamRegistry streams;
  WorkerSupervisor supervisor(program(), config, timings, streams);
  ASSERT_TRUE(supervisor.wait_first_start());
  std::atomic<bool> gave_up = false;
  supervisor.on_gave_up([&](const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kBadModel) << error.message;
    gave_up = true;
  });
  mhub::test::write_file(dir_ / "config.json", "{");
  kill(supervisor.pid(), SIGKILL);
  EXPECT_TRUE(eventually([&] { return gave_up.load(); }));
  EXPECT_FALSE(supervisor.ready());
  bool told_later = false;
  supervisor.on_gave_up([&](const Error&) { told_later = true; });
  EXPECT_TRUE(told_later);
}

}  // namespace
}  // namespace mhub::engine::test
