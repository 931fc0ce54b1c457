// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "mhub/hub/model_library.h"
#include "support/fake_hub.h"
#include "support/temp_dir.h"

namespace mhub::hub::test {

using mhub::test::FakeHub;
using mhub::test::HubReply;
using mhub::test::HubRequest;
using mhub::test::random_bytes;
using mhub::test::read_file;
using mhub::test::sha256_of;
using mhub::test::TempDir;
using mhub::test::write_file;
namespace fs = std::filesystem;

struct RecordingSink : ProgressSink {
  void on_plan(const DownloadPlan& p) override { plan = p; }
  void on_progress(const std::string&, uint64_t done, uint64_t) override {
    most = std::max(most, done);
    if (at_progress) at_progress(done);
  }
  void on_retry(const std::string& path, const std::string& reason) override {
    retries.push_back(path + ": " + reason);
  }
  void on_file_done(const std::string& path, const std::string&, uint64_t) override { files_done.push_back(path); }
  bool retried(const std::string& text) const {
    return std::any_of(retries.begin(), retries.end(),
                       [&](const auto& r) { return r.find(text) != std::string::npos; });
  }
  DownloadPlan plan;
  uint64_t most = 0;
  std::vector<std::string> retries, files_done;
  std::function<void(uint64_t)> at_progress;
};

// A library in an empty home against a lying hub, with little patience.
class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest() {
    config_.home = dir_ / "home";
    config_.modelscope_endpoint = config_.huggingface_endpoint = hub_.url();
    config_.retries = 4;
    config_.retry_delay_seconds = 0.01;
    config_.connect_timeout_seconds = 2;
    config_.stall_timeout_seconds = 1;
    reopen();
  }
  void reopen() {
    library_.reset();
    auto opened = ModelLibrary::open(config_);
    if (!opened) throw std::runtime_error(opened.error().one_line());
    library_ = *std::move(opened);
  }
  Result<DownloadSummary> download(const DownloadOptions& options = {}, const std::string& model = "org/name",
                                   std::stop_token stop = {}) {
    const auto at_progress = std::move(sink_.at_progress);
    sink_ = RecordingSink();
    sink_.at_progress = at_progress;
    return library_->download(*ModelRef::parse(model), options, sink_, std::move(stop));
  }
  DownloadOptions from(Source source) const {
    DownloadOptions options;
    options.source = source;
    return options;
  }
  // Downloads and compares every byte with the hub's content; returns the summary.
  DownloadSummary succeeds(const DownloadOptions& options = {}) {
    auto done = download(options);
    EXPECT_TRUE(done) << done.error().one_line();
    if (!done) return {};
    for (const auto& file : sink_.plan.files) {
      EXPECT_EQ(sha256_of(read_file(done->path / file.path)), sha256_of(hub_.content(file.path))) << file.path;
    }
    EXPECT_EQ(library_->list()->size(), 1u);
    return *done;
  }
  // Fails with this code; nothing is registered and no file has its final name.
  Error fails(ErrorCode code, const DownloadOptions& options = {}) {
    auto done = download(options);
    EXPECT_FALSE(done);
    if (done) return {};
    EXPECT_EQ(error_info(done.error().code).name, error_info(code).name) << done.error().one_line();
    EXPECT_FALSE(done.error().message.empty());
    EXPECT_TRUE(library_->list()->empty());
    return done.error();
  }
  std::vector<fs::path> final_files() const {
    std::vector<fs::path> found;
    const fs::path models = config_.home / "models";
    if (!fs::exists(models)) return found;
    for (const auto& entry : fs::recursive_directory_iterator(models)) {
      if (entry.is_regular_file()) found.push_back(entry.path());
    }
    return found;
  }

  static constexpr size_t kLarge = 40u << 20;  // three ranged parts
  TempDir dir_;
  FakeHub hub_;
  HubConfig config_;
  std::unique_ptr<ModelLibrary> library_;
  RecordingSink sink_;
};

}  // namespace mhub::hub::test
