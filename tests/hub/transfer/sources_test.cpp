// SPDX-License-Identifier: Apache-2.0
// Several endpoints with the same bytes: ranges of one file come from all of them, and none can spoil it.
#include <atomic>

#include "hub/transfer/download_fixture.h"

namespace mhub::hub::test {
namespace {

class Sources : public DownloadTest {
 protected:
  Sources() {
    config_.max_workers = 2;
    reopen();
    hub_.set_file("model.bin", bytes_);
    hub_.set_bytes_per_second(80e6);
    second_.set_bytes_per_second(80e6);
    options_.endpoints = {hub_.url(), second_.url()};
  }
  // Only replies of the second endpoint that carry bytes of a file.
  void lie(std::function<void(HubReply&)> hook) {
    second_.set_hook([hook](const HubRequest& request, HubReply& reply) {
      if (!request.file.empty()) hook(reply);
    });
  }
  static HubReply refusal(int status) {
    HubReply reply;
    reply.status = status;
    return reply;
  }
  const std::string bytes_ = random_bytes(size_t{96} << 20, 1);  // six parts
  FakeHub second_;
  DownloadOptions options_;
};

TEST_F(Sources, PartsComeFromBothWhereTheDigestsAgree) {
  second_.set_file("model.bin", bytes_);
  succeeds(options_);
  EXPECT_TRUE(sink_.retried("same bytes"));
  EXPECT_GT(hub_.body_bytes_sent(), bytes_.size() / 12);
  EXPECT_GT(second_.body_bytes_sent(), bytes_.size() / 12) << "a whole part at least";
  EXPECT_LE(hub_.body_bytes_sent() + second_.body_bytes_sent(), bytes_.size() + (1u << 20)) << "nothing twice";
}

TEST_F(Sources, AnotherDigestIsNeverAskedForBytes) {
  second_.set_file("model.bin", random_bytes(bytes_.size(), 2));
  succeeds(options_);
  EXPECT_GT(second_.api_requests(), 0u);
  EXPECT_EQ(second_.body_requests(), 0u);
}

TEST_F(Sources, OneThatDamagesBytesIsLeftOut) {
  second_.set_file("model.bin", bytes_);
  lie([](HubReply& reply) { reply.body[reply.body.size() / 2] ^= 1; });
  succeeds(options_);
  EXPECT_TRUE(sink_.retried("from the first endpoint alone"));
}

TEST_F(Sources, OneThatRefusesIgnoresRangesOrDiesCostsNothingButItsParts) {
  second_.set_file("model.bin", bytes_);
  const std::vector<std::function<void(HubReply&)>> lies = {
      [](HubReply& reply) { reply = refusal(403); },
      [](HubReply& reply) { reply = refusal(503); },
      [this](HubReply& reply) {
        reply = HubReply();
        reply.body = bytes_;
      },
      [](HubReply& reply) { reply.cut_after = 0; },
  };
  for (size_t i = 0; i < lies.size(); ++i) {
    config_.home = dir_ / std::to_string(i);
    reopen();
    hub_.forget_requests();
    lie(lies[i]);
    succeeds(options_);
    EXPECT_TRUE(sink_.retried("the other endpoint")) << i;
    EXPECT_LE(hub_.body_bytes_sent(), bytes_.size() + (1u << 20)) << i;
  }
}

TEST_F(Sources, TheFirstMayFailMidwayWithoutAPause) {
  second_.set_file("model.bin", bytes_);
  std::atomic<int> bodies{0};
  hub_.set_hook([&](const HubRequest& request, HubReply& reply) {
    if (!request.file.empty() && bodies++ >= 3) reply = refusal(503);
  });
  config_.retry_delay_seconds = 60;  // a wait would be noticed
  reopen();
  const auto start = std::chrono::steady_clock::now();
  succeeds(options_);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

// One file is refused at both while parts of others keep coming: it is asked for at each once, then with pauses.
TEST_F(Sources, WhatBothRefuseIsNotAskedForAgainAndAgain) {
  const std::string refused = random_bytes(size_t{40} << 20, 3);
  constexpr size_t kParts = 2;  // of it
  for (FakeHub* hub : {&hub_, &second_}) {
    hub->set_file("model.bin", bytes_);
    hub->set_file("refused.bin", refused);
    hub->set_file("with.bin", bytes_);
  }
  config_.retries = 1;
  for (const int status : {404, 429}) {
    config_.home = dir_ / std::to_string(status);
    reopen();
    std::atomic<size_t> asked{0};
    const auto refuse = [&](const HubRequest& request, HubReply& reply) {
      if (request.file != "refused.bin") return;
      ++asked;
      reply = refusal(status);
      reply.headers.emplace_back("Retry-After", "1");
    };
    hub_.set_hook(refuse);
    second_.set_hook(refuse);
    const auto start = std::chrono::steady_clock::now();
    fails(status == 404 ? ErrorCode::kHubNotFound : ErrorCode::kNetwork, options_);
    EXPECT_TRUE(sink_.retried("asking the other endpoint")) << status;
    // At each once, with one more try where waiting may help; then the download goes on at the second alone.
    EXPECT_LE(asked, kParts * (status == 404 ? 2 + 1 : 3 + 2)) << status;
    const auto least = std::chrono::seconds(status == 429 ? 1 : 0);
    EXPECT_GE(std::chrono::steady_clock::now() - start, least) << status;
    hub_.set_hook({});
    second_.set_hook({});
  }
}

TEST_F(Sources, ARefusalOfOneDoesNotEndWhatTheOtherGivesLater) {
  second_.set_file("model.bin", bytes_);
  lie([](HubReply& reply) { reply = refusal(403); });
  std::atomic<int> bodies{0};
  hub_.set_hook([&](const HubRequest& request, HubReply& reply) {
    if (!request.file.empty() && bodies++ >= 2 && bodies <= 5) reply = refusal(503);
  });
  succeeds(options_);
}

TEST_F(Sources, SmallDownloadsAskNobodyElse) {
  hub_.set_file("model.bin", "small");
  second_.set_file("model.bin", "small");
  succeeds(options_);
  EXPECT_TRUE(second_.requests().empty());
}

}  // namespace
}  // namespace mhub::hub::test
