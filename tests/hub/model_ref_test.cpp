// SPDX-License-Identifier: Apache-2.0
#include "mhub/hub/model_ref.h"

#include <gtest/gtest.h>

#include <string>

namespace mhub::hub {
namespace {

struct Good {
  std::string text;
  std::optional<Source> source;
  std::optional<std::string> endpoint;
  std::string repo_id;
  std::optional<std::string> revision;
};

TEST(ModelRef, ReadsEveryForm) {
  const std::string commit(40, 'a');
  const Good cases[] = {
      {"org/name", {}, {}, "org/name", {}},
      {"gpt2", {}, {}, "gpt2", {}},
      {"ms:Qwen/Qwen2-0.5B", Source::kModelScope, {}, "Qwen/Qwen2-0.5B", {}},
      {"hf:HuggingFaceTB/SmolLM2-135M@main", Source::kHuggingFace, {}, "HuggingFaceTB/SmolLM2-135M", "main"},
      {"org/name@v1.0", {}, {}, "org/name", "v1.0"},
      {"org/name@refs/pr/1", {}, {}, "org/name", "refs/pr/1"},
      {"org/name@" + commit, {}, {}, "org/name", commit},
      {"http://127.0.0.1:8090/org/name", {}, "http://127.0.0.1:8090", "org/name", {}},
      {"https://host.example/org/name@master", {}, "https://host.example", "org/name", "master"},
      {"http://[::1]:80/org/name", {}, "http://[::1]:80", "org/name", {}},
      {"http://[fe80::1]/org/name", {}, "http://[fe80::1]", "org/name", {}},
      {"https://modelscope.cn/models/org/name", {}, "https://modelscope.cn", "org/name", {}},
      {"https://modelscope.cn/models/org/name/", {}, "https://modelscope.cn", "org/name", {}},
      {"http://host/models/name", {}, "http://host", "models/name", {}},
      {"http://host/gpt2", {}, "http://host", "gpt2", {}},
      {"ms:_org/Name_1.5-b", Source::kModelScope, {}, "_org/Name_1.5-b", {}},
      {std::string(96, 'n') + "/x", {}, {}, std::string(96, 'n') + "/x", {}},
  };
  for (const Good& c : cases) {
    const auto ref = ModelRef::parse(c.text);
    ASSERT_TRUE(ref) << c.text << ": " << ref.error().one_line();
    EXPECT_EQ(ref->source, c.source) << c.text;
    EXPECT_EQ(ref->endpoint, c.endpoint) << c.text;
    EXPECT_EQ(ref->repo_id, c.repo_id) << c.text;
    EXPECT_EQ(ref->revision, c.revision) << c.text;
  }
}

TEST(ModelRef, RefusesWhatIsNoModel) {
  const std::string cases[] = {"",
                               "/",
                               "a/",
                               "/b",
                               "a/b/c",
                               "../x",
                               "a/..",
                               "a/.hidden",
                               "-x/y",
                               "a/-y",
                               "a/b.",
                               "a..b/c",
                               "a b/c",
                               "a/b c",
                               "a\\b",
                               "a/b\n",
                               std::string("a/b\0", 4),
                               "a/\xE5\x8C\x97",
                               "org/name@",
                               "@main",
                               "org/name@-x",
                               "org/name@a..b",
                               "org/name@/x",
                               "org/name@x/",
                               "org/name@a//b",
                               "org/name@a b",
                               "org/name@a?b",
                               "ms:",
                               "hf:/x",
                               "ms:http://host/org/name",
                               "ms:hf:org/name",
                               "http://",
                               "http://host",
                               "http://host/",
                               "http:///org/name",
                               "http://user@host/org/name",
                               "http://user:pw@host/org/name",
                               "http://host:0/org/name",
                               "http://host:65536/org/name",
                               "http://host:/org/name",
                               "http://host:8x/org/name",
                               "http://ho st/org/name",
                               "http://host\\@evil/org/name",
                               "http://[::1/org/name",
                               "http://[]/org/name",
                               "http://[::1]x/org/name",
                               "http://[::1]:/a/b",
                               "http://host/a/b/c",
                               "http://host/a/b?x=1",
                               "http://host/a/b#x",
                               "ftp://host/org/name",
                               "file:///etc/passwd",
                               "https://host/%2e%2e/x",
                               std::string(97, 'n') + "/x",
                               "org/name@" + std::string(256, 'r')};
  for (const std::string& text : cases) {
    const auto ref = ModelRef::parse(text);
    ASSERT_FALSE(ref) << text;
    EXPECT_EQ(ref.error().code, ErrorCode::kUsage) << text;
    EXPECT_FALSE(ref.error().hint.empty());
  }
}

TEST(Source, NamesAndShortNames) {
  EXPECT_EQ(*parse_source("modelscope"), Source::kModelScope);
  EXPECT_EQ(*parse_source("ms"), Source::kModelScope);
  EXPECT_EQ(*parse_source("hf"), Source::kHuggingFace);
  EXPECT_EQ(*parse_source(source_name(Source::kHuggingFace)), Source::kHuggingFace);
  EXPECT_EQ(parse_source("github").error().code, ErrorCode::kUsage);
  EXPECT_EQ(parse_source("").error().code, ErrorCode::kUsage);
}

}  // namespace
}  // namespace mhub::hub
