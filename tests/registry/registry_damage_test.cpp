// SPDX-License-Identifier: Apache-2.0
// Rows R04, R05, R06 of the threat list: what is wrong with the file is one clear error, never a crash or an empty
// list.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <set>

#include "mhub/registry/registry.h"
#include "records.h"
#include "support/temp_dir.h"

namespace mhub::registry {
namespace {
namespace fs = std::filesystem;
using mhub::test::read_file;
using mhub::test::TempDir;
using mhub::test::write_file;
using test::model_record;
using ::testing::HasSubstr;

std::string filled_registry(const fs::path& file, int models) {
  auto registry = Registry::open(file);
  for (int i = 0; i < models; ++i) {
    EXPECT_TRUE((*registry)->put_model(model_record("org/name" + std::to_string(i), "c1")));
  }
  registry->reset();
  return read_file(file);
}

// First error of opening and reading everything; nullopt when all went well.
std::optional<Error> use(const fs::path& file, size_t* models = nullptr) {
  auto registry = Registry::open(file);
  if (!registry) return registry.error();
  auto listed = (*registry)->list_models(true);
  if (!listed) return listed.error();
  if (models) *models = listed->size();
  auto put = (*registry)->put_model(model_record("org/more", "c2"));
  if (!put) return put.error();
  return std::nullopt;
}

TEST(RegistryDamage, ANewerSchemaIsRefusedUnchanged) {
  const TempDir dir;
  const auto file = dir / "registry.db";
  filled_registry(file, 2);
  {
    SQLite::Database raw(file.string(), SQLite::OPEN_READWRITE);
    raw.exec("PRAGMA user_version = 99");
  }
  const std::string before = read_file(file);
  const auto opened = Registry::open(file);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kRegistry);
  EXPECT_THAT(opened.error().message, HasSubstr("version 99"));
  EXPECT_THAT(opened.error().message, HasSubstr("up to 2"));
  EXPECT_EQ(read_file(file), before);
}

TEST(RegistryDamage, ANewerSchemaInWalModeIsRefusedUnchanged) {
  const TempDir dir;
  const auto file = dir / "registry.db";
  filled_registry(file, 2);
  SQLite::Database raw(file.string(), SQLite::OPEN_READWRITE);
  raw.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 99");
  // What a killed newer program leaves: its commits are in the -wal only.
  const auto copy = dir / "copy/registry.db";
  fs::create_directory(copy.parent_path());
  fs::copy_file(file, copy);
  fs::copy_file(file.string() + "-wal", copy.string() + "-wal");
  const std::string before = read_file(copy), wal_before = read_file(copy.string() + "-wal");
  const auto opened = Registry::open(copy);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("version 99"));
  EXPECT_EQ(read_file(copy), before);
  EXPECT_EQ(read_file(copy.string() + "-wal"), wal_before);
}

TEST(RegistryDamage, WrongMagicTruncationAndZeroedPagesAreNamed) {
  const TempDir dir;
  const auto file = dir / "registry.db";
  const std::string good = filled_registry(file, 20);
  std::string no_magic = good, zeroed = good;
  no_magic.replace(0, 6, "broken");
  zeroed.replace(4096, 4096, 4096, '\0');
  for (const std::string& bad :
       {no_magic, zeroed, good.substr(0, good.size() / 2), std::string("hello"), good.substr(0, 4096)}) {
    write_file(file, bad);
    const auto error = use(file);
    ASSERT_TRUE(error) << bad.size();
    EXPECT_EQ(error->code, ErrorCode::kRegistry) << error->one_line();
    EXPECT_THAT(error->message, HasSubstr("damaged"));
    EXPECT_THAT(error->message, HasSubstr(file.string()));
    EXPECT_THAT(error->hint, HasSubstr("mhub registry rebuild"));
    EXPECT_EQ(read_file(file), bad) << "a damaged file must stay as it is";
  }
}

TEST(RegistryDamage, AMissingTableIsDamage) {
  const TempDir dir;
  const auto file = dir / "registry.db";
  filled_registry(file, 1);
  SQLite::Database(file.string(), SQLite::OPEN_READWRITE).exec("DROP TABLE files");
  const auto error = use(file);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ErrorCode::kRegistry);
}

