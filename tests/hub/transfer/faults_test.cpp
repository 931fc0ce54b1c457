// SPDX-License-Identifier: Apache-2.0
// One test per row of the fault list of a downloader: what a server can do wrong, and what must come of it.
#include <fmt/format.h>

#include <atomic>
#include <ctime>

#include "hub/transfer/download_fixture.h"

namespace mhub::hub::test {
namespace {

class Faults : public DownloadTest {
 protected:
  Faults() { hub_.set_file("model.bin", large_); }
  const std::string large_ = random_bytes(kLarge, 1);
  std::atomic<int> count_{0};
  // Only replies that carry bytes of a file.
  void lie(std::function<void(const HubRequest&, HubReply&)> hook) {
    hub_.set_hook([hook](const HubRequest& request, HubReply& reply) {
      if (!request.file.empty()) hook(request, reply);
    });
  }
  // As if the request had no Range.
  void whole(HubReply& reply) {
    reply.status = 200;
    reply.body = large_;
    std::erase_if(reply.headers, [](const auto& header) { return header.first == "Content-Range"; });
  }
};

TEST_F(Faults, F01CleanFilesOfManySizes) {
  hub_.set_file("one", "x");
  hub_.set_file("empty", "");
  hub_.set_file("deep/er/config.json", "{}");
  for (const Source source : {Source::kModelScope, Source::kHuggingFace}) {
    config_.home = dir_ / std::string(source_name(source));
    reopen();
    const auto summary = succeeds(from(source));
    EXPECT_EQ(summary.files, 4u);
    EXPECT_LE(summary.bytes_network, kLarge + kLarge / 50);
    EXPECT_GE(summary.bytes_network, kLarge);
    const auto model = library_->list()->front();
    EXPECT_TRUE(model.complete);
    EXPECT_EQ(model.commit, std::string(40, 'c'));
    EXPECT_TRUE(library_->verify("org/name", {})->problems.empty());
  }
}

TEST_F(Faults, F01ManyParts) {
  const std::string zeros(size_t{120} << 20, '\0');
  hub_.set_file("zeros.bin", zeros);
  EXPECT_EQ(succeeds().files, 2u);
}

TEST_F(Faults, F02CutBodiesGoOnWhereTheyEnded) {
  for (const size_t k : {size_t{64} << 10, (size_t{1} << 20) - 1, size_t{9} << 20}) {
    config_.home = dir_ / std::to_string(k);
    reopen();
    lie([k](const HubRequest&, HubReply& reply) {
      if (reply.body.size() > k) reply.cut_after = k;
    });
    hub_.forget_requests();
    succeeds();
    EXPECT_LE(hub_.body_bytes_sent(), kLarge + kLarge / (k <= 64u << 10 ? 10 : 50)) << "cut after " << k;
  }
}

TEST_F(Faults, F02CutAtOnceEndsAfterTheBudget) {
  for (const size_t k : {0, 1}) {
    lie([k](const HubRequest&, HubReply& reply) { reply.cut_after = k; });
    fails(ErrorCode::kNetwork);
    EXPECT_TRUE(final_files().empty());
  }
}

TEST_F(Faults, F03RangesIgnored) {
  lie([this](const HubRequest&, HubReply& reply) { whole(reply); });
  succeeds();
}

TEST_F(Faults, F03RangesIgnoredOnTheOnlyConnection) {
  config_.max_workers = 1;
  reopen();
  lie([this](const HubRequest&, HubReply& reply) { whole(reply); });
  succeeds();
  EXPECT_EQ(hub_.body_requests(), 1u) << "all of it came with the first request";
}

TEST_F(Faults, F04RangesShiftedByOne) {
  lie([this](const HubRequest& request, HubReply& reply) {
    if (!request.range) return;
    const auto [first, last] = *request.range;
    reply.body = large_.substr(first + 1, last - first + 1);
    reply.set("Content-Range", fmt::format("bytes {}-{}/{}", first + 1, first + reply.body.size(), large_.size()));
  });
  succeeds();
  EXPECT_TRUE(sink_.retried("one stream"));
}

TEST_F(Faults, F05WrongTotal) {
  lie([](const HubRequest& request, HubReply& reply) {
    if (request.range) {
      reply.set("Content-Range", fmt::format("bytes {}-{}/999999999", request.range->first, request.range->second));
    }
  });
  succeeds();
}

TEST_F(Faults, F06ContentLengthShortLongAbsent) {
  lie([](const HubRequest&, HubReply& reply) { reply.without_length = true; });
  succeeds();
  for (const int by : {-1, 1}) {
    config_.home = dir_ / std::to_string(by);
    reopen();
    lie([by](const HubRequest& request, HubReply& reply) {
      reply.claimed_length = reply.body.size() + static_cast<uint64_t>(by);
      (void)request;
    });
    EXPECT_EQ(error_info(fails(ErrorCode::kIntegrity).code).exit_code, 4);
  }
}

TEST_F(Faults, F06BodyLongerThanListed) {
  hub_.set_file("small.txt", "0123456789");
  lie([](const HubRequest& request, HubReply& reply) {
    if (request.file != "small.txt") return;
    reply.body += "more";
    reply.without_length = true;
  });
  fails(ErrorCode::kIntegrity);
}

TEST_F(Faults, F07CompressedBody) {
  lie([](const HubRequest&, HubReply& reply) { reply.set("Content-Encoding", "gzip"); });
  fails(ErrorCode::kNetwork);
}

TEST_F(Faults, F08HtmlInsteadOfBytes) {
  lie([](const HubRequest&, HubReply& reply) {
    reply = HubReply();
    reply.set("Content-Type", "text/html");
    reply.body = "<html>please log in</html>";
  });
  const Error error = fails(ErrorCode::kIntegrity);
  EXPECT_NE(error.message.find("text/html"), std::string::npos) << error.message;
}

TEST_F(Faults, F08HtmlInsteadOfTheListing) {
  hub_.set_hook([](const HubRequest&, HubReply& reply) {
    reply = HubReply();
    reply.body = "<html>please log in</html>";
  });
  fails(ErrorCode::kNetwork);
}

TEST_F(Faults, F09ValidatorChangesBetweenRanges) {
  lie([this](const HubRequest&, HubReply& reply) { reply.set("ETag", fmt::format("\"v{}\"", std::min(count_++, 2))); });
  succeeds();
}

TEST_F(Faults, F09ValidatorNeverTheSame) {
  // Servers behind one name may disagree for ever about the ETag of the same bytes: the hash decides.
  lie([this](const HubRequest&, HubReply& reply) { reply.set("ETag", fmt::format("\"v{}\"", count_++)); });
  succeeds();
}

TEST_F(Faults, F10OtherBytesUnderTheSameValidator) {
  lie([](const HubRequest&, HubReply& reply) {
    if (!reply.body.empty()) reply.body[reply.body.size() / 2] ^= 1;
  });
  const Error error = fails(ErrorCode::kIntegrity);
  EXPECT_NE(error.message.find("hash"), std::string::npos);
  EXPECT_TRUE(final_files().empty());
}

TEST_F(Faults, F10OneFlippedBitIsFetchedAgain) {
  lie([this](const HubRequest&, HubReply& reply) {
    if (count_++ == 0) reply.body[reply.body.size() / 2] ^= 1;
  });
  succeeds();
  EXPECT_TRUE(sink_.retried("once more"));
}

TEST_F(Faults, F11StallForEver) {
  lie([this](const HubRequest&, HubReply& reply) {
    if (count_++ < 2) reply.stall_after = reply.body.size() / 2;
  });
  succeeds();
  EXPECT_TRUE(sink_.retried("fewer than"));
}

TEST_F(Faults, F12OneSlowConnection) {
  config_.stall_timeout_seconds = 30;
  reopen();
  hub_.set_file("more.bin", random_bytes(kLarge, 2));
  lie([this](const HubRequest&, HubReply& reply) { reply.bytes_per_second = count_++ == 0 ? 10e3 : 8e6; });
  const auto start = std::chrono::steady_clock::now();
  succeeds();
  // The slow part alone would take half an hour.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

TEST_F(Faults, F13RangeNotThereOnce) {
  lie([this](const HubRequest& request, HubReply& reply) {
    if (!request.range || count_++ > 0) return;
    reply = HubReply();
    reply.status = 416;
  });
  succeeds();
}

TEST_F(Faults, F13RangeNotThereAlways) {
  lie([](const HubRequest&, HubReply& reply) {
    reply = HubReply();
    reply.status = 416;
  });
  fails(ErrorCode::kIntegrity);
}

TEST_F(Faults, F14TooManyRequests) {
  lie([this](const HubRequest&, HubReply& reply) {
    const int n = count_++;
    if (n > 2) return;
    reply = HubReply();
    reply.status = 429;
    if (n == 0) reply.set("Retry-After", "1");
    if (n == 1) {
      reply.set("Date", "Wed, 21 Oct 2015 07:28:00 GMT");
      reply.set("Retry-After", "Wed, 21 Oct 2015 07:28:01 GMT");
    }
  });
  const auto start = std::chrono::steady_clock::now();
  succeeds();
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(900));
}

TEST_F(Faults, F14LongWaitIsGivenUp) {
  lie([](const HubRequest&, HubReply& reply) {
    reply = HubReply();
    reply.status = 429;
    reply.set("Retry-After", "86400");
  });
  const auto start = std::chrono::steady_clock::now();
  const Error error = fails(ErrorCode::kNetwork);
  EXPECT_NE(error.message.find("86400"), std::string::npos) << error.message;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST_F(Faults, F15UnavailableThenGood) {
  hub_.set_hook([this](const HubRequest& request, HubReply& reply) {
    // The first API call and the first request for bytes fail three times each.
    static std::atomic<int> api{0};
    if ((request.file.empty() ? api : count_)++ > 2) return;
    reply = HubReply();
    reply.status = 503;
  });
  succeeds();
}

// A mirror whose file is damaged says so, each time the same.
TEST_F(Faults, F22TheSame500EachTimeIsSoonBelievedAndShown) {
  config_.retries = 50;
  reopen();
  lie([this](const HubRequest&, HubReply& reply) {
    ++count_;
    reply = HubReply();
    reply.status = 500;
    reply.set("Content-Type", "text/plain; charset=utf-8");
    reply.body = "model.bin has changed on disk; run `mhub verify`\n";
  });
  const Error error = fails(ErrorCode::kNetwork);
  EXPECT_NE(error.message.find("run `mhub verify`"), std::string::npos) << error.one_line();
  EXPECT_LT(count_, 20);
}

TEST_F(Faults, F22TheSame500OfTheListing) {
  config_.retries = 50;
  reopen();
  hub_.set_hook([this](const HubRequest&, HubReply& reply) {
    ++count_;
    reply = HubReply();
    reply.status = 500;
    reply.set("Content-Type", "application/json");
    reply.body = R"({"Code":500,"Message":"no database"})";
  });
  const Error error = fails(ErrorCode::kNetwork);
  EXPECT_NE(error.message.find("no database"), std::string::npos) << error.one_line();
  EXPECT_TRUE(sink_.retried("no database")) << "told before the first wait";
  EXPECT_LT(count_, 10);
}

TEST_F(Faults, F28AnUnknownNameIsToldAtOnce) {
  config_.modelscope_endpoint = "http://no-such-host.invalid";
  config_.retries = 1;
  reopen();
  fails(ErrorCode::kNetwork);
  ASSERT_FALSE(sink_.retries.empty());
  EXPECT_NE(sink_.retries.front().find("no-such-host.invalid"), std::string::npos) << sink_.retries.front();
}

TEST_F(Faults, F16SignedAddressExpires) {
  FakeHub store;
  store.set_file("model.bin", large_);
  // The hub redirects to a store with a signature; the store takes each signature once.
  std::atomic<int> signature{0};
  std::atomic<int> uses{0};
  lie([&](const HubRequest&, HubReply& reply) {
    reply = HubReply();
    reply.status = 302;
    uses = 0;
    reply.set("Location", fmt::format("{}/org/name/resolve/main/model.bin?signature={}", store.url(), ++signature));
  });
  store.set_hook([&](const HubRequest& request, HubReply& reply) {
    if (request.query_value("signature") == std::to_string(signature) && uses++ < 1) return;
    reply = HubReply();
    reply.status = 403;
  });
  config_.max_workers = 1;
  reopen();
  succeeds();
  EXPECT_GT(signature, 1);
}

TEST_F(Faults, F17CredentialsDoNotFollowToAnotherPort) {
  FakeHub store;
  store.set_file("model.bin", large_);
  config_.modelscope_token = "canary-token";
  reopen();
  lie([&](const HubRequest&, HubReply& reply) {
    reply = HubReply();
    reply.status = 302;
    reply.set("Location", store.url() + "/org/name/resolve/main/model.bin");
  });
  succeeds();
  ASSERT_FALSE(store.requests().empty());
  for (const auto& request : store.requests()) {
    EXPECT_FALSE(request.has("authorization") || request.has("cookie"));
  }
  for (const auto& request : hub_.requests()) {
    EXPECT_EQ(request.headers.at("authorization"), "Bearer canary-token");
    EXPECT_EQ(request.headers.at("cookie"), "m_session_id=canary-token");
  }
}

TEST_F(Faults, F18RedirectLoop) {
  lie([this](const HubRequest& request, HubReply& reply) {
    reply = HubReply();
    reply.status = 302;
    reply.set("Location", hub_.url() + request.path + "?" + request.query);
  });
  fails(ErrorCode::kNetwork);
}

TEST_F(Faults, F18RedirectToAForbiddenAddress) {
  for (const char* target : {"file:///etc/passwd", "gopher://x/", "http://169.254.169.254/latest/meta-data",
                             "http://[::ffff:169.254.169.254]/", "http://user:pass@127.0.0.1/"}) {
    lie([target](const HubRequest&, HubReply& reply) {
      reply = HubReply();
      reply.status = 302;
      reply.set("Location", target);
    });
    EXPECT_EQ(error_info(fails(ErrorCode::kPolicy).code).exit_code, 8) << target;
  }
}

TEST_F(Faults, F19HostileNames) {
  for (const char* name : {"../x", "/x", "a/../../x", "C:\\x",
                           "a\x01"
                           "b",
                           ".mhub/x", "a//b"}) {
    hub_.set_hook([name](const HubRequest& request, HubReply& reply) {
      if (!request.path.ends_with("/repo/files")) return;
      const std::string from = "\"Path\":\"model.bin\"";
      const size_t at = reply.body.find(from);
      std::string escaped;
      for (const char* c = name; *c; ++c) escaped += *c == '\\' ? "\\\\" : *c == 1 ? "\\u0001" : std::string(1, *c);
      reply.body.replace(at, from.size(), "\"Path\":\"" + escaped + "\"");
    });
    EXPECT_EQ(error_info(fails(ErrorCode::kPolicy).code).exit_code, 8) << name;
    EXPECT_TRUE(final_files().empty());
    EXPECT_EQ(hub_.body_requests(), 0u);
  }
}

TEST_F(Faults, F19FileAndDirectoryOfOneName) {
  hub_.set_file("a", "1");
  hub_.set_file("a/b", "2");
  fails(ErrorCode::kPolicy);
  EXPECT_EQ(hub_.body_requests(), 0u);
}

TEST_F(Faults, F21FailureInsideA200) {
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    if (!request.path.ends_with("/repo/files")) return;
    reply.body = R"({"Code":10010205001,"Success":false,"Message":"no such model","RequestId":"r-1"})";
  });
  const Error error = fails(ErrorCode::kHubNotFound);
  EXPECT_NE(error.message.find("no such model"), std::string::npos);
  EXPECT_NE(error.hint.find("private"), std::string::npos);
}

TEST_F(Faults, F22OneFileMissingFailsTheWhole) {
  for (int i = 0; i < 10; ++i) hub_.set_file("f" + std::to_string(i), random_bytes(1000, 100 + i));
  for (const int status : {404, 500, 403}) {
    lie([status](const HubRequest& request, HubReply& reply) {
      if (request.file != "f5") return;
      reply = HubReply();
      reply.status = status;
    });
    const auto code = status == 404   ? ErrorCode::kHubNotFound
                      : status == 403 ? ErrorCode::kHubDenied
                                      : ErrorCode::kNetwork;
    EXPECT_NE(fails(code).message.find("f5"), std::string::npos);
  }
  // What was there before is kept: the next run fetches only what is missing.
  hub_.set_hook({});
  hub_.forget_requests();
  succeeds();
  for (const auto& request : hub_.requests()) EXPECT_NE(request.file, "f0");
}

TEST_F(Faults, F26StalePartialOfOtherBytes) {
  // A run that stops midway, then another content under the same name and commit.
  std::stop_source stop;
  sink_.at_progress = [&](uint64_t done) {
    if (done > kLarge / 4) stop.request_stop();
  };
  hub_.set_bytes_per_second(60e6);
  const auto stopped = download({}, "org/name", stop.get_token());
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::kInterrupted);
  EXPECT_FALSE(stopped.error().hint.empty());
  sink_.at_progress = {};
  hub_.set_bytes_per_second(0);
  hub_.set_file("model.bin", random_bytes(kLarge, 3));
  succeeds();
}

}  // namespace
}  // namespace mhub::hub::test
