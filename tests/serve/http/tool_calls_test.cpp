// SPDX-License-Identifier: Apache-2.0
// Forced tool calls: text of the model to `tool_calls`, whole and in pieces of every size.
#include "api_fixture.h"

namespace mhub::test {
namespace {

Json tools() {
  return Json::parse(
      R"([{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"integer"}}}}},
                         {"type":"function","function":{"name":"g"}}])");
}
Json body(const Json& choice, bool stream = false) {
  return {{"messages", messages()}, {"tools", tools()}, {"tool_choice", choice}, {"stream", stream}};
}
const Json kNamed = {{"type", "function"}, {"function", {{"name", "f"}}}};
const char* const kCalls = R"([ {"name": "f", "parameters": {"a": 1, "b": "x}\"]"}},
  {"name":"g","parameters":{"l":[{},[1]]} } ])";

// Says `text` in pieces of `size` bytes.
FakeGenerator::Script say_in_pieces(std::string text, size_t size, engine::FinishReason finish) {
  return [=](const engine::GenerationRequest&) {
    std::vector<engine::TokenDelta> out;
    for (size_t at = 0; at < text.size(); at += size) {
      out.emplace_back().tokens = ByteTokenizer::ids(text.substr(at, size));
    }
    out.back().finish = finish;
    return out;
  };
}

// The calls of a stream, put together as a client does.
Json joined(const std::string& stream, std::string& reason) {
  Json calls = Json::array();
  for (size_t at = 0; (at = stream.find("data: {", at)) != std::string::npos; at += 6) {
    const Json chunk = Json::parse(stream.substr(at + 6, stream.find('\n', at) - at - 6));
    const Json& choice = chunk["choices"][0];
    if (!choice["finish_reason"].is_null()) reason = choice["finish_reason"];
    if (!choice["delta"].contains("tool_calls")) continue;
    for (const Json& call : choice["delta"]["tool_calls"]) {
      const size_t index = call["index"];
      if (index == calls.size()) {
        EXPECT_TRUE(call["id"].get<std::string>().starts_with("chatcmpl-tool-"));
        EXPECT_EQ(call["function"]["arguments"], "");
        calls.push_back({call["function"]["name"], ""});
        continue;
      }
      EXPECT_FALSE(call.contains("id"));
      calls.at(index)[1] = calls.at(index)[1].get<std::string>() + call["function"]["arguments"].get<std::string>();
    }
  }
  return calls;
}

TEST(ToolCalls, RequiredCallsInPiecesOfEverySize) {
  const Json expected =
      Json::array({Json::array({"f", R"({"a": 1, "b": "x}\"]"})"}), Json::array({"g", R"({"l":[{},[1]]})"})});
  for (const size_t size : {1, 2, 3, 7, 1000}) {
    const Api api(say_in_pieces(kCalls, size, engine::FinishReason::kStop));
    std::string reason;
    EXPECT_EQ(joined(api.post("/v1/chat/completions", body("required", true)).body, reason), expected) << size;
    EXPECT_EQ(reason, "tool_calls");
    const Json choice = api.post("/v1/chat/completions", body("required")).json["choices"][0];
    EXPECT_EQ(choice["message"]["content"], "");
    EXPECT_EQ(choice["finish_reason"], "tool_calls");
    ASSERT_EQ(choice["message"]["tool_calls"].size(), 2u);
    for (size_t i = 0; i < 2; ++i) {
      const Json& call = choice["message"]["tool_calls"][i];
      EXPECT_EQ(call["type"], "function");
      EXPECT_EQ(call["function"]["name"], expected[i][0]);
      EXPECT_EQ(call["function"]["arguments"], expected[i][1]);
    }
  }
}

TEST(ToolCalls, ANamedCallIsTheArgumentsAlone) {
  const Api api(say_in_pieces(R"({"a": 5})", 3, engine::FinishReason::kStop));
  std::string reason;
  EXPECT_EQ(joined(api.post("/v1/chat/completions", body(kNamed, true)).body, reason),
            Json::array({Json::array({"f", R"({"a": 5})"})}));
  EXPECT_EQ(reason, "stop");
  const Json choice = api.post("/v1/chat/completions", body(kNamed)).json["choices"][0];
  EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["arguments"], R"({"a": 5})");
  EXPECT_EQ(choice["message"]["content"], "");
  EXPECT_EQ(choice["finish_reason"], "stop");
  const auto request = api.generator->requests()[0];
  EXPECT_EQ(request.constraint.kind, constraint::Spec::Kind::kJsonSchema);
  EXPECT_EQ(Json::parse(request.constraint.text), tools()[0]["function"]["parameters"]);
}

