// SPDX-License-Identifier: Apache-2.0
#include "hub_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace mhub::apps {
namespace {

Result<hub::HubConfig> config_of(const std::map<std::string, std::string>& variables) {
  return hub_config_from([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  });
}

TEST(HubConfig, DefaultsWhereNothingIsSet) {
  const auto config = config_of({{"HOME", "/home/u"}});
  ASSERT_TRUE(config);
  const hub::HubConfig defaults;
  EXPECT_EQ(config->home, "/home/u/.local/share/mhub");
  EXPECT_EQ(config->default_source, defaults.default_source);
  EXPECT_EQ(config->modelscope_endpoint, defaults.modelscope_endpoint);
  EXPECT_EQ(config->huggingface_endpoint, defaults.huggingface_endpoint);
  EXPECT_EQ(config->modelscope_token, "");
  EXPECT_EQ(config->retries, defaults.retries);
  EXPECT_EQ(config->registry_timeout_seconds, defaults.registry_timeout_seconds);
}

TEST(HubConfig, EveryVariableReachesItsField) {
  const auto config = config_of({{"MHUB_HOME", "/srv/models"},
                                 {"HOME", "/home/u"},
                                 {"XDG_DATA_HOME", "/data"},
                                 {"MHUB_SOURCE", "hf"},
                                 {"MODELSCOPE_ENDPOINT", "http://127.0.0.1:8090/"},
                                 {"MODELSCOPE_DOMAIN", "www.modelscope.ai"},
                                 {"HF_ENDPOINT", "hf-mirror.example"},
                                 {"MODELSCOPE_API_TOKEN", "ms-token"},
                                 {"HF_TOKEN", "hf-token"},
                                 {"MHUB_MAX_WORKERS", "3"},
                                 {"MHUB_TIMEOUT", "1.5"},
                                 {"MHUB_STALL_TIMEOUT", "0.25"},
                                 {"MHUB_RETRIES", "0"},
                                 {"MHUB_REGISTRY_TIMEOUT", "0"}});
  ASSERT_TRUE(config) << config.error().one_line();
  EXPECT_EQ(config->home, "/srv/models");
  EXPECT_EQ(config->default_source, hub::Source::kHuggingFace);
  EXPECT_EQ(config->modelscope_endpoint, "http://127.0.0.1:8090") << "before the older MODELSCOPE_DOMAIN";
  EXPECT_EQ(config->huggingface_endpoint, "https://hf-mirror.example");
  EXPECT_EQ(config->modelscope_token, "ms-token");
  EXPECT_EQ(config->huggingface_token, "hf-token");
  EXPECT_EQ(config->max_workers, 3);
  EXPECT_EQ(config->connect_timeout_seconds, 1.5);
  EXPECT_EQ(config->stall_timeout_seconds, 0.25);
  EXPECT_EQ(config->retries, 0);
  EXPECT_EQ(config->registry_timeout_seconds, 0);
}

TEST(HubConfig, TheOlderDomainVariableAlone) {
  EXPECT_EQ(config_of({{"HOME", "/h"}, {"MODELSCOPE_DOMAIN", "www.modelscope.ai"}})->modelscope_endpoint,
            "https://www.modelscope.ai");
}

TEST(HubConfig, HomeIsMadeAbsoluteAndXdgOnlyTakenWhenItIs) {
  EXPECT_TRUE(config_of({{"MHUB_HOME", "relative"}})->home.is_absolute());
  EXPECT_EQ(config_of({{"HOME", "/h"}, {"XDG_DATA_HOME", "/data"}})->home, "/data/mhub");
  EXPECT_EQ(config_of({{"HOME", "/h"}, {"XDG_DATA_HOME", "data"}})->home, "/h/.local/share/mhub");
}

TEST(HubConfig, ATokenIsNeverInAnError) {
  const auto config = config_of({{"HOME", "/h"}, {"HF_TOKEN", "hf_secret"}, {"HF_ENDPOINT", "ftp://x"}});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::kUsage);
  EXPECT_THAT(config.error().one_line(), ::testing::Not(::testing::HasSubstr("hf_secret")));
}

}  // namespace
}  // namespace mhub::apps
