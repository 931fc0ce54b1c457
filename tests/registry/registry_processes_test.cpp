// SPDX-License-Identifier: Apache-2.0
// Many processes on one registry, some killed.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <random>
#include <thread>

#include "mhub/registry/registry.h"
#include "records.h"
#include "support/temp_dir.h"

namespace mhub::registry {
namespace {
using mhub::test::TempDir;
using test::model_record;

pid_t start(const std::function<bool()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body() ? 0 : 1);
  return pid;
}

bool succeeded(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string integrity(const std::filesystem::path& file) {
  SQLite::Database database(file.string(), SQLite::OPEN_READWRITE);
  return database.execAndGet("PRAGMA integrity_check").getString();
}

TEST(RegistryProcesses, EightFirstOpensAtOnce) {
  for (int round = 0; round < 5; ++round) {
    const TempDir dir;
    const auto file = dir / "home/registry.db";
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
      children.push_back(start([&] {
        auto registry = Registry::open(file);
        return registry && (*registry)->list_models(true).has_value();
      }));
    }
    for (const pid_t pid : children) EXPECT_TRUE(succeeded(pid));
    EXPECT_EQ(integrity(file), "ok");
  }
}

TEST(RegistryProcesses, WritersLoseNothing) {
  const TempDir dir;
  const auto file = dir / "registry.db";
  constexpr int kWriters = 4, kModels = 25;
  std::vector<pid_t> children;
  for (int writer = 0; writer < kWriters; ++writer) {
    children.push_back(start([&, writer] {
      auto registry = Registry::open(file);
      if (!registry) return false;
      for (int i = 0; i < kModels; ++i) {
        const std::string name = "org/w" + std::to_string(writer) + "-" + std::to_string(i);
        if (!(*registry)->put_model(model_record(name, "c1"))) return false;
        if (!(*registry)->find_model(name)) return false;
      }
      return true;
    }));
  }
  for (const pid_t pid : children) EXPECT_TRUE(succeeded(pid));
  auto registry = Registry::open(file);
  ASSERT_TRUE(registry);
  EXPECT_EQ((*registry)->list_models(false)->size(), size_t{kWriters * kModels});
  EXPECT_EQ(integrity(file), "ok");
}

TEST(RegistryProcesses, ThreadsMayShareOne) {
  const TempDir dir;
  auto registry = *Registry::open(dir / "registry.db");
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        if (!registry->put_model(model_record("org/t" + std::to_string(t * 10 + i), "c1"))) ++failures;
        if (!registry->list_models(true)) ++failures;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(registry->list_models(false)->size(), 40u);
}

// A child reports every acknowledged put through a pipe and is killed at a random moment.
TEST(RegistryProcesses, AcknowledgedPutsSurviveKill) {
  const TempDir dir;
  const auto file = dir / "registry.db";
  ASSERT_TRUE(Registry::open(file));
  std::mt19937 random(11);
  int acknowledged_total = 0;
  for (int round = 0; round < 20; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t pid = start([&, round] {
      close(ends[0]);
      auto registry = Registry::open(file);
      if (!registry) return false;
      for (uint32_t i = 0;; ++i) {
        const std::string name = "org/k" + std::to_string(round) + "-" + std::to_string(i);
        if (!(*registry)->put_model(model_record(name, "c1"))) return false;
        if (write(ends[1], &i, sizeof(i)) != sizeof(i)) return false;
      }
    });
    close(ends[1]);
    if (round % 2 == 0) {  // during the puts; in the other rounds perhaps before the first one
      pollfd first{ends[0], POLLIN, 0};
      poll(&first, 1, 10'000);
    }
    usleep(2000 + random() % 30000);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    uint32_t index = 0;
    auto registry = Registry::open(file);
    ASSERT_TRUE(registry) << registry.error().one_line();
    while (read(ends[0], &index, sizeof(index)) == sizeof(index)) {
      ++acknowledged_total;
      const auto found = (*registry)->find_model("org/k" + std::to_string(round) + "-" + std::to_string(index));
      ASSERT_TRUE(found) << "round " << round << " lost put " << index;
      EXPECT_EQ(found->files.size(), 2u);
    }
    close(ends[0]);
  }
  EXPECT_GE(acknowledged_total, 10);
  EXPECT_EQ(integrity(file), "ok");
}

}  // namespace
}  // namespace mhub::registry
