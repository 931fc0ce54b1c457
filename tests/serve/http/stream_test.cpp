// SPDX-License-Identifier: Apache-2.0
// Server-sent events, byte for byte.
#include "api_fixture.h"

namespace mhub::test {
namespace {

using engine::FinishReason;
using engine::GenerationRequest;

// The body of a streamed answer with its time stamps set to 0.
std::string stream(const Api& api, const std::string& path, Json body) {
  body["stream"] = true;
  body["request_id"] = "r";
  const Reply reply = api.post(path, body);
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.headers.at("content-type"), "text/event-stream; charset=utf-8");
  std::string out = reply.body;
  const std::string key = "\"created\":";
  for (size_t at = 0; (at = out.find(key, at)) != std::string::npos;) {
    at += key.size();
    out.replace(at, out.find(',', at) - at, "0");
  }
  return out;
}

std::string chat_event(const std::string& choice, const std::string& more = "") {
  return R"(data: {"id":"chatcmpl-r","object":"chat.completion.chunk","created":0,"model":"m","choices":[)" + choice +
         "]" + more + "}\n\n";
}
std::string text_event(const std::string& choice, const std::string& more = "") {
  return R"(data: {"id":"cmpl-r","object":"text_completion","created":0,"model":"m","choices":[)" + choice + "]" +
         more + "}\n\n";
}
const std::string kDone = "data: [DONE]\n\n";

TEST(Stream, Chat) {
  const Api api(say("hi", FinishReason::kStop));
  EXPECT_EQ(
      stream(api, "/v1/chat/completions", {{"messages", messages()}, {"stream_options", {{"include_usage", true}}}}),
      chat_event(R"({"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null})") +
          chat_event(R"({"index":0,"delta":{"content":"h"},"logprobs":null,"finish_reason":null})") +
          chat_event(
              R"({"index":0,"delta":{"content":"i"},"logprobs":null,"finish_reason":"stop","stop_reason":null})") +
          chat_event(
              "",
              R"(,"usage":{"prompt_tokens":10,"total_tokens":12,"completion_tokens":2,"prompt_tokens_details":null})") +
          kDone);
}

TEST(Stream, Completion) {
  const Api api(say("hi"));
  EXPECT_EQ(stream(api, "/v1/completions", {{"prompt", "a"}}),
            text_event(R"({"index":0,"text":"h","logprobs":null,"finish_reason":null})") +
                text_event(R"({"index":0,"text":"i","logprobs":null,"finish_reason":"length","stop_reason":null})") +
                kDone);
}

TEST(Stream, EchoComesWithTheFirstToken) {
  const Api api(say("hi"));
  const std::string body = stream(api, "/v1/completions", {{"prompt", "a"}, {"echo", true}});
  EXPECT_TRUE(body.starts_with(text_event(R"({"index":0,"text":"ah","logprobs":null,"finish_reason":null})"))) << body;
}

TEST(Stream, ContinuousUsageIsInEveryChunk) {
  const Api api(say("hi"));
  const std::string body = stream(
      api, "/v1/chat/completions",
      {{"messages", messages()}, {"stream_options", {{"include_usage", true}, {"continuous_usage_stats", true}}}});
  EXPECT_TRUE(body.starts_with(
      chat_event(
          R"({"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null})",
          R"(,"usage":{"prompt_tokens":10,"total_tokens":10,"completion_tokens":0,"prompt_tokens_details":null})") +
      chat_event(
          R"({"index":0,"delta":{"content":"h"},"logprobs":null,"finish_reason":null})",
          R"(,"usage":{"prompt_tokens":10,"total_tokens":11,"completion_tokens":1,"prompt_tokens_details":null})")))
      << body;
}

TEST(Stream, StopStringIsHeldBackAndCut) {
  const Api api(say("abcd", FinishReason::kStop));
  EXPECT_EQ(stream(api, "/v1/completions", {{"prompt", "a"}, {"stop", "cd"}}),
            text_event(R"({"index":0,"text":"a","logprobs":null,"finish_reason":null})") +
                text_event(R"({"index":0,"text":"b","logprobs":null,"finish_reason":null})") +
                text_event(R"({"index":0,"text":"","logprobs":null,"finish_reason":"stop","stop_reason":"cd"})") +
                kDone);
}

