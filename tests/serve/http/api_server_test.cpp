// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "api_fixture.h"
#include "libserve/http/api_keys.h"

namespace mhub::test {
namespace {

TEST(ApiServer, ModelsOnBothPaths) {
  const Api api(say("x"));
  for (const char* path : {"/v1/models", "/v1/models/", "/models"}) {
    const Reply reply = api.get(path);
    ASSERT_EQ(reply.status, 200) << path;
    EXPECT_EQ(reply.json["object"], "list");
    EXPECT_EQ(reply.json["data"][0]["id"], "m");
    EXPECT_EQ(reply.json["data"][0]["created"], api.get("/v1/models/m").json["created"]);
    EXPECT_EQ(reply.json["data"][0]["max_model_len"], 64);
    EXPECT_EQ(reply.json["data"][0]["root"], "/models/m");
    EXPECT_EQ(reply.json["data"][1]["id"], "org/other");
  }
  for (const char* path : {"/v1/models/org/other", "/v1/models/org%2Fother", "/models/org/other/"}) {
    EXPECT_EQ(api.get(path).json["id"], "org/other") << path;
  }
  EXPECT_EQ(api.get("/v1/models/nope").status, 404);
  EXPECT_EQ(api.send("HEAD", "/v1/models").status, 200);
}

TEST(ApiServer, ErrorsOfTheTransportHaveTheObjectForm) {
  const Api api(say("x"));
  const Reply unknown = api.get("/v1/nothing");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.json,
            Json::parse(R"({"error":{"message":"Not Found","type":"Not Found","param":null,"code":404}})"));
  const Reply method = api.get("/v1/completions");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.headers.at("allow"), "POST");
  EXPECT_EQ(method.json["error"]["type"], "Method Not Allowed");
  RawClient client = api.client();
  client.send("GET /health HTTP/1.1\r\n\r\n");
  EXPECT_EQ(parse_json(client.response()->body)->at("error").at("code"), 400);
}

TEST(ApiServer, EveryRouteButThePublicOnesNeedsAKey) {
  http::HttpConfig config;
  config.api_keys = {"first", "second"};
  const Api api(say("x"), config);
  for (const char* fields : {"", "Authorization: Bearer wrong\r\n", "Authorization: Basic first\r\n",
                             "Authorization: first\r\n", "x-api-key: fir\r\n", "Authorization: Bearer \r\n"}) {
    for (const char* path :
         {"/v1/models", "/models", "/v1/models/m", "/tokenize", "/v1/completions", "/nothing", "/v1"}) {
      const Reply reply = api.get(path, fields);
      EXPECT_EQ(reply.status, 401) << path << " " << fields;
      EXPECT_EQ(reply.json["error"]["type"], "AuthenticationError");
      EXPECT_EQ(reply.json["error"]["code"], 401);
    }
    for (const char* path : {"/health", "/ping", "/version", "/metrics"})
      EXPECT_EQ(api.get(path, fields).status, 200) << path;
  }
  for (const char* fields :
       {"Authorization: Bearer first\r\n", "authorization: bEARER  second\r\n", "X-API-Key: second\r\n"}) {
    EXPECT_EQ(api.get("/v1/models", fields).status, 200) << fields;
    EXPECT_EQ(api.get("/nothing", fields).status, 404);
  }
  EXPECT_EQ(api.post("/v1/completions", {{"prompt", "a"}}).status, 401);
  EXPECT_EQ(api.post("/v1/completions", {{"prompt", "a"}}, "Authorization: Bearer first\r\n").status, 200);
}

TEST(ApiServer, KeysAreComparedWhole) {
  const auto keys = http::ApiKeys::create({"abc", "abd"});
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->find("abc"), 0u);
  EXPECT_EQ(keys->find("abd"), 1u);
  for (const char* wrong : {"", "ab", "abcd", "ABC", "abe"}) EXPECT_FALSE(keys->find(wrong)) << wrong;
  EXPECT_FALSE(keys->find(std::string("abc\0", 4)));
  EXPECT_FALSE(keys->find("abc" + std::string(600, '\0')));
  EXPECT_FALSE(http::ApiKeys::create({""}));
  EXPECT_FALSE(http::ApiKeys::create({std::string(513, 'a')}));
}

