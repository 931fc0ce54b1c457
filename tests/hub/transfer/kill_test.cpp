// SPDX-License-Identifier: Apache-2.0
// kill -9 at random moments of `mhub download`: the same command goes on, little is fetched again, and nothing is
// visible before it is whole. MHUB_KILLS sets how many (default 20).
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <random>
#include <thread>

#include "hub/transfer/download_fixture.h"

namespace mhub::hub::test {
namespace {

class Kill : public DownloadTest {
 protected:
  pid_t start() {
    // All prepared before fork: other threads of this process may hold the allocator's lock.
    const std::string home = "MHUB_HOME=" + config_.home.string(), endpoint = "MODELSCOPE_ENDPOINT=" + hub_.url();
    const char* program = std::getenv("MHUB_BIN");
    const char* argv[] = {program, "download", "org/name", "--quiet", nullptr};
    const char* envp[] = {home.c_str(), endpoint.c_str(), "MHUB_RETRY_DELAY=0.01", nullptr};
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const pid_t pid = fork();
    if (pid == 0) {
      dup2(null, STDOUT_FILENO);
      execve(program, const_cast<char**>(argv), const_cast<char**>(envp));
      _exit(127);
    }
    close(null);
    return pid;
  }
};

TEST_F(Kill, AtRandomMoments) {
  ASSERT_NE(std::getenv("MHUB_BIN"), nullptr);
  const char* asked = std::getenv("MHUB_KILLS");
  const int kills = asked ? std::atoi(asked) : 20;
  const std::string large = random_bytes(size_t{96} << 20, 5), small = random_bytes(300'000, 6);
  hub_.set_file("model.bin", large);
  hub_.set_file("tokenizer.json", small);
  hub_.set_bytes_per_second(100e6);
  const uint64_t total = large.size() + small.size();
  std::mt19937 random(42);
  uint64_t fetched_again = 0;
  int killed = 0, completed = 0;
  while (killed < kills || completed == 0) {
    const pid_t pid = start();
    ASSERT_GT(pid, 0);
    const bool kill_it = killed < kills;
    if (kill_it) {
      std::this_thread::sleep_for(std::chrono::milliseconds(std::uniform_int_distribution<int>(0, 400)(random)));
      kill(pid, SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
      ++killed;
      // Killed after the row was written and before the process ended: then all must be there, as below.
      if (!library_->list()->empty()) status = 0;
      for (const auto& file : final_files()) {
        const std::string content = read_file(file);
        EXPECT_TRUE(content == large || content == small) << file << " has its final name without its bytes";
      }
      if (HasFailure()) return;
      if (WIFSIGNALED(status)) continue;
    }
    ASSERT_EQ(WEXITSTATUS(status), 0);
    ++completed;
    const auto model = library_->find("org/name");
    ASSERT_TRUE(model);
    EXPECT_TRUE(read_file(fs::path(model->path) / "model.bin") == large);
    EXPECT_TRUE(library_->verify("org/name", {})->problems.empty());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    fetched_again += hub_.body_bytes_sent() - total;
    hub_.forget_requests();
    ASSERT_TRUE(library_->remove("org/name"));
  }
  const double per_kill = static_cast<double>(fetched_again) / killed;
  std::printf("%d kills, %d whole downloads, %.0f bytes fetched again per kill\n", killed, completed, per_kill);
  EXPECT_LE(per_kill, 4.0 * (1 << 20));
}

}  // namespace
}  // namespace mhub::hub::test
