// SPDX-License-Identifier: Apache-2.0
// Structured output through the whole server: HTTP, engine and a tiny model with random weights, whose answers are
// anything but JSON unless they must be.
#include <regex>

#include "api_fixture.h"
#include "mhub/engine/engine.h"
#include "mhub/text/added_texts.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace mhub::test {
namespace {

class StructuredOutput : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    write_tiny_model(dir_->path());
  }
  static void TearDownTestSuite() { delete dir_; }

  // `blocks`: of the KV cache.
  void start(int64_t blocks = 400) {
    auto tokenizer = text::load_tokenizer(dir_->path());
    ASSERT_TRUE(tokenizer) << tokenizer.error().one_line();
    engine::EngineConfig config;
    config.model = dir_->path().string();
    config.device = "cpu";
    config.dtype = "float32";
    config.num_threads = 1;
    config.block_size = 8;
    // 2 layers, keys and values of 2 heads of 16 floats.
    config.kv_cache_memory_bytes = static_cast<uint64_t>(blocks * 8 * 2 * 2 * 2 * 16 * 4);
    config.sampled_vocab = (*tokenizer)->vocab_size();
    ASSERT_TRUE(text::for_each_added_text(**tokenizer, false, [&](std::string_view t) { config.token_texts.add(t); }));
    auto engine = engine::Engine::create(config);
    ASSERT_TRUE(engine) << engine.error().one_line();
    generator_ = std::move(*engine);
    http::HttpConfig http;
    http.port = 0;
    http.served_model_names = {"m"};
    http::ServedModel model;
    model.generator = generator_;
    model.tokenizer = *tokenizer;
    auto compiled = text::ChatTemplate::compile(kTinyTemplate);
    ASSERT_TRUE(compiled);
    model.templates.emplace_back("default", std::make_shared<text::ChatTemplate>(std::move(*compiled)));
    model.structured_output = true;
    auto started = http::ApiServer::start(http, std::move(model));
    ASSERT_TRUE(started) << started.error().one_line();
    server_ = std::move(*started);
  }
  Reply post(const std::string& path, Json body) const {
    if (!body.contains("max_tokens")) body["max_tokens"] = 300;
    RawClient connection(server_->port());
    connection.send(Api::request("POST", path, dump_json(body)));
    const auto raw = connection.response(60, false);
    if (!raw) throw std::runtime_error("no response");
    Reply reply{raw->status, raw->headers, raw->body, nullptr};
    if (auto parsed = parse_json(reply.body)) reply.json = std::move(*parsed);
    return reply;
  }

  static TempDir* dir_;
  std::shared_ptr<engine::Engine> generator_;
  std::unique_ptr<http::ApiServer> server_;
};
TempDir* StructuredOutput::dir_ = nullptr;

const Json kPerson = Json::parse(R"({"type":"object","properties":{
    "name":{"type":"string","minLength":1,"maxLength":8},"age":{"type":"integer","minimum":0,"maximum":120},
    "tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":3}},
    "required":["name","age","tags"],"additionalProperties":false})");

void expect_person(const std::string& text) {
  const auto parsed = parse_json(text);
  ASSERT_TRUE(parsed) << text;
  EXPECT_EQ(parsed->size(), 3u);
  EXPECT_TRUE((*parsed)["name"].is_string());
  EXPECT_TRUE((*parsed)["age"].is_number_integer() && (*parsed)["age"] <= 120) << text;
  EXPECT_LE((*parsed)["tags"].size(), 3u);
}

