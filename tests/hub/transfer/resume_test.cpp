// SPDX-License-Identifier: Apache-2.0
// Runs that go on where an earlier one ended, warm runs, several at once, targets on disk.
#include <sys/stat.h>
#include <atomic>

#include <thread>

#include "hub/transfer/download_fixture.h"

namespace mhub::hub::test {
namespace {

class Resume : public DownloadTest {
 protected:
  Resume() {
    hub_.set_file("config.json", "{}");
    hub_.set_file("model.bin", random_bytes(kLarge, 7));
  }
  DownloadOptions into(const fs::path& dir) const {
    DownloadOptions options;
    options.local_dir = dir;
    return options;
  }
  void interrupt_at(uint64_t bytes) {
    std::stop_source stop;
    sink_.at_progress = [stop, bytes](uint64_t done) mutable {
      if (done >= bytes) stop.request_stop();
    };
    hub_.set_bytes_per_second(80e6);
    ASSERT_FALSE(download({}, "org/name", stop.get_token()));
    sink_.at_progress = {};
    hub_.set_bytes_per_second(0);
  }
};

TEST_F(Resume, GoesOnWhereItWasStopped) {
  interrupt_at(kLarge / 2);
  EXPECT_TRUE(library_->list()->empty());
  hub_.forget_requests();
  const auto summary = succeeds();
  EXPECT_LE(hub_.body_bytes_sent(), kLarge / 2 + (4u << 20));
  EXPECT_GE(summary.bytes_reused, kLarge / 2 - (1u << 20));
  EXPECT_FALSE(fs::exists(config_.home / "partial") && !fs::is_empty(config_.home / "partial"));
}

TEST_F(Resume, TornJournalTailIsCutOff) {
  interrupt_at(kLarge / 2);
  for (const auto& entry : fs::recursive_directory_iterator(config_.home / "partial")) {
    if (entry.path().extension() == ".journal") {
      write_file(entry.path(), read_file(entry.path()) + std::string("\x10\x00\x00\x00torn", 8));
    }
  }
  hub_.forget_requests();
  succeeds();
  EXPECT_LE(hub_.body_bytes_sent(), kLarge / 2 + (4u << 20));
}

TEST_F(Resume, DamagedPartialIsCaughtByTheHash) {
  interrupt_at(kLarge / 2);
  for (const auto& entry : fs::recursive_directory_iterator(config_.home / "partial")) {
    if (entry.path().extension() != ".part") continue;
    std::string bytes = read_file(entry.path());
    for (size_t i = 0; i < bytes.size(); i += 4096) bytes[i] ^= 1;
    write_file(entry.path(), bytes);
  }
  succeeds();
  EXPECT_TRUE(sink_.retried("once more"));
}

TEST_F(Resume, JournalWithoutItsPartialIsWorthNothing) {
  interrupt_at(kLarge / 2);
  for (const auto& entry : fs::recursive_directory_iterator(config_.home / "partial")) {
    if (entry.path().extension() == ".part") fs::resize_file(entry.path(), 0);
  }
  hub_.forget_requests();
  succeeds();
  EXPECT_GE(hub_.body_bytes_sent(), kLarge);
}

TEST_F(Resume, WarmRunAsksTwoThingsAndNoBytes) {
  for (const Source source : {Source::kModelScope, Source::kHuggingFace}) {
    config_.home = dir_ / std::string(source_name(source));
    reopen();
    succeeds(from(source));
    hub_.forget_requests();
    const auto warm = download(from(source));
    ASSERT_TRUE(warm);
    EXPECT_LE(hub_.api_requests(), 2u);
    EXPECT_EQ(hub_.body_requests(), 0u);
    EXPECT_EQ(warm->bytes_network, 0u);
    EXPECT_EQ(warm->bytes_reused, kLarge + 2);
    EXPECT_EQ(warm->files, 2u);
  }
}

TEST_F(Resume, WarmRunOfACommitAsksNothing) {
  succeeds();
  hub_.forget_requests();
  ASSERT_TRUE(download({}, "org/name@" + std::string(40, 'c')));
  EXPECT_TRUE(hub_.requests().empty());
}

TEST_F(Resume, WarmRunOfSomeFilesAsksAtMostTwoThings) {
  DownloadOptions some;
  some.include = {"*.json"};
  EXPECT_EQ(succeeds(some).files, 1u);
  EXPECT_FALSE(library_->list()->front().complete);
  hub_.forget_requests();
  ASSERT_TRUE(download(some));
  EXPECT_LE(hub_.api_requests(), 2u);
  EXPECT_EQ(hub_.body_requests(), 0u);
  // The rest joins what is there.
  hub_.forget_requests();
  EXPECT_EQ(succeeds().files, 2u);
  EXPECT_TRUE(library_->list()->front().complete);
  for (const auto& request : hub_.requests()) EXPECT_NE(request.file, "config.json");
}

TEST_F(Resume, HubWithoutCommitsGetsADigestOfItsListing) {
  hub_.set_commit("");
  const auto first = succeeds();
  EXPECT_EQ(first.commit.size(), 40u);
  hub_.forget_requests();
  EXPECT_EQ(download()->commit, first.commit);
  EXPECT_LE(hub_.api_requests(), 2u);
  EXPECT_EQ(hub_.body_requests(), 0u);
}

TEST_F(Resume, ChangedFileOnDiskIsFetchedAgain) {
  const auto summary = succeeds();
  write_file(summary.path / "config.json", "[]");
  EXPECT_EQ(succeeds().bytes_network, 2u);
  EXPECT_TRUE(library_->verify("org/name", {})->problems.empty());
}

TEST_F(Resume, ForceFetchesAgain) {
  succeeds();
  DownloadOptions force;
  force.force = true;
  EXPECT_GE(succeeds(force).bytes_network, kLarge);
}

TEST_F(Resume, DryRunWritesNothing) {
  DownloadOptions dry;
  dry.dry_run = true;
  ASSERT_TRUE(download(dry));
  EXPECT_EQ(sink_.plan.files.size(), 2u);
  EXPECT_EQ(sink_.plan.bytes_to_fetch, kLarge + 2);
  EXPECT_EQ(hub_.body_requests(), 0u);
  EXPECT_TRUE(library_->list()->empty());
  EXPECT_TRUE(final_files().empty());
}

TEST_F(Resume, LocalDirectoryKeepsOneCommit) {
  const fs::path dir = dir_ / "models/here";
  EXPECT_EQ(succeeds(into(dir)).path, dir);
  EXPECT_FALSE(fs::exists(dir / ".mhub"));
  EXPECT_FALSE(library_->list()->front().in_store);
  hub_.set_commit(std::string(40, 'd'));
  hub_.set_file("config.json", "{\"new\": true}");
  hub_.forget_requests();
  succeeds(into(dir));
  EXPECT_LT(hub_.body_bytes_sent(), 100u);  // the large file is the same
  EXPECT_EQ(library_->list()->front().commit, std::string(40, 'd'));
}

TEST_F(Resume, FilesOfAnotherToolAreAdoptedWhenTheyHashRight) {
  const fs::path dir = dir_ / "here";
  write_file(dir / "model.bin", hub_.content("model.bin"));
  write_file(dir / "config.json", "[]");
  succeeds(into(dir));
  EXPECT_LT(hub_.body_bytes_sent(), 100u);
}

TEST_F(Resume, LinkOutOfTheLocalDirectoryIsNotFollowed) {
  const fs::path dir = dir_ / "here", outside = dir_ / "outside";
  fs::create_directories(dir);
  fs::create_directories(outside);
  fs::create_directory_symlink(outside, dir / "sub");
  hub_.set_file("sub/file.txt", "text");
  fails(ErrorCode::kPolicy, into(dir));
  EXPECT_TRUE(fs::is_empty(outside));
}

TEST_F(Resume, DirectoryInPlaceOfAFile) {
  const fs::path dir = dir_ / "here";
  fs::create_directories(dir / "config.json/x");
  fails(ErrorCode::kDisk, into(dir));
}

TEST_F(Resume, TwoAtOnceFetchOnce) {
  hub_.set_bytes_per_second(80e6);
  auto other = ModelLibrary::open(config_);
  ASSERT_TRUE(other);
  RecordingSink other_sink;
  std::optional<Result<DownloadSummary>> second;
  std::thread thread([&] { second = (*other)->download(*ModelRef::parse("org/name"), {}, other_sink, {}); });
  const auto first = download();
  thread.join();
  ASSERT_TRUE(first) << first.error().one_line();
  ASSERT_TRUE(second->has_value()) << second->error().one_line();
  EXPECT_LE(hub_.body_bytes_sent(), kLarge + kLarge / 20);
  EXPECT_EQ(sha256_of(read_file(first->path / "model.bin")), sha256_of(hub_.content("model.bin")));
  EXPECT_TRUE(library_->verify("org/name", {})->problems.empty());
}

TEST_F(Resume, FileArgumentsAndGlobs) {
  hub_.set_file("onnx/model.onnx", "o");
  DownloadOptions options;
  options.exclude = {"onnx/", "*.bin"};
  EXPECT_EQ(succeeds(options).files, 1u);
  options = {};
  options.files = {"onnx/model.onnx"};
  EXPECT_EQ(succeeds(options).files, 1u);
  options.files = {"absent"};
  EXPECT_EQ(download(options).error().code, ErrorCode::kHubNotFound);
  options = {};
  options.include = {"*.nothing"};
  EXPECT_EQ(download(options).error().code, ErrorCode::kUsage);
}

TEST_F(Resume, BareUrlIsProbed) {
  const auto done = download({}, hub_.url() + "/org/name");
  ASSERT_TRUE(done) << done.error().one_line();
  EXPECT_EQ(library_->list()->front().source, "mirror");
  EXPECT_EQ(library_->list()->front().endpoint, hub_.url());
  // A hub that knows only ModelScope's routes.
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    if (request.path.starts_with("/api/models/")) reply.status = 404;
  });
  config_.home = dir_ / "second";
  reopen();
  const auto again = download({}, hub_.url() + "/org/name");
  ASSERT_TRUE(again) << again.error().one_line();
}

