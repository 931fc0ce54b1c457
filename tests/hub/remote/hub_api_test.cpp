// SPDX-License-Identifier: Apache-2.0
#include "remote/hub_api.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "mhub/base/json.h"
#include "net/curl_transport.h"
#include "remote/hub_target.h"
#include "support/fake_hub.h"

namespace mhub::hub {
namespace {

using mhub::test::FakeHub;
using mhub::test::HubReply;
using mhub::test::HubRequest;

class HubApiTest : public ::testing::Test {
 protected:
  std::unique_ptr<HubApi> modelscope() {
    return make_modelscope_api(transport_, {hub_.url(), "org/name", ""}, policy_);
  }
  std::unique_ptr<HubApi> huggingface() {
    return make_huggingface_api(transport_, {hub_.url(), "org/name", ""}, policy_);
  }
  // Answers one path with this body.
  void answer(const std::string& path, const std::string& body) {
    hub_.set_hook([=](const HubRequest& request, HubReply& reply) {
      if (request.path.ends_with(path)) reply.body = body;
    });
  }
  static Json blob(const std::string& path) {
    return {{"Path", path}, {"Type", "blob"}, {"Size", 1}, {"Sha256", std::string(64, 'A')}};
  }
  static std::string envelope(Json files) {
    return dump_json(Json{{"Code", "200"}, {"Success", true}, {"Data", {{"Files", std::move(files)}}}});
  }
  FakeHub hub_;
  CurlTransport transport_{{1, 1, "", ""}};
  const RetryPolicy policy_{1, 0.01, 300};
};

TEST_F(HubApiTest, BothDialectsAgree) {
  hub_.set_file("a/b.json", "{}");
  hub_.set_file("big.bin", std::string(5000, 'x'));
  for (const auto& api : {modelscope(), huggingface()}) {
    const auto commit = api->find_commit(api->default_revision(), {});
    ASSERT_TRUE(commit) << commit.error().one_line();
    EXPECT_EQ(*commit, std::string(40, 'c'));
    const auto snapshot = api->list(api->default_revision(), *commit, {});
    ASSERT_TRUE(snapshot) << snapshot.error().one_line();
    ASSERT_EQ(snapshot->files.size(), 2u);
    EXPECT_EQ(snapshot->files[1].path, "big.bin");
    EXPECT_EQ(snapshot->files[1].bytes, 5000u);
    EXPECT_EQ(snapshot->files[1].sha256, mhub::test::sha256_of(std::string(5000, 'x')));
    EXPECT_TRUE(!snapshot->files[0].sha256.empty() || !snapshot->files[0].git_sha1.empty());
  }
}

TEST_F(HubApiTest, ModelScopeFileIsPinnedByItsOwnRevision) {
  hub_.set_file("a b.json", "{}");
  const auto snapshot = modelscope()->list("master", "", {});
  EXPECT_EQ(modelscope()->file_request(snapshot->files[0]).url,
            hub_.url() + "/api/v1/models/org/name/repo?Revision=" + std::string(40, 'f') + "&FilePath=a%20b.json");
}

TEST_F(HubApiTest, ModelScopeListingOfExactly3000IsReadAgainByDirectory) {
  Json all = Json::array(), root = Json::array(), big = Json::array(), few = Json::array();
  for (int i = 0; i < 2999; ++i) big.push_back(blob(fmt::format("big/{}", i)));
  few.push_back(blob("few/x"));
  few.push_back(blob("few/y"));
  for (const Json& item : big) all.push_back(item);
  all.push_back(blob("few/x"));  // the hub stops here
  root = Json::array({{{"Path", "big"}, {"Type", "tree"}}, {{"Path", "few"}, {"Type", "tree"}}});
  hub_.set_hook([=](const HubRequest& request, HubReply& reply) {
    const std::string where = request.query_value("Root");
    if (where.empty()) reply.body = envelope(request.query_value("Recursive") == "True" ? all : root);
    if (where == "big") reply.body = envelope(big);
    if (where == "few") reply.body = envelope(few);
  });
  const auto snapshot = modelscope()->list("master", "", {});
  ASSERT_TRUE(snapshot) << snapshot.error().one_line();
  EXPECT_EQ(snapshot->files.size(), 3001u);
  EXPECT_EQ(snapshot->files.back().sha256, std::string(64, 'a'));
}

TEST_F(HubApiTest, ModelScopeDirectoryOf3000FilesIsPaged) {
  for (int i = 0; i < 3'001; ++i) hub_.set_file("f" + std::to_string(i), "x");
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    // Unpaged, the hub stops at 3,000 without a word.
    if (!request.path.ends_with("/repo/files") || !request.query_value("PageSize").empty()) return;
    Json body = *parse_json(reply.body);
    Json& files = body["Data"]["Files"];
    while (files.size() > 3'000) files.erase(files.size() - 1);
    reply.body = dump_json(body);
  });
  const auto snapshot = modelscope()->list("master", "", {});
  ASSERT_TRUE(snapshot) << snapshot.error().one_line();
  EXPECT_EQ(snapshot->files.size(), 3'001u);
}

TEST_F(HubApiTest, ModelScopeDirectoryOf3000FilesWithoutPagesIsRefused) {
  for (int i = 0; i < 3'000; ++i) hub_.set_file("f" + std::to_string(i), "x");
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    if (request.query_value("PageNumber") != "2") return;
    Json files = Json::array();
    files.push_back({{"Path", "f0"}, {"Type", "blob"}, {"Size", 1}});
    reply.body = dump_json(Json{{"Code", 200}, {"Success", true}, {"Data", {{"Files", files}}}});
  });
  const auto snapshot = modelscope()->list("master", "", {});
  ASSERT_FALSE(snapshot) << "the second page is the first one again";
  EXPECT_EQ(snapshot.error().code, ErrorCode::kPolicy);
}

TEST_F(HubApiTest, ModelScopeRefusesMalformedEntries) {
  for (const auto& [field, value] : std::vector<std::pair<const char*, Json>>{{"Size", -1},
                                                                              {"Size", "7"},
                                                                              {"Size", 1e300},
                                                                              {"Size", 9223372036854775808ull},
                                                                              {"Sha256", "abc"},
                                                                              {"Path", ""},
                                                                              {"Mode", "40960"}}) {
    Json item = blob("x");
    item[field] = value;
    answer("/repo/files", envelope(Json::array({item})));
    const auto snapshot = modelscope()->list("master", "", {});
    ASSERT_FALSE(snapshot) << field;
    EXPECT_EQ(snapshot.error().code, ErrorCode::kPolicy) << field;
  }
}

TEST_F(HubApiTest, ModelScopeFailureWithin200) {
  for (const char* body : {R"({"Code":10010205001,"Success":false,"Message":"gone"})",
                           R"({"Code":404,"Message":"gone"})", R"({"Success":false,"Code":"404","Message":"gone"})"}) {
    answer("/repo/files", body);
    const auto snapshot = modelscope()->list("master", "", {});
    ASSERT_FALSE(snapshot) << body;
    EXPECT_NE(snapshot.error().message.find("gone"), std::string::npos);
  }
}

TEST_F(HubApiTest, HuggingFacePagesByLink) {
  hub_.set_hook([this](const HubRequest& request, HubReply& reply) {
    if (request.path.find("/tree/") == std::string::npos) return;
    const std::string cursor = request.query_value("cursor");
    const int page = cursor.empty() ? 0 : std::atoi(cursor.c_str());
    reply.body =
        fmt::format(R"([{{"type":"file","path":"f{}","size":1,"oid":"{}"}},{{"type":"directory","path":"d"}}])", page,
                    std::string(40, 'b'));
    if (page < 4) reply.set("Link", fmt::format("<{}{}?cursor={}>; rel=\"next\"", hub_.url(), request.path, page + 1));
  });
  const auto snapshot = huggingface()->list("main", std::string(40, 'c'), {});
  ASSERT_TRUE(snapshot) << snapshot.error().one_line();
  EXPECT_EQ(snapshot->files.size(), 5u);
  EXPECT_EQ(snapshot->files[0].git_sha1, std::string(40, 'b'));
}

TEST_F(HubApiTest, F20RepeatedCursorIsRefused) {
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    reply.body = "[]";
    reply.set("Link", "<" + request.path + "?cursor=1>; rel=\"next\"");
  });
  const auto snapshot = huggingface()->list("main", std::string(40, 'c'), {});
  ASSERT_FALSE(snapshot);
  EXPECT_EQ(snapshot.error().code, ErrorCode::kPolicy);
}