// A cache hit shows in the time of the answer: one user must not probe what another has asked.
TEST(ApiServer, PromptsAreCachedPerKeyAndSalt) {
  http::HttpConfig config;
  config.api_keys = {"first", "second"};
  const Api api(say("x"), config);
  for (const char* fields :
       {"Authorization: Bearer first\r\n", "x-api-key: first\r\n", "Authorization: Bearer second\r\n"}) {
    for (const char* salt : {"0", "1"}) {
      ASSERT_EQ(api.post("/v1/completions", {{"prompt", "a"}, {"cache_salt", salt}}, fields).status, 200);
    }
    ASSERT_EQ(api.post("/v1/chat/completions", {{"messages", messages()}}, fields).status, 200);
  }
  std::vector<std::string> scopes;
  for (const auto& request : api.generator->requests()) scopes.push_back(request.cache_scope);
  ASSERT_EQ(scopes.size(), 9u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(scopes[i], scopes[3 + i]) << "the same key";
  EXPECT_EQ(std::set<std::string>(scopes.begin() + 3, scopes.end()).size(), 6u) << "another key or salt";
}

TEST(ApiServer, AnOpenBindNeedsAKey) {
  http::HttpConfig config;
  config.served_model_names = {"m"};
  for (const char* host : {"0.0.0.0", "::", "192.168.0.1", "", "127.example.org"}) {
    config.host = host;
    const auto refused = http::ApiServer::check(config);
    ASSERT_FALSE(refused) << host;
    EXPECT_EQ(refused.error().code, ErrorCode::kPolicy);
  }
  for (const char* host : {"127.0.0.1", "localhost", "::1", "127.1.2.3"}) {
    config.host = host;
    EXPECT_TRUE(http::ApiServer::check(config)) << host;
  }
  config.host = "0.0.0.0";
  config.insecure = true;
  EXPECT_TRUE(http::ApiServer::check(config));
  config.insecure = false;
  config.api_keys = {"k"};
  EXPECT_TRUE(http::ApiServer::check(config));
}

TEST(ApiServer, HealthFollowsTheEngine) {
  const Api api(say("x"));
  EXPECT_EQ(api.get("/health").status, 200);
  EXPECT_EQ(api.get("/health").body, "");
  EXPECT_EQ(api.send("POST", "/ping").status, 200);
  api.generator->set_ready(false);
  EXPECT_EQ(api.get("/health").status, 503);
  EXPECT_EQ(api.get("/ping").status, 503);
  EXPECT_EQ(api.get("/version").json["version"].get<std::string>().find('.'), 1u);
}

TEST(ApiServer, Browsers) {
  {
    const Api api(say("x"));
    const Reply preflight =
        api.send("OPTIONS", "/v1/chat/completions", "",
                 "Origin: http://a\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-b\r\n");
    EXPECT_EQ(preflight.status, 204);
    EXPECT_EQ(preflight.headers.at("access-control-allow-origin"), "*");
    EXPECT_EQ(preflight.headers.at("access-control-allow-headers"), "x-b");
    EXPECT_EQ(preflight.headers.count("access-control-allow-credentials"), 0u);
  }
  http::HttpConfig config;
  config.allowed_origins = {"http://a"};
  const Api api(say("x"), config);
  EXPECT_EQ(api.get("/v1/models", "Origin: http://a\r\n").headers.at("access-control-allow-origin"), "http://a");
  EXPECT_EQ(api.get("/v1/models", "Origin: http://b\r\n").headers.count("access-control-allow-origin"), 0u);
  EXPECT_EQ(api.get("/nothing", "Origin: null\r\n").headers.count("access-control-allow-origin"), 0u);
}

double sample(const std::string& text, const std::string& line_begin) {
  const size_t at = text.find("\n" + line_begin);
  if (at == std::string::npos) return -1;
  const size_t end = text.find('\n', at + 1);
  const size_t space = text.rfind(' ', end);
  return std::stod(text.substr(space + 1, end - space - 1));
}

TEST(ApiServer, Metrics) {
  const Api api(say("hello"));
  engine::EngineStats stats;
  stats.running = 2;
  stats.num_blocks = 100;
  stats.blocks_held = 25;
  stats.block_size = 16;
  stats.prefix_queries_tokens = 50;
  stats.prefix_hit_tokens = 32;
  api.generator->set_stats(stats);
  ASSERT_EQ(api.post("/v1/completions", {{"prompt", "ab"}, {"n", 2}}).status, 200);
  const std::string text = api.get("/metrics").body;
  const std::string labels = R"({engine="0",model_name="m"})";
  EXPECT_EQ(sample(text, "vllm:num_requests_running" + labels), 2);
  EXPECT_EQ(sample(text, "vllm:kv_cache_usage_perc" + labels), 0.25);
  EXPECT_EQ(sample(text, "vllm:prefix_cache_queries_total" + labels), 50);
  EXPECT_EQ(sample(text, "vllm:prefix_cache_hits_total" + labels), 32);
  EXPECT_EQ(sample(text, R"(vllm:request_success_total{engine="0",model_name="m",finished_reason="length"})"), 2);
  EXPECT_EQ(sample(text, R"(vllm:request_success_total{engine="0",model_name="m",finished_reason="abort"})"), 0);
  for (const char* name : {"time_to_first_token_seconds", "e2e_request_latency_seconds", "request_generation_tokens"}) {
    EXPECT_EQ(sample(text, "vllm:" + std::string(name) + "_count" + labels), 2) << name;
  }
  EXPECT_EQ(sample(text, "vllm:inter_token_latency_seconds_count" + labels), 8);
  EXPECT_NE(text.find(R"(num_gpu_blocks="100")"), std::string::npos);
  EXPECT_NE(text.find(R"(block_size="16")"), std::string::npos);
  EXPECT_GT(sample(text, "process_resident_memory_bytes"), 1e6);
  EXPECT_GT(sample(text, "process_open_fds"), 3);
  EXPECT_GT(sample(text, "process_start_time_seconds"), 1.5e9);
}

TEST(ApiServer, ConcurrencyLimitIs429) {
  http::HttpConfig config;
  config.max_concurrent_requests = 2;
  const Api api(say_and_hang("a"), config);
  std::vector<RawClient> busy;
  for (int i = 0; i < 2; ++i) {
    busy.push_back(api.client());
    busy.back().send(Api::request("POST", "/v1/completions", R"({"prompt":"a"})"));
  }
  ASSERT_TRUE(eventually([&] { return api.generator->live_streams() == 2; }));
  const Reply refused = api.post("/v1/completions", {{"prompt", "a"}});
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  busy.clear();
  ASSERT_TRUE(eventually([&] { return api.generator->live_streams() == 0; }));
}

TEST(ApiServer, SixtyFourStreamsAtOnce) {
  const Api api(say_and_hang("a"));
  std::vector<RawClient> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(api.client());
    clients.back().send(Api::request("POST", "/v1/completions", R"({"prompt":"a","stream":true})"));
  }
  EXPECT_TRUE(eventually([&] { return api.generator->live_streams() == 64; }));
  EXPECT_EQ(api.get("/health").status, 200);
}