TEST(Stream, HalfCharactersWait) {
  const Api api(say("\xC3\xA9", FinishReason::kStop));
  EXPECT_EQ(
      stream(api, "/v1/completions", {{"prompt", "a"}}),
      text_event("{\"index\":0,\"text\":\"é\",\"logprobs\":null,\"finish_reason\":\"stop\",\"stop_reason\":null}") +
          kDone);
}

TEST(Stream, TokenIdsGoOutEvenWithoutText) {
  const Api api(say("\xC3\xA9", FinishReason::kStop));
  EXPECT_EQ(
      stream(api, "/v1/completions", {{"prompt", "a"}, {"return_token_ids", true}}),
      text_event(
          R"({"index":0,"text":"","logprobs":null,"finish_reason":null,"prompt_token_ids":[256,97],"token_ids":[195]})") +
          text_event("{\"index\":0,\"text\":\"é\",\"logprobs\":null,\"finish_reason\":\"stop\",\"stop_reason\":null,"
                     "\"token_ids\":[169]}") +
          kDone);
}

TEST(Stream, LogprobsContinueTheOffsets) {
  const Api api([](const GenerationRequest&) {
    auto deltas = FakeGenerator::tokens({'a', 'b'}, FinishReason::kLength);
    for (auto& delta : deltas) delta.logprobs = {{{delta.tokens[0], -0.5f, 1}, {}}};
    return deltas;
  });
  const std::string body = stream(api, "/v1/completions",
                                  {{"prompt", "xyz"}, {"logprobs", 0}, {"echo", true}, {"add_special_tokens", false}});
  EXPECT_NE(body.find(R"("logprobs":{"text_offset":[0,1,2,3],)"), std::string::npos) << body;
  EXPECT_NE(
      body.find(R"("logprobs":{"text_offset":[4],"token_logprobs":[-0.5],"tokens":["b"],"top_logprobs":[{"b":-0.5}]})"),
      std::string::npos)
      << body;
  const std::string chat = stream(api, "/v1/chat/completions", {{"messages", messages()}, {"logprobs", true}});
  EXPECT_NE(chat.find(R"("logprobs":{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]})"),
            std::string::npos)
      << chat;
}

TEST(Stream, ChoicesCarryTheirIndex) {
  const Api api([](const GenerationRequest& request) {
    return FakeGenerator::tokens({static_cast<engine::TokenId>('0' + request.params.seed)}, FinishReason::kLength);
  });
  const std::string body = stream(api, "/v1/chat/completions", {{"messages", messages()}, {"n", 2}, {"seed", 1}});
  const auto role = [](const std::string& i) {
    return chat_event("{\"index\":" + i +
                      R"(,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null})");
  };
  const auto text = [](const std::string& i, const std::string& t) {
    return chat_event("{\"index\":" + i + ",\"delta\":{\"content\":\"" + t +
                      R"("},"logprobs":null,"finish_reason":"length","stop_reason":null})");
  };
  EXPECT_EQ(body, role("0") + role("1") + text("0", "1") + text("1", "2") + kDone);
}

TEST(Stream, WholeAndStreamedAnswersSayTheSame) {
  const Api api(say("one two\nthree \xE4\xBA\xAC four"));
  const Json ask = {{"messages", messages()}, {"stop", {"four"}}};
  std::string text;
  const std::string body = stream(api, "/v1/chat/completions", ask);
  for (size_t at = 0; (at = body.find("data: {", at)) != std::string::npos;) {
    at += 6;
    const auto event = parse_json(body.substr(at, body.find("\n\n", at) - at));
    text += (*event)["choices"][0]["delta"]["content"].get<std::string>();
  }
  EXPECT_EQ(text, api.post("/v1/chat/completions", ask).json["choices"][0]["message"]["content"]);
}

TEST(Stream, AHangUpFreesTheStreamsSoon) {
  const Api api(say_and_hang("ab"));
  for (const bool streamed : {true, false}) {
    for (const int n : {1, 3}) {
      RawClient client = api.client();
      client.send(
          Api::request("POST", "/v1/completions", dump_json(Json{{"prompt", "a"}, {"stream", streamed}, {"n", n}})));
      ASSERT_TRUE(eventually([&] { return api.generator->live_streams() == n; }));
      if (streamed) {
        EXPECT_NE(client.receive_once().find("data: "), std::string::npos);
      }
      const auto begin = std::chrono::steady_clock::now();
      client.close_now();
      ASSERT_TRUE(eventually([&] { return api.generator->live_streams() == 0; }));
      EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1)) << "50 ms on an idle machine";
    }
  }
}

}  // namespace
}  // namespace mhub::test
