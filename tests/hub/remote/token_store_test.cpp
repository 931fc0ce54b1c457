// SPDX-License-Identifier: Apache-2.0
#include "remote/token_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "support/temp_dir.h"

namespace mhub::hub {
namespace {

using mhub::test::TempDir;
using mhub::test::write_file;

class TokenStoreTest : public ::testing::Test {
 protected:
  TempDir dir_;
  TokenStore store_{dir_.path()};
};

TEST_F(TokenStoreTest, OneTokenPerHostInAFileOfOurOwn) {
  EXPECT_TRUE(store_.read()->empty());
  ASSERT_TRUE(store_.put({Source::kModelScope, "https://modelscope.cn", "one", "u"}));
  ASSERT_TRUE(store_.put({Source::kHuggingFace, "https://huggingface.co", "two", ""}));
  ASSERT_TRUE(store_.put({Source::kModelScope, "https://www.modelscope.cn", "three", "v"})) << "the same hub";
  const auto tokens = store_.read();
  ASSERT_TRUE(tokens);
  ASSERT_EQ(tokens->size(), 2u);
  EXPECT_EQ(tokens->at(same_hub_key("https://modelscope.cn")).token, "three");
  struct stat info {};
  ASSERT_EQ(stat(store_.file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_TRUE(*store_.remove("https://modelscope.cn"));
  EXPECT_FALSE(*store_.remove("https://modelscope.cn"));
  EXPECT_EQ(store_.read()->size(), 1u);
}

TEST_F(TokenStoreTest, SchemeHostAndPortAreDifferentHubs) {
  ASSERT_TRUE(store_.put({Source::kHuggingFace, "https://hub.example", "a", ""}));
  ASSERT_TRUE(store_.put({Source::kHuggingFace, "http://hub.example", "b", ""}));
  ASSERT_TRUE(store_.put({Source::kHuggingFace, "https://hub.example:8443", "c", ""}));
  EXPECT_EQ(store_.read()->size(), 3u);
}

TEST_F(TokenStoreTest, AFileThatOthersCanReadIsRefused) {
  ASSERT_TRUE(store_.put({Source::kHuggingFace, "https://huggingface.co", "two", ""}));
  ASSERT_EQ(chmod(store_.file().c_str(), 0644), 0);
  const auto tokens = store_.read();
  ASSERT_FALSE(tokens);
  EXPECT_EQ(tokens.error().code, ErrorCode::kPolicy);
  EXPECT_NE(tokens.error().hint.find("chmod 600"), std::string::npos);
}

TEST_F(TokenStoreTest, DamageIsToldAndNotOverwritten) {
  for (const char* text :
       {"", "{", "[]", "{}", R"({"tokens": []})", R"({"tokens": {"https://a:443": {"token": "x"}}})",
        R"({"tokens": {"https://a:443": {"source": "hf", "endpoint": "https://b", "token": "x"}}})"}) {
    write_file(store_.file(), text);
    ASSERT_EQ(chmod(store_.file().c_str(), 0600), 0);
    EXPECT_FALSE(store_.read()) << text;
    EXPECT_FALSE(store_.put({Source::kHuggingFace, "https://huggingface.co", "two", ""})) << text;
  }
}

TEST_F(TokenStoreTest, LoginsAtOnceKeepAllTokens) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this, i] {
      EXPECT_TRUE(store_.put({Source::kHuggingFace, "https://h" + std::to_string(i), "t", ""}));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store_.read()->size(), 8u);
}

}  // namespace
}  // namespace mhub::hub
