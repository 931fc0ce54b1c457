// SPDX-License-Identifier: Apache-2.0
#include "transfer/source_choice.h"

#include <gtest/gtest.h>

#include "store/open_beneath.h"
#include "support/temp_dir.h"
#include "transfer/work_queue.h"

namespace mhub::hub {
namespace {

class NoHub final : public HubApi {
 public:
  Source source() const override { return Source::kModelScope; }
  std::string default_revision() const override { return "master"; }
  Result<std::string> find_commit(const std::string&, std::stop_token) override { return std::string(); }
  Result<Snapshot> list(const std::string&, const std::string&, std::stop_token) override { return Snapshot(); }
  Result<RepositoryInfo> info(const std::string&, std::stop_token) override { return RepositoryInfo(); }
  HttpRequest file_request(const RemoteFile&) const override { return {}; }
};

// One file that the endpoints 0 and 1 have.
class SourceChoiceTest : public ::testing::Test {
 protected:
  SourceChoiceTest() {
    choice_.add();
    file_->add_source(1, hub_, remote_);
  }
  void fail_often(size_t source) {
    while (!choice_.note_failure(source)) {
    }
  }

  const RemoteFile remote_{"model.bin", 1000, std::string(64, 'a'), "", "master"};
  NoHub hub_;
  mhub::test::TempDir dir_;
  UniqueFd work_ = *open_directory(dir_.path(), true);
  WorkQueue queue_{1, [] {}};
  std::unique_ptr<FileTransfer> file_ = *FileTransfer::open(hub_, remote_, work_.get(), queue_, {});
  SourceChoice choice_;
};

TEST_F(SourceChoiceTest, OneThatFailedOftenIsTrustedAgainAfterAWholePart) {
  fail_often(0);
  EXPECT_EQ(choice_.choose(*file_, {}), 1u);
  choice_.note_success(0);
  choice_.started(1);
  EXPECT_EQ(choice_.choose(*file_, {}), 0u);
}

TEST_F(SourceChoiceTest, OneThatWasGivenUpStaysSoWhateverItDelivers) {
  choice_.give_up_all_but_first();
  choice_.note_success(1);
  choice_.note_rate(1, 1e9);
  choice_.started(0);
  EXPECT_EQ(choice_.choose(*file_, {}), 0u);
  EXPECT_FALSE(choice_.has_other(*file_, {{0, false}}));
  fail_often(0);
  EXPECT_EQ(choice_.choose(*file_, {{0, false}}), 0u) << "damaged bytes are no way out";
}

}  // namespace
}  // namespace mhub::hub