TEST(ApiServer, DrainingRefusesAtOnceAndEndsStreamsWithAnError) {
  http::HttpConfig config;
  config.shutdown_timeout_seconds = 1.5;
  const Api api(say_and_hang("a"), config);
  RawClient stream = api.client(), whole = api.client();
  stream.send(Api::request("POST", "/v1/completions", R"({"prompt":"a","stream":true})"));
  whole.send(Api::request("POST", "/v1/completions", R"({"prompt":"a"})"));
  ASSERT_TRUE(eventually([&] { return api.generator->live_streams() == 2; }));
  std::thread drain([&] { api.server->drain(); });
  EXPECT_TRUE(eventually([&] { return api.get("/health").status == 503; }, 1));
  const Reply refused = api.post("/v1/completions", {{"prompt", "a"}});
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  const auto response = stream.response();
  ASSERT_TRUE(response);
  EXPECT_NE(response->body.find("data: {\"error\":{\"message\":\"the server is shutting down\""), std::string::npos);
  EXPECT_TRUE(response->body.ends_with("data: [DONE]\n\n"));
  EXPECT_EQ(whole.response()->status, 503);
  drain.join();
  EXPECT_THROW(api.client(), std::runtime_error);
}

TEST(ApiServer, DrainingEndsAtOnceWhenNothingRuns) {
  const Api idle(say("x"));
  const auto begin = std::chrono::steady_clock::now();
  idle.server->drain();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5)) << "the timeout is 30";
}

}  // namespace
}  // namespace mhub::test
