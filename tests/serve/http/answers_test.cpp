// SPDX-License-Identifier: Apache-2.0
// Whole answers: text, counts, reasons, logprobs, and what reaches the engine.
#include "api_fixture.h"

namespace mhub::test {
namespace {

using engine::FinishReason;
using engine::GenerationRequest;
using engine::TokenDelta;

TEST(Answers, CompletionHasEveryField) {
  const Api api(say("hello"));
  const Reply reply = api.post("/v1/completions", {{"prompt", "ab"}, {"model", "org/other"}}, "X-Request-Id: abc\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("content-type"), "application/json");
  EXPECT_EQ(reply.headers.at("x-request-id"), "abc");
  Json expected = {
      {"id", "cmpl-abc"},
      {"object", "text_completion"},
      {"created", reply.json["created"]},
      {"model", "org/other"},
      {"choices", Json::array({{{"index", 0},
                                {"text", "hello"},
                                {"logprobs", nullptr},
                                {"finish_reason", "length"},
                                {"stop_reason", nullptr},
                                {"prompt_logprobs", nullptr},
                                {"token_ids", nullptr},
                                {"prompt_token_ids", nullptr}}})},
      {"service_tier", nullptr},
      {"system_fingerprint", nullptr},
      {"usage",
       {{"prompt_tokens", 3}, {"completion_tokens", 5}, {"total_tokens", 8}, {"prompt_tokens_details", nullptr}}},
      {"kv_transfer_params", nullptr}};
  EXPECT_EQ(reply.json, expected);
}

TEST(Answers, UsageCountsTheCachedTokensOfEachPromptOnce) {
  const Api api([](const engine::GenerationRequest&) {
    auto deltas = FakeGenerator::tokens(ByteTokenizer::ids("ab"), engine::FinishReason::kLength);
    deltas.front().cached_tokens = 16;
    return deltas;
  });
  const Reply reply = api.post("/v1/completions", {{"prompt", {"abc", "def"}}, {"n", 2}, {"temperature", 1}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.json["usage"]["prompt_tokens_details"], (Json{{"cached_tokens", 32}}));
  EXPECT_EQ(reply.json["usage"]["prompt_tokens"], 8) << "each with its start token";
}

TEST(Answers, BestOfGivesTheLikeliestPerToken) {
  const Api api([](const engine::GenerationRequest& request) {
    // Seeds 7..10: sample 2 is the likeliest per token, sample 0 the next.
    const float logprob[] = {-0.5f, -2.0f, -0.1f, -1.0f};
    const size_t sample = request.params.seed - 7;
    auto deltas = FakeGenerator::tokens(ByteTokenizer::ids(std::string(sample + 1, static_cast<char>('a' + sample))),
                                        engine::FinishReason::kLength);
    for (auto& delta : deltas) delta.logprobs = {{{delta.tokens[0], logprob[sample], 1}, {}}};
    return deltas;
  });
  const Reply reply = api.post("/v1/completions", {{"prompt", "x"}, {"best_of", 4}, {"n", 2}, {"seed", 7}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  ASSERT_EQ(reply.json["choices"].size(), 2u);
  EXPECT_EQ(reply.json["choices"][0]["text"], "ccc");
  EXPECT_EQ(reply.json["choices"][0]["index"], 0);
  EXPECT_EQ(reply.json["choices"][0]["logprobs"], nullptr) << "nobody asked for them";
  EXPECT_EQ(reply.json["choices"][1]["text"], "a");
  EXPECT_EQ(reply.json["usage"]["completion_tokens"], 10) << "all samples were computed";
  EXPECT_EQ(api.generator->requests()[3].params.logprobs, 0);
}

TEST(Answers, TheModelsGenerationConfigIsTheDefault) {
  formats::GenerationDefaults defaults;
  defaults.temperature = 0.5;
  defaults.top_k = 7;
  defaults.max_new_tokens = 9;
  const Api api(say("x"), {}, true, true, defaults);
  ASSERT_EQ(api.post("/v1/completions", {{"prompt", "x"}, {"top_p", 0.75}}).status, 200);
  ASSERT_EQ(api.post("/v1/completions", {{"prompt", "x"}, {"temperature", 1}, {"max_tokens", 3}, {"top_k", 0}}).status,
            200);
  const auto requests = api.generator->requests();
  EXPECT_EQ(requests[0].params.temperature, 0.5f);
  EXPECT_EQ(requests[0].params.top_p, 0.75f);
  EXPECT_EQ(requests[0].params.top_k, 7);
  EXPECT_EQ(requests[0].params.max_tokens, 9) << "not the 16 that a request without max_tokens would get";
  EXPECT_EQ(requests[1].params.temperature, 1.0f);
  EXPECT_EQ(requests[1].params.top_k, 0);
  EXPECT_EQ(requests[1].params.max_tokens, 3);
}

TEST(Answers, LogprobsOfAWholeVocabulary) {  // in the square of their number it would take minutes
  constexpr int kTokens = 60'000;
  const Api api(
      [](const engine::GenerationRequest&) {
        auto deltas = FakeGenerator::tokens({1}, engine::FinishReason::kLength);
        std::vector<model::TokenLogprob> top;
        for (int token = 0; token < kTokens; ++token) top.push_back({token, -1.0f, token + 1});
        deltas.front().logprobs = {{{1, -1.0f, 2}, top}};
        deltas.front().prompt_logprobs = {{{2, -1.0f, 3}, top}};
        return deltas;
      },
      {}, true, false);
  const Reply reply = api.post("/v1/completions", {{"prompt", {1, 2}}, {"logprobs", 1}, {"prompt_logprobs", 1}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.json["choices"][0]["logprobs"]["top_logprobs"][0].size(), kTokens);
  EXPECT_EQ(reply.json["choices"][0]["prompt_logprobs"][1].size(), kTokens);
}

TEST(Answers, EverySamplingOptionReachesTheEngine) {
  http::HttpConfig config;
  config.max_logprobs = -1;
  const Api api(say("x"), config);
  const Reply reply = api.post("/v1/completions", {{"prompt", "x"},
                                                   {"typical_p", 0.5},
                                                   {"repeat_last_n", 64},
                                                   {"allowed_token_ids", {1, 2}},
                                                   {"bad_words", {"ab", " c"}},
                                                   {"logprobs", -1},
                                                   {"logprob_token_ids", {5}},
                                                   {"prompt_logprobs", 25}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  const auto params = api.generator->requests()[0].params;
  EXPECT_EQ(params.typical_p, 0.5f);
  EXPECT_EQ(params.penalty_window, 64);
  EXPECT_EQ(params.allowed_token_ids, (std::vector<engine::TokenId>{1, 2}));
  EXPECT_EQ(params.bad_words,
            (std::vector<std::vector<engine::TokenId>>{{'a', 'b'}, {' ', 'a', 'b'}, {'c'}, {' ', 'c'}}));
  EXPECT_EQ(params.logprobs, 260);
  EXPECT_EQ(params.logprob_token_ids, (std::vector<engine::TokenId>{5}));
  EXPECT_EQ(params.prompt_logprobs, 25);
}

TEST(Answers, ChatRendersTheTemplateAndKeepsSpecialTokensOfContentAsText) {
  const Api api(say("yes"));
  const Reply reply = api.post("/chat/completions/", {{"messages", messages("<|im_end|>x")}, {"request_id", "r1"}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.json["id"], "chatcmpl-r1");
  EXPECT_EQ(reply.json["object"], "chat.completion");
  EXPECT_EQ(reply.json["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(reply.json["choices"][0]["message"]["content"], "yes");
  EXPECT_FALSE(reply.json["choices"][0]["message"].contains("tool_calls"));
  std::vector<engine::TokenId> expected = {ByteTokenizer::kStart};
  for (const auto id : ByteTokenizer::ids("user\n<|im_end|>x")) expected.push_back(id);
  for (const auto id : {ByteTokenizer::kEnd, ByteTokenizer::kStart}) expected.push_back(id);
  EXPECT_EQ(api.generator->requests()[0].prompt, expected);
}

TEST(Answers, MessagesOfCommonClientsAreTaken) {
  const Api api(say("x"));
  const Json body = Json::parse(
      R"({"messages":[{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]}],
    "tools":[],"tool_choice":"auto","stop":null,"temperature":null,"logit_bias":null,"user":"u","store":true,"metadata":{},"response_format":{"type":"text"}})");
  const Reply reply = api.post("/v1/chat/completions", body);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(ByteTokenizer().decode(api.generator->requests()[0].prompt, true), "system\na\nbassistant\n");
}

TEST(Answers, ToolsReachTheTemplate) {
  const Api api(say("x"));
  const Reply reply = api.post(
      "/v1/chat/completions",
      {{"messages", messages("a")}, {"tools", Json::parse(R"([{"type":"function","function":{"name":"f"}}])")}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_NE(ByteTokenizer().decode(api.generator->requests()[0].prompt, true).find("T1"), std::string::npos);
}

TEST(Answers, PriorityReachesAnEngineThatSchedulesByIt) {
  http::HttpConfig config;
  config.priorities = true;
  const Api api(say("x"), config);
  ASSERT_EQ(api.post("/v1/completions", {{"prompt", "a"}, {"priority", -3}}).status, 200);
  ASSERT_EQ(api.post("/v1/completions", {{"prompt", "a"}}).status, 200);
  EXPECT_EQ(api.generator->requests()[0].priority, -3);
  EXPECT_EQ(api.generator->requests()[1].priority, 0);
}

TEST(Answers, SamplingFieldsReachTheEngine) {
  const Api api(say("x"));
  const Reply reply = api.post("/v1/completions",
                               Json::parse(R"({"prompt":[5,6],"max_tokens":7,"temperature":0.001,"top_p":0.5,"top_k":-1,
    "min_p":0.25,"presence_penalty":-2,"frequency_penalty":2,"repetition_penalty":1.5,"logit_bias":{"3":200,"4":-0.5},"seed":11,
    "n":2,"min_tokens":3,"stop_token_ids":[9],"cache_salt":"s","logprobs":2,"prompt_logprobs":1})"));
  ASSERT_EQ(reply.status, 200) << reply.body;
  const auto requests = api.generator->requests();
  ASSERT_EQ(requests.size(), 2u);
  const auto& p = requests[1].params;
  EXPECT_EQ(requests[1].prompt, (std::vector<engine::TokenId>{5, 6}));
  EXPECT_EQ(requests[1].cache_scope, "s");
  EXPECT_EQ(requests[0].params.seed, 11u);
  EXPECT_EQ(p.seed, 12u);
  EXPECT_FLOAT_EQ(p.temperature, 0.01f);
  EXPECT_FLOAT_EQ(p.top_p, 0.5f);
  EXPECT_EQ(p.top_k, 0);
  EXPECT_FLOAT_EQ(p.min_p, 0.25f);
  EXPECT_FLOAT_EQ(p.presence_penalty, -2);
  EXPECT_FLOAT_EQ(p.frequency_penalty, 2);
  EXPECT_FLOAT_EQ(p.repetition_penalty, 1.5f);
  EXPECT_EQ(p.logit_bias, (std::vector<std::pair<int32_t, float>>{{3, 100.0f}, {4, -0.5f}}));
  EXPECT_EQ(p.max_tokens, 7);
  EXPECT_EQ(p.min_tokens, 3);
  EXPECT_EQ(p.stop_token_ids, (std::vector<int32_t>{9, ByteTokenizer::kEos}));
  EXPECT_EQ(p.logprobs, 2);
  EXPECT_EQ(p.prompt_logprobs, 1);
}

TEST(Answers, MaxTokensIsLoweredToTheRoomLeft) {
  const Api api(say("x"));
  const std::string prompt(60, 'a');
  EXPECT_EQ(api.post("/v1/completions", {{"prompt", prompt}, {"max_tokens", 1000}, {"ignore_eos", true}}).status, 200);
  EXPECT_EQ(api.post("/v1/completions", {{"prompt", prompt}}).status, 200);
  EXPECT_EQ(api.post("/v1/chat/completions", {{"messages", messages("a")}}).status, 200);
  const auto requests = api.generator->requests();
  EXPECT_EQ(requests[0].params.max_tokens, 3);  // with the BOS
  EXPECT_TRUE(requests[0].params.stop_token_ids.empty());
  EXPECT_EQ(requests[1].params.max_tokens, 3);
  EXPECT_EQ(requests[2].params.max_tokens, 64 - static_cast<int>(requests[2].prompt.size()));
}

TEST(Answers, TruncationKeepsTheChosenSide) {
  const Api api(say("x"));
  api.post("/v1/completions", {{"prompt", "abcdef"}, {"truncate_prompt_tokens", 2}});
  api.post("/v1/completions", {{"prompt", "abcdef"}, {"truncate_prompt_tokens", 2}, {"truncation_side", "right"}});
  api.post("/v1/completions", {{"prompt", std::string(200, 'a')}, {"truncate_prompt_tokens", -1}, {"max_tokens", 4}});
  const auto requests = api.generator->requests();
  EXPECT_EQ(requests[0].prompt, ByteTokenizer::ids("ef"));
  EXPECT_EQ(requests[1].prompt, (std::vector<engine::TokenId>{ByteTokenizer::kBos, 'a'}));
  EXPECT_EQ(requests[2].prompt.size(), 60u);
}

TEST(Answers, StopStringsOverTokenBorders) {
  const Api api(say("one two three", FinishReason::kStop));
  Reply reply = api.post("/v1/completions", {{"prompt", "a"}, {"stop", {"zzz", "o th"}}});
  EXPECT_EQ(reply.json["choices"][0]["text"], "one tw");
  EXPECT_EQ(reply.json["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(reply.json["choices"][0]["stop_reason"], "o th");
  EXPECT_EQ(reply.json["usage"]["completion_tokens"], 10);
  reply = api.post("/v1/completions", {{"prompt", "a"}, {"stop", "two"}, {"include_stop_str_in_output", true}});
  EXPECT_EQ(reply.json["choices"][0]["text"], "one two");
  reply = api.post("/v1/completions", {{"prompt", "a"}, {"stop", "one"}, {"min_tokens", 5}});
  EXPECT_EQ(reply.json["choices"][0]["text"], "one two three");
  reply =
      api.post("/v1/completions", {{"prompt", "a"}, {"stop", "threex"}});  // the held-back tail comes out at the end
  EXPECT_EQ(reply.json["choices"][0]["text"], "one two three");
  EXPECT_EQ(reply.json["choices"][0]["stop_reason"], nullptr);
  EXPECT_EQ(api.generator->live_streams(), 0);
}

TEST(Answers, StopTokens) {
  const Api api([](const GenerationRequest& request) {
    const auto id = request.prompt.back() == 'e' ? ByteTokenizer::kEos : engine::TokenId('x');
    auto deltas = FakeGenerator::tokens({'a', 'b', id}, FinishReason::kStop);
    deltas.back().stop_token = id;
    return deltas;
  });
  Reply reply = api.post("/v1/completions", {{"prompt", "e"}, {"return_token_ids", true}});
  EXPECT_EQ(reply.json["choices"][0]["text"], "ab");
  EXPECT_EQ(reply.json["choices"][0]["stop_reason"], nullptr);
  EXPECT_EQ(reply.json["choices"][0]["token_ids"], Json({'a', 'b', 257}));
  EXPECT_EQ(reply.json["choices"][0]["prompt_token_ids"], Json({256, 'e'}));
  EXPECT_EQ(reply.json["usage"]["completion_tokens"], 3);
  reply = api.post("/v1/completions", {{"prompt", "x"}, {"stop_token_ids", {'x'}}});
  EXPECT_EQ(reply.json["choices"][0]["text"], "ab");
  EXPECT_EQ(reply.json["choices"][0]["stop_reason"], 'x');
  reply =
      api.post("/v1/completions", {{"prompt", "x"}, {"stop_token_ids", {'x'}}, {"include_stop_str_in_output", true}});
  EXPECT_EQ(reply.json["choices"][0]["text"], "abx");
}

TEST(Answers, CharactersAreNeverCut) {
  const Api api(say("\xE5\x8C\x97\xE4\xBA\xAC\xE4"));  // 北京 and a third of a character
  const Reply reply = api.post("/v1/completions", {{"prompt", "a"}});
  EXPECT_EQ(reply.json["choices"][0]["text"], "北京\xEF\xBF\xBD");
}

TEST(Answers, ListsOfPromptsAndChoices) {
  const Api api([](const GenerationRequest& request) {
    return FakeGenerator::tokens({request.prompt.back(), static_cast<engine::TokenId>('0' + request.params.seed)},
                                 FinishReason::kLength);
  });
  const Reply reply = api.post("/v1/completions", {{"prompt", {"a", "bc"}}, {"n", 2}, {"seed", 3}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  std::vector<std::string> texts;
  for (size_t i = 0; i < reply.json["choices"].size(); ++i) {
    EXPECT_EQ(reply.json["choices"][i]["index"], i);
    texts.push_back(reply.json["choices"][i]["text"]);
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"a3", "a4", "c3", "c4"}));
  EXPECT_EQ(reply.json["usage"]["prompt_tokens"], 2 + 3);
  EXPECT_EQ(reply.json["usage"]["completion_tokens"], 8);
  const Reply ids = api.post("/v1/completions", {{"prompt", {{1, 2}, {3}}}});
  EXPECT_EQ(ids.json["choices"].size(), 2u);
}

TEST(Answers, MoreChoicesThanMayBeInFlight) {
  const Api api(say("z"));
  const Reply reply = api.post("/v1/completions", {{"prompt", std::vector<std::string>(100, "a")}, {"n", 2}});
  ASSERT_EQ(reply.status, 200);
  ASSERT_EQ(reply.json["choices"].size(), 200u);
  for (const auto& choice : reply.json["choices"]) EXPECT_EQ(choice["text"], "z");
  EXPECT_EQ(api.generator->live_streams(), 0);
}

// Two tokens, each with its own and the two likeliest log-probabilities; -inf for the second.
std::vector<TokenDelta> with_logprobs(const GenerationRequest& request) {
  auto deltas = FakeGenerator::tokens({'a', 'b'}, FinishReason::kLength);
  const float inf = std::numeric_limits<float>::infinity();
  for (auto& delta : deltas) {
    const bool second = delta.tokens[0] == 'b';
    delta.logprobs = {{{delta.tokens[0], second ? -inf : -0.5f, second ? 3 : 1}, {{'a', -0.5f, 1}, {'c', -1.5f, 2}}}};
    delta.logprobs[0].top.resize(static_cast<size_t>(std::max(0, request.params.logprobs)));
  }
  if (request.params.prompt_logprobs >= 0) {
    for (size_t i = 1; i < request.prompt.size(); ++i) {
      deltas[0].prompt_logprobs.push_back({{request.prompt[i], -2.0f, 2}, {{'q', -0.25f, 1}}});
    }
  }
  return deltas;
}

TEST(Answers, CompletionLogprobs) {
  const Api api(with_logprobs);
  const Reply reply = api.post("/v1/completions", {{"prompt", "xy"}, {"logprobs", 2}});
  EXPECT_EQ(reply.json["choices"][0]["logprobs"],
            Json::parse(R"({"tokens":["a","b"],"token_logprobs":[-0.5,-9999.0],"text_offset":[0,1],
              "top_logprobs":[{"a":-0.5,"c":-1.5},{"b":-9999.0,"a":-0.5,"c":-1.5}]})"));
  const Reply ids =
      api.post("/v1/completions", {{"prompt", "xy"}, {"logprobs", 0}, {"return_tokens_as_token_ids", true}});
  EXPECT_EQ(ids.json["choices"][0]["logprobs"]["tokens"], Json({"token_id:97", "token_id:98"}));
  EXPECT_EQ(ids.json["choices"][0]["logprobs"]["top_logprobs"],
            Json::parse(R"([{"token_id:97":-0.5},{"token_id:98":-9999.0}])"));
}

TEST(Answers, EchoWithLogprobsHasThePrompt) {
  const Api api(with_logprobs);
  const Reply reply =
      api.post("/v1/completions", {{"prompt", "xy"}, {"logprobs", 1}, {"echo", true}, {"add_special_tokens", false}});
  EXPECT_EQ(reply.json["choices"][0]["text"], "xyab");
  EXPECT_EQ(
      reply.json["choices"][0]["logprobs"],
      Json::parse(R"({"tokens":["x","y","a","b"],"token_logprobs":[null,-2.0,-0.5,-9999.0],"text_offset":[0,1,2,3],
              "top_logprobs":[null,{"y":-2.0,"q":-0.25},{"a":-0.5},{"b":-9999.0,"a":-0.5}]})"));
  EXPECT_EQ(reply.json["choices"][0]["prompt_logprobs"], nullptr);
}

TEST(Answers, EchoOfNothingGenerated) {
  const Api api([](const GenerationRequest& request) {
    TokenDelta delta;
    delta.finish = FinishReason::kLength;
    if (request.params.prompt_logprobs >= 0) delta.prompt_logprobs = {{{'y', -2.0f, 2}, {}}};
    return std::vector<TokenDelta>{delta};
  });
  const Reply reply =
      api.post("/v1/completions", {{"prompt", {'x', 'y'}}, {"logprobs", 0}, {"echo", true}, {"max_tokens", 0}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(api.generator->requests()[0].params.max_tokens, 0);
  EXPECT_EQ(reply.json["choices"][0]["text"], "xy");
  EXPECT_EQ(reply.json["choices"][0]["logprobs"]["token_logprobs"], Json({nullptr, -2.0}));
  EXPECT_EQ(reply.json["usage"]["completion_tokens"], 0);
}

TEST(Answers, PromptLogprobsByName) {
  const Api api(with_logprobs);
  const Reply reply = api.post("/v1/completions", {{"prompt", "y"}, {"prompt_logprobs", 1}});
  EXPECT_EQ(
      reply.json["choices"][0]["prompt_logprobs"],
      Json::parse(
          R"([null,{"121":{"logprob":-2.0,"rank":2,"decoded_token":"y"},"113":{"logprob":-0.25,"rank":1,"decoded_token":"q"}}])"));
}

TEST(Answers, ChatLogprobs) {
  const Api api(with_logprobs);
  const Reply reply =
      api.post("/v1/chat/completions", {{"messages", messages()}, {"logprobs", true}, {"top_logprobs", 2}});
  EXPECT_EQ(
      reply.json["choices"][0]["logprobs"]["content"],
      Json::parse(
          R"([{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]},{"token":"c","logprob":-1.5,"bytes":[99]}]},
              {"token":"b","logprob":-9999.0,"bytes":[98],"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]},{"token":"c","logprob":-1.5,"bytes":[99]}]}])"));
  EXPECT_EQ(api.post("/v1/chat/completions", {{"messages", messages()}}).json["choices"][0]["logprobs"], nullptr);
}

TEST(Answers, ChatEchoesTheMessageThatItContinues) {
  const Api api(say("lo"));
  const Json conversation = Json::parse(R"([{"role":"user","content":"a"},{"role":"assistant","content":"hel"}])");
  const Reply reply =
      api.post("/v1/chat/completions", {{"messages", conversation}, {"add_generation_prompt", false}, {"echo", true}});
  EXPECT_EQ(reply.json["choices"][0]["message"]["content"], "hello");
  const Reply plain = api.post("/v1/chat/completions", {{"messages", conversation}, {"add_generation_prompt", false}});
  EXPECT_EQ(plain.json["choices"][0]["message"]["content"], "lo");
}

TEST(Answers, Tokenizer) {
  const Api api(say("x"));
  Reply reply = api.post("/tokenize", {{"prompt", "a</s>"}, {"return_token_strs", true}});
  EXPECT_EQ(reply.json,
            Json::parse(R"({"count":3,"max_model_len":64,"tokens":[256,97,257],"token_strs":["<s>","a","</s>"]})"));
  reply = api.post("/tokenize", {{"prompt", "a"}, {"add_special_tokens", false}});
  EXPECT_EQ(reply.json, Json::parse(R"({"count":1,"max_model_len":64,"tokens":[97],"token_strs":null})"));
  reply = api.post("/tokenize", {{"messages", messages("a")}, {"add_generation_prompt", false}});
  EXPECT_EQ(reply.json["count"], 8);
  EXPECT_EQ(api.post("/tokenize", {{"prompt", std::string(1000, 'a')}}).json["count"], 1001);
  EXPECT_EQ(api.post("/detokenize", {{"tokens", {97, 257, 98}}}).json, Json::parse(R"({"prompt":"a</s>b"})"));
}

}  // namespace
}  // namespace mhub::test
