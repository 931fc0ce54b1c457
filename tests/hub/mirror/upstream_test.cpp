// SPDX-License-Identifier: Apache-2.0
// A pull-through mirror before a hub, with our own client behind it.
#include "mirror/upstream.h"

#include <gtest/gtest.h>

#include <thread>

#include "hub/transfer/download_fixture.h"
#include "mhub/hub/mirror.h"
#include "support/tls_front.h"

namespace mhub::hub {
namespace {
using namespace test;

class PullThrough : public DownloadTest {
 protected:
  PullThrough() {
    hub_.set_file("model.bin", random_bytes(9u << 20, 3));
    hub_.set_file("config.json", "{}");
  }
  void start_mirror(const std::string& upstream = "modelscope") {
    MirrorOptions config;
    config.port = 0;
    config.upstream = upstream;
    auto mirror = Mirror::start(*library_, config);
    ASSERT_TRUE(mirror) << mirror.error().one_line();
    mirror_ = *std::move(mirror);
  }
  // A client with a home of its own, in one dialect.
  Result<DownloadSummary> client(int number, Source source, const std::string& scheme = "http") {
    HubConfig config = config_;
    config.home = dir_ / ("client" + std::to_string(number));
    config.modelscope_endpoint = config.huggingface_endpoint =
        scheme + "://127.0.0.1:" + std::to_string(mirror_->port());
    config.stall_timeout_seconds = 20;
    auto library = ModelLibrary::open(config);
    if (!library) return library.error();
    RecordingSink sink;
    DownloadOptions options;
    options.source = source;
    return (*library)->download(*ModelRef::parse("org/name"), options, sink, {});
  }
  std::unique_ptr<Mirror> mirror_;
};

TEST_F(PullThrough, ManyClientsOfAColdModelCauseOneTransfer) {
  start_mirror();
  constexpr int kClients = 6;
  std::vector<std::thread> threads;
  std::vector<Result<DownloadSummary>> results(kClients, Result<DownloadSummary>(Error{}));
  for (int i = 0; i < kClients; ++i) {
    threads.emplace_back([&, i] { results[i] = client(i, i % 2 ? Source::kHuggingFace : Source::kModelScope); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) {
    ASSERT_TRUE(result) << result.error().one_line();
    EXPECT_EQ(sha256_of(read_file(result->path / "model.bin")), sha256_of(hub_.content("model.bin")));
  }
  EXPECT_EQ(hub_.body_bytes_sent(), (9u << 20) + 2) << "each byte once";
}

TEST_F(PullThrough, WhatIsHereIsServedWithoutTheUpstream) {
  start_mirror();
  ASSERT_TRUE(client(1, Source::kModelScope));
  mirror_.reset();
  ASSERT_TRUE(download());  // completes the mirror's row: it has all files
  hub_.forget_requests();
  start_mirror();
  ASSERT_TRUE(client(2, Source::kModelScope));
  EXPECT_EQ(hub_.requests().size(), 0u);
}

TEST_F(PullThrough, SpeaksTlsToClientsThatKnowItsAuthority) {
  const mhub::test::TestCa authority;
  const mhub::test::Certificate certificate = authority.issue("127.0.0.1");
  write_file(dir_ / "ca.pem", authority.pem());
  write_file(dir_ / "cert.pem", certificate.certificate_pem);
  write_file(dir_ / "key.pem", certificate.key_pem);
  MirrorOptions options;
  options.port = 0;
  options.upstream = "modelscope";
  options.tls_certificate_file = dir_ / "cert.pem";
  ASSERT_FALSE(Mirror::start(*library_, options)) << "a certificate without its key";
  options.tls_key_file = dir_ / "key.pem";
  auto mirror = Mirror::start(*library_, options);
  ASSERT_TRUE(mirror) << mirror.error().one_line();
  mirror_ = *std::move(mirror);
  const auto distrustful = client(1, Source::kModelScope, "https");
  ASSERT_FALSE(distrustful);
  EXPECT_NE(distrustful.error().hint.find("SSL_CERT_FILE"), std::string::npos) << distrustful.error().one_line();
  config_.ca_file = dir_ / "ca.pem";
  for (const Source source : {Source::kModelScope, Source::kHuggingFace}) {
    const auto done = client(static_cast<int>(source) + 2, source, "https");
    ASSERT_TRUE(done) << done.error().one_line();
    EXPECT_EQ(sha256_of(read_file(done->path / "model.bin")), sha256_of(hub_.content("model.bin")));
  }
}

TEST_F(PullThrough, AFileThatTheUpstreamDamagesIsNeverServed) {
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    if (request.file == "model.bin" && !reply.body.empty()) reply.body[0] ^= 1;
  });
  start_mirror();
  const auto result = client(1, Source::kModelScope);
  ASSERT_FALSE(result);
  for (const auto& entry : fs::recursive_directory_iterator(dir_ / "client1/models")) {
    EXPECT_NE(entry.path().filename(), "model.bin");
  }
}

TEST_F(PullThrough, AnUnknownModelIsNotFound) {
  start_mirror();
  HubConfig config = config_;
  config.home = dir_ / "client";
  config.modelscope_endpoint = "http://127.0.0.1:" + std::to_string(mirror_->port());
  const auto library = ModelLibrary::open(config);
  RecordingSink sink;
  const auto result = (*library)->download(*ModelRef::parse("ms:org/none"), {}, sink, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(error_info(result.error().code).exit_code, 3);
}

}  // namespace
}  // namespace mhub::hub