TEST(ToolCalls, WhatIsCutOffIsShownAsFarAsItCame) {
  const Api api(say_in_pieces(R"([{"name": "f", "parameters": {"a": 12)", 4, engine::FinishReason::kLength));
  const Json choice = api.post("/v1/chat/completions", body("required")).json["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["arguments"], R"({"a": 12)");
  const Api early(say_in_pieces(R"([{"name": "f)", 4, engine::FinishReason::kLength));
  EXPECT_EQ(early.post("/v1/chat/completions", body("required")).json["choices"][0]["message"]["tool_calls"],
            Json::array());
}

TEST(ToolCalls, TheFormOfRequiredCallsHoldsEachFunctionsParameters) {
  const Api api(say("x"));
  Json asked = body("required");
  asked["parallel_tool_calls"] = false;
  asked["tools"][0]["function"]["parameters"] = Json::parse(
      R"({"$defs":{"n":{"type":"integer"}},"type":"object","properties":{"a":{"$ref":"#/$defs/n"}},"required":["a"]})");
  ASSERT_EQ(api.post("/v1/chat/completions", asked).status, 200);
  const Json form = Json::parse(api.generator->requests()[0].constraint.text);
  EXPECT_EQ(form["maxItems"], 1);
  EXPECT_EQ(form["items"]["anyOf"][0]["properties"]["parameters"]["properties"]["a"]["$ref"],
            "#/items/anyOf/0/properties/parameters/$defs/n");
  EXPECT_EQ(form["items"]["anyOf"][1]["properties"]["parameters"], (Json{{"type", "object"}}));
}

TEST(ToolCalls, EveryFieldOfAFormReachesTheEngine) {
  using Kind = constraint::Spec::Kind;
  const std::tuple<Json, Kind, std::string> cases[] = {
      {{{"structured_outputs", {{"regex", "a+"}}}}, Kind::kRegex, "a+"},
      {{{"structured_outputs", {{"choice", {"a", "b"}}}}}, Kind::kChoice, R"(["a","b"])"},
      {{{"structured_outputs", {{"grammar", "root ::= \"a\""}}}}, Kind::kGrammar, "root ::= \"a\""},
      {{{"structured_outputs", {{"json_object", true}}}}, Kind::kJsonSchema, R"({"type":"object"})"},
      {{{"guided_json", R"({"type":"null"})"}}, Kind::kJsonSchema, R"({"type":"null"})"},
      {{{"guided_regex", "b"}}, Kind::kRegex, "b"},
      {{{"response_format", {{"type", "json_object"}}}}, Kind::kJsonSchema, R"({"type":"object"})"},
      {{{"structured_outputs", {{"json", {{"type", "null"}}}}}, {"response_format", {{"type", "json_object"}}}},
       Kind::kJsonSchema,
       R"({"type":"object"})"},
      {{{"response_format", {{"type", "text"}}}}, Kind::kNone, ""},
  };
  for (const auto& [fields, kind, text] : cases) {
    const Api api(say("x"));
    Json request = {{"prompt", "a"}};
    request.update(fields);
    const Reply reply = api.post("/v1/completions", request);
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(api.generator->requests()[0].constraint.kind, kind) << fields;
    EXPECT_EQ(api.generator->requests()[0].constraint.text, text);
  }
  const Api plain(say("x"), {}, true, false);
  EXPECT_EQ(plain.post("/v1/completions", {{"prompt", {1, 2}}, {"guided_regex", "a"}}).status, 501);
}

}  // namespace
}  // namespace mhub::test