TEST_F(Resume, StoredTokenDoesNotGoToAnotherEndpoint) {
  config_.modelscope_token = "canary-token";
  config_.modelscope_endpoint = "https://modelscope.invalid";
  reopen();
  DownloadOptions options;
  options.endpoints = {hub_.url()};
  succeeds(options);
  for (const auto& request : hub_.requests()) EXPECT_FALSE(request.has("authorization"));
  options.token = "given";
  options.force = true;
  succeeds(options);
  EXPECT_EQ(hub_.requests().back().headers.at("authorization"), "Bearer given");
}

TEST_F(Resume, TheNextEndpointGoesOnFromWhatIsThere) {
  constexpr size_t kBytes = 30u << 20;  // too small to be shared between them
  hub_.set_file("model.bin", random_bytes(kBytes, 1));
  FakeHub second;
  second.set_file("model.bin", hub_.content("model.bin"));
  // The first hub dies in the middle.
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    static std::atomic<int> bodies{0};
    if (request.file != "model.bin" || bodies++ < 1) return;
    reply = HubReply();
    reply.status = 503;
    reply.set("Retry-After", "1");  // by then the other part is here
  });
  config_.retries = 1;
  reopen();
  DownloadOptions options;
  options.endpoints = {"http://127.0.0.1:1", hub_.url(), second.url()};
  const auto done = download(options);
  ASSERT_TRUE(done) << done.error().one_line();
  EXPECT_TRUE(read_file(done->path / "model.bin") == hub_.content("model.bin"));
  EXPECT_TRUE(sink_.retried("trying " + second.url()));
  EXPECT_LT(second.body_bytes_sent(), kBytes - 1'000'000) << "what the first hub gave is not fetched again";
  options.endpoints = {"http://127.0.0.1:1", "http://127.0.0.1:2"};
  options.force = true;
  const auto failed = download(options);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("127.0.0.1:1"), std::string::npos) << "the first one's error";
}