TEST_F(StructuredOutput, JsonSchemaOfEveryChoice) {
  start();
  const Json format = {{"type", "json_schema"}, {"json_schema", {{"name", "person"}, {"schema", kPerson}}}};
  const Reply reply =
      post("/v1/chat/completions",
           {{"messages", messages()}, {"response_format", format}, {"n", 4}, {"seed", 3}, {"ignore_eos", true}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  for (const Json& choice : reply.json["choices"]) {
    EXPECT_EQ(choice["finish_reason"], "stop");
    EXPECT_EQ(choice["stop_reason"], nullptr);
    expect_person(choice["message"]["content"]);
  }
  EXPECT_NE(reply.json["choices"][0]["message"]["content"], reply.json["choices"][1]["message"]["content"]);
}

TEST_F(StructuredOutput, RegexWithLogprobsOfWhatIsAllowed) {
  start();
  const Reply reply = post("/v1/completions",
                           {{"prompt", "x"}, {"guided_regex", "[ab]{3}(?:-\\d\\d){2}"}, {"logprobs", 3}, {"seed", 1}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json& choice = reply.json["choices"][0];
  const std::string text = choice["text"];
  EXPECT_TRUE(std::regex_match(text, std::regex("[ab]{3}(?:-\\d\\d){2}"))) << text;
  double sum = 0;
  for (const auto& [token, logprob] : choice["logprobs"]["top_logprobs"][0].items()) {
    if (token == "a" || token == "b") sum += std::exp(logprob.get<double>());
  }
  EXPECT_NEAR(sum, 1, 1e-5) << "the others have no probability left";
  EXPECT_EQ(choice["logprobs"]["token_logprobs"][3], 0.0) << "only a hyphen may stand there";
}

TEST_F(StructuredOutput, ChoiceGrammarAndAnyObject) {
  start();
  for (int seed = 0; seed < 5; ++seed) {
    const Json base = {{"prompt", "x"}, {"seed", seed}, {"temperature", 2}};
    Json request = base;
    request["structured_outputs"] = {{"choice", {"yes", "no", "nothing"}}};
    const std::string choice = post("/v1/completions", request).json["choices"][0]["text"];
    EXPECT_TRUE(choice == "yes" || choice == "no" || choice == "nothing") << choice;
    request = base;
    request["structured_outputs"] = {{"grammar", "root ::= \"(\" [0-9]{1,2} (\"+\" [0-9])* \")\""}};
    request["max_tokens"] = 40;
    const Json answer = post("/v1/completions", request).json["choices"][0];
    const std::string text = answer["text"];
    EXPECT_TRUE(std::regex_match(text, std::regex(R"(\([0-9]{1,2}(\+[0-9])*\)?)"))) << text;
    EXPECT_EQ(answer["finish_reason"] == "stop", text.ends_with(')'));
  }
  const Reply object =
      post("/v1/chat/completions",
           {{"messages", messages()}, {"response_format", {{"type", "json_object"}}}, {"temperature", 0}});
  const std::string text = object.json["choices"][0]["message"]["content"];
  EXPECT_TRUE(text.starts_with('{')) << text;
}

TEST_F(StructuredOutput, AStreamIsTheWholeAnswerInPieces) {
  start();
  Json request = {{"prompt", "x"}, {"guided_json", kPerson}, {"seed", 9}};
  const std::string whole = post("/v1/completions", request).json["choices"][0]["text"];
  request["stream"] = true;
  const std::string stream = post("/v1/completions", request).body;
  std::string joined;
  for (size_t at = 0; (at = stream.find("data: {", at)) != std::string::npos; at += 6) {
    const Json chunk = Json::parse(stream.substr(at + 6, stream.find('\n', at) - at - 6));
    joined += chunk["choices"][0]["text"].get<std::string>();
  }
  EXPECT_EQ(joined, whole);
  expect_person(whole);
}

TEST_F(StructuredOutput, ForcedToolCalls) {
  start();
  const Json tools = {
      {{"type", "function"}, {"function", {{"name", "lookup"}, {"parameters", kPerson}}}},
      {{"type", "function"},
       {"function",
        {{"name", "stop"},
         {"parameters", {{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}}}}}}};
  for (int seed = 0; seed < 4; ++seed) {
    const Reply reply = post("/v1/chat/completions", {{"messages", messages()},
                                                      {"tools", tools},
                                                      {"tool_choice", "required"},
                                                      {"parallel_tool_calls", false},
                                                      {"seed", seed}});
    ASSERT_EQ(reply.status, 200) << reply.body;
    const Json& choice = reply.json["choices"][0];
    EXPECT_EQ(choice["finish_reason"], "tool_calls");
    ASSERT_EQ(choice["message"]["tool_calls"].size(), 1u) << reply.body;
    const Json& function = choice["message"]["tool_calls"][0]["function"];
    if (function["name"] == "lookup") {
      expect_person(function["arguments"]);
    } else {
      EXPECT_EQ(function["name"], "stop");
      EXPECT_EQ(Json::parse(function["arguments"].get<std::string>()), Json::object());
    }
  }
  const Reply named =
      post("/v1/chat/completions", {{"messages", messages()},
                                    {"tools", tools},
                                    {"seed", 1},
                                    {"tool_choice", {{"type", "function"}, {"function", {{"name", "lookup"}}}}}});
  EXPECT_EQ(named.json["choices"][0]["finish_reason"], "stop");
  expect_person(named.json["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]);
}

TEST_F(StructuredOutput, PreemptedAnswersKeepTheirForm) {
  Json request = {{"prompt", "abc"}, {"guided_regex", "(?:[a-z]{5} ){20}end"}, {"n", 6}, {"seed", 4}};
  start();
  const Json alone = post("/v1/completions", request).json["choices"];
  start(40);  // six answers of 124 tokens do not fit together
  const Json crowded = post("/v1/completions", request).json["choices"];
  EXPECT_GT(generator_->stats().preemptions, 0u);
  ASSERT_EQ(crowded.size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(crowded[i]["text"], alone[i]["text"]);
    EXPECT_TRUE(crowded[i]["text"].get<std::string>().ends_with(" end"));
  }
}

TEST_F(StructuredOutput, WhatExcludesEachOtherEndsWithAnError) {
  start();
  const Reply reply = post("/v1/completions", {{"prompt", "x"}, {"guided_regex", "a"}, {"allowed_token_ids", {'b'}}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_NE(reply.body.find("no token is left to sample as number 1"), std::string::npos) << reply.body;
  EXPECT_EQ(post("/v1/completions", {{"prompt", "x"}, {"guided_regex", "a"}}).json["choices"][0]["text"], "a");
}

}  // namespace
}  // namespace mhub::test
