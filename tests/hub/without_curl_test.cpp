// SPDX-License-Identifier: Apache-2.0
// A machine without libcurl: what needs the network says what to install.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstring>

#include "mhub/hub/accounts.h"
#include "mhub/hub/model_library.h"
#include "mhub/hub/remote_model.h"
#include "support/temp_dir.h"

// Instead of the C library's, in this program.
extern "C" void* dlopen(const char* name, int flags) noexcept {
  if (name && std::strncmp(name, "libcurl", 7) == 0) return nullptr;
  return reinterpret_cast<void* (*)(const char*, int)>(dlsym(RTLD_NEXT, "dlopen"))(name, flags);
}

namespace mhub::hub {
namespace {

class WithoutCurl : public ::testing::Test {
 protected:
  WithoutCurl() {
    config_.home = dir_ / "home";
    library_ = *ModelLibrary::open(config_);
  }
  static void expect_advice(const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kNetwork) << error.one_line();
    EXPECT_NE(error.hint.find("install libcurl"), std::string::npos) << error.one_line();
  }
  mhub::test::TempDir dir_;
  HubConfig config_;
  std::unique_ptr<ModelLibrary> library_;
};

TEST_F(WithoutCurl, DownloadSaysWhatToInstall) {
  ProgressSink sink;
  const auto done = library_->download(*ModelRef::parse("org/name"), {}, sink, {});
  ASSERT_FALSE(done);
  expect_advice(done.error());
}

TEST_F(WithoutCurl, ALookAtARemoteModelSaysWhatToInstall) {
  const auto model = RemoteModel::open(*library_, *ModelRef::parse("org/name"), {}, {});
  ASSERT_FALSE(model);
  expect_advice(model.error());
}

TEST_F(WithoutCurl, ALoginSaysWhatToInstall) {
  const auto account = Accounts(config_).login(Source::kModelScope, "https://hub.example", "token", {});
  ASSERT_FALSE(account);
  expect_advice(account.error());
}

TEST_F(WithoutCurl, AListOfAccountsSaysWhyNoneAnswers) {
  config_.modelscope_token = "token";
  const auto accounts = Accounts(config_).list({});
  ASSERT_TRUE(accounts);
  ASSERT_EQ(accounts->size(), 1u);
  ASSERT_TRUE(accounts->front().refused);
  expect_advice(*accounts->front().refused);
}

}  // namespace
}  // namespace mhub::hub