TEST_F(Resume, ATokenOnTheCommandLineIsForTheFirstEndpoint) {
  hub_.set_file("model.bin", "x");
  FakeHub first;
  first.set_hook([](const HubRequest&, HubReply& reply) { reply.status = 404; });
  DownloadOptions options;
  options.endpoints = {first.url(), hub_.url()};
  options.token = "canary";
  ASSERT_TRUE(download(options));
  EXPECT_TRUE(first.requests().front().has("authorization"));
  for (const auto& request : hub_.requests()) EXPECT_FALSE(request.has("authorization"));
}

TEST_F(Resume, DeniedNamesTokenAndGate) {
  hub_.set_hook([](const HubRequest&, HubReply& reply) {
    reply = HubReply();
    reply.status = 401;
    reply.set("X-Error-Code", "GatedRepo");
  });
  const Error error = fails(ErrorCode::kHubDenied, from(Source::kHuggingFace));
  EXPECT_NE(error.message.find("GatedRepo"), std::string::npos);
  EXPECT_NE(error.hint.find("HF_TOKEN"), std::string::npos);
  EXPECT_NE(fails(ErrorCode::kHubDenied).hint.find("MODELSCOPE_API_TOKEN"), std::string::npos);
}

}  // namespace
}  // namespace mhub::hub::test