TEST(RegistryDamage, RandomMutationsNeverCrashOrInventAnEmptyList) {
  const TempDir dir;
  const auto file = dir / "registry.db";
  const std::string good = filled_registry(file, 12);
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string bad = good;
    for (int flips = 1 + static_cast<int>(random() % 8); flips > 0; --flips) {
      // Half of them into structure: headers and cell pointers at the start of pages.
      size_t at = random() % bad.size();
      if (random() % 2) at = at / 4096 * 4096 + random() % 128;
      bad[std::min(at, bad.size() - 1)] ^= static_cast<char>(1u << (random() % 8));
    }
    write_file(file, bad);
    fs::remove(file.string() + "-journal");
    fs::remove(file.string() + "-wal");
    fs::remove(file.string() + "-shm");
    size_t models = 0;
    const auto error = use(file, &models);
    if (!error) {
      EXPECT_GE(models, 1u) << "round " << round;
    } else {
      EXPECT_TRUE(error->code == ErrorCode::kRegistry || error->code == ErrorCode::kDisk ||
                  error->code == ErrorCode::kInternal)
          << error->one_line();
      ++refused;
    }
  }
  EXPECT_GT(refused, 50);
}

TEST(RegistryDamage, ALockIsWaitedForAndThenNamed) {
  const TempDir dir;
  const auto file = dir / "registry.db";
  filled_registry(file, 1);
  SQLite::Database other(file.string(), SQLite::OPEN_READWRITE);
  other.exec("BEGIN IMMEDIATE");
  auto registry = Registry::open(file, {.busy_timeout_seconds = 0.2});
  ASSERT_TRUE(registry) << registry.error().one_line();
  EXPECT_TRUE((*registry)->list_models(true)) << "readers do not wait for a writer that has not committed";
  const auto start = std::chrono::steady_clock::now();
  const auto put = (*registry)->put_model(model_record("org/new", "c1"));
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, ErrorCode::kRegistry);
  EXPECT_THAT(put.error().message, HasSubstr("locked"));
  EXPECT_GE(waited.count(), 0.15);
  other.exec("ROLLBACK");
  EXPECT_TRUE((*registry)->put_model(model_record("org/new", "c1")));
}

// Runs `body` in a child (where limits and rights may be given up) and returns whether it returned true.
bool in_child(const std::function<bool()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body() ? 0 : 1);
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(RegistryDamage, AFileThatMayOnlyBeReadIsReadAndWritingIsADiskError) {
  const TempDir dir;
  const auto file = dir / "home/registry.db";
  filled_registry(file, 3);
  constexpr uid_t kNobody = 65534;
  if (geteuid() == 0) {
    ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
    for (const fs::path& path : {file.parent_path(), file}) ASSERT_EQ(chown(path.c_str(), kNobody, kNobody), 0);
  }
  fs::permissions(file, fs::perms::owner_read);
  fs::permissions(file.parent_path(), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_TRUE(in_child([&] {
    if (geteuid() == 0 && setuid(kNobody) != 0) return false;
    auto registry = Registry::open(file);
    if (!registry || (*registry)->list_models(true)->size() != 3) return false;
    const auto put = (*registry)->put_model(model_record("org/new", "c1"));
    return !put && put.error().code == ErrorCode::kDisk;
  }));
  EXPECT_TRUE(in_child([&] {
    if (geteuid() == 0 && setuid(kNobody) != 0) return false;
    auto registry = Registry::open(file.parent_path() / "new/registry.db");
    return !registry && registry.error().code == ErrorCode::kDisk;
  }));
  fs::permissions(file.parent_path(), fs::perms::owner_all);
}

TEST(RegistryDamage, AFullDiskIsADiskErrorAndLosesNothing) {
  const TempDir dir;
  const auto file = dir / "registry.db";
  const std::string before = filled_registry(file, 3);
  EXPECT_TRUE(in_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{before.size(), before.size()};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
    auto registry = Registry::open(file);
    if (!registry) return false;
    ModelRecord big = model_record("org/big", "c1");
    big.card_json = std::string(1 << 20, 'x');
    const auto put = (*registry)->put_model(big);
    return !put && put.error().code == ErrorCode::kDisk;
  }));
  auto registry = Registry::open(file);
  ASSERT_TRUE(registry);
  EXPECT_EQ((*registry)->list_models(true)->size(), 3u);
}

TEST(RegistryDamage, ADirectoryInItsPlaceIsADiskError) {
  const TempDir dir;
  fs::create_directory(dir / "registry.db");
  const auto opened = Registry::open(dir / "registry.db");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kDisk);
}

}  // namespace
}  // namespace mhub::registry