TEST_F(HubApiTest, F20TwoHundredPages) {
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    const int page = std::atoi(request.query_value("cursor").c_str());
    Json entries = Json::array();
    for (int i = 0; i < 1000; ++i) {
      entries.push_back(
          {{"type", "file"}, {"path", fmt::format("d{}/{}", page, i)}, {"size", 1}, {"oid", std::string(40, 'b')}});
    }
    reply.body = dump_json(entries);
    if (page < 199) reply.set("Link", fmt::format("<{}?cursor={}>; rel=\"next\"", request.path, page + 1));
  });
  const auto snapshot = huggingface()->list("main", std::string(40, 'c'), {});
  ASSERT_TRUE(snapshot) << snapshot.error().one_line();
  EXPECT_EQ(snapshot->files.size(), 200'000u);
}

TEST_F(HubApiTest, RevisionIsEscapedWhole) {
  ASSERT_TRUE(huggingface()->find_commit("refs/pr/1", {}));
  EXPECT_EQ(hub_.requests().back().path, "/api/models/org/name/revision/refs/pr/1");  // decoded by the fake
}

TEST(HubTarget, WhereADownloadGoes) {
  HubConfig config;
  config.modelscope_token = "ms";
  config.huggingface_token = "hf";
  const auto choose = [&](const std::string& model, const DownloadOptions& options = {},
                          const std::vector<registry::ModelRecord>& rows = {}) {
    return *choose_target(*ModelRef::parse(model), options, config, rows);
  };
  EXPECT_EQ(choose("org/name").source, "modelscope");
  EXPECT_EQ(choose("org/name").repository.token, "ms");
  EXPECT_EQ(choose("hf:org/name@v1").repository.token, "hf");
  EXPECT_EQ(choose("hf:org/name@v1").revision, "v1");
  EXPECT_EQ(choose("http://127.0.0.1:1/org/name").source, "mirror");
  EXPECT_EQ(choose("http://127.0.0.1:1/org/name").repository.token, "");
  DownloadOptions options;
  options.endpoints = {"http://127.0.0.1:1/"};
  EXPECT_EQ(choose("org/name", options).repository.endpoint, "http://127.0.0.1:1");
  EXPECT_EQ(choose("org/name", options).repository.token, "");
  options.endpoints = {"www.modelscope.cn"};
  EXPECT_EQ(choose("org/name", options).repository.token, "ms");
  registry::ModelRecord row;
  row.name = "org/name";
  row.source = "huggingface";
  EXPECT_EQ(choose("org/name", {}, {row}).source, "huggingface") << "what the name meant before";
  config.source_is_chosen = true;
  EXPECT_EQ(choose("org/name", {}, {row}).source, "modelscope");
  options = {};
  options.endpoints = {"http://user@host"};
  EXPECT_FALSE(choose_target(*ModelRef::parse("org/name"), options, config, {}));
  options = {};
  options.source = Source::kModelScope;
  EXPECT_FALSE(choose_target(*ModelRef::parse("hf:org/name"), options, config, {}));
  options.revision = "../x";
  EXPECT_FALSE(choose_target(*ModelRef::parse("org/name"), options, config, {}));
}

}  // namespace
}  // namespace mhub::hub
