// SPDX-License-Identifier: Apache-2.0
// Every refusal of the generation routes: status, type, param and the words that clients look for.
#include "api_fixture.h"

namespace mhub::test {
namespace {

struct Case {
  const char* name;
  std::string body;
  int status;
  const char* type;
  Json param;
  const char* words;
};
const char* const kBad = "BadRequestError";
const char* const kSchema = "Bad Request";
const char* const kMissing = "NotImplementedError";

// `fields` beside a valid prompt.
std::string with(const std::string& fields) {
  return R"({"prompt":"ab",)" + fields + "}";
}
std::string chat(const std::string& fields) {
  return R"({"messages":[{"role":"user","content":"a"}],)" + fields + "}";
}
std::string repeat(const std::string& text, int n, const std::string& between) {
  std::string out;
  for (int i = 0; i < n; ++i) out += (i ? between : "") + text;
  return out;
}

// An object of `n` members, inside `outer` others.
std::string many_members(size_t n, int outer) {
  std::string members;
  for (size_t i = 0; i < n; ++i) members += (i ? ",\"" : "\"") + std::to_string(i) + "\":0";
  std::string out = "{" + members + "}";
  for (int i = 0; i < outer; ++i) out = R"({"":[)" + out + "]}";
  return out;
}

void check(const Api& api, const std::string& path, const std::vector<Case>& cases) {
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const Reply reply = api.send("POST", path, c.body);
    EXPECT_EQ(reply.status, c.status) << reply.body;
    ASSERT_TRUE(reply.json.is_object() && reply.json.contains("error")) << reply.body;
    const Json& error = reply.json["error"];
    EXPECT_EQ(error.size(), 4u);
    EXPECT_EQ(error["type"], c.type) << reply.body;
    EXPECT_EQ(error["code"], c.status);
    EXPECT_EQ(error["param"], c.param) << reply.body;
    EXPECT_NE(error["message"].get<std::string>().find(c.words), std::string::npos) << reply.body;
    EXPECT_LT(reply.body.size(), 1500u);
  }
  EXPECT_EQ(api.generator->requests().size(), 0u);
}

TEST(Errors, Completions) {
  const Api api(say("x"));
  check(
      api, "/v1/completions",
      {
          {"bad JSON", R"({"prompt": )", 400, kSchema, "body.12", "malformed JSON"},
          {"trailing text", R"({"prompt":"a"} x)", 400, kSchema, "body.16", "malformed JSON"},
          {"duplicate key", R"({"prompt":"a","prompt":"b"})", 400, kSchema, "body", "duplicate key"},
          {"too many members", many_members(10'001, 0), 400, kSchema, "body", "more than 10000 members"},
          {"too many members inside", many_members(10'001, 3), 400, kSchema, "body", "more than 10000 members"},
          {"just enough members", many_members(10'000, 3), 400, kBad, "prompt", "required"},
          {"not an object", "[1]", 400, kSchema, "body", "must be an object"},
          {"deep", std::string(5000, '['), 400, kSchema, "body", "deeper"},
          {"ill-formed UTF-8", "{\"prompt\":\"\xff\"}", 400, kSchema, "body.12", "malformed JSON"},
          {"unknown model", with(R"("model":"x")"), 404, "NotFoundError", "model",
           "The model `x` does not exist. This server serves `m`, `org/other`."},
          {"model of a wrong type", with(R"("model":5)"), 400, kSchema, "model", "must be a string"},
          {"no prompt", R"({"model":"m"})", 400, kBad, "prompt", "required"},
          {"null prompt", R"({"prompt":null})", 400, kBad, "prompt", "required"},
          {"empty prompt", R"({"prompt":""})", 400, kBad, "prompt", "empty"},
          {"empty list", R"({"prompt":[]})", 400, kBad, "prompt", "empty"},
          {"empty prompt in a list", R"({"prompt":["a",""]})", 400, kBad, "prompt", "empty"},
          {"prompt number", R"({"prompt":5})", 400, kSchema, "prompt", "must be a string"},
          {"mixed prompt", R"({"prompt":["a",5]})", 400, kSchema, "prompt", "must hold"},
          {"id out of the vocabulary", R"({"prompt":[1,260]})", 400, kBad, "prompt", "260"},
          {"negative id", R"({"prompt":[-1]})", 400, kBad, "prompt", "-1"},
          {"id 2^40", R"({"prompt":[1099511627776]})", 400, kBad, "prompt", "vocabulary"},
          {"id 1.5", R"({"prompt":[1.5]})", 400, kSchema, "prompt", "token ids"},
          {"too many prompts", R"({"prompt":[)" + repeat("\"a\"", 1025, ",") + "]}", 400, kBad, "prompt", "1025"},
          {"context overflow", R"({"prompt":[)" + repeat("1", 64, ",") + "]}", 400, kBad, "input_tokens",
           "This model's maximum context length is 64 tokens. However, you requested 16 output tokens and your prompt "
           "contains at least 64 input tokens, for a total of at least 80 tokens."},
          {"context overflow before tokenizing", R"({"prompt":")" + std::string(5000, 'a') + "\"}", 400, kBad,
           "input_tokens", "This model's maximum context length is"},
          {"max_tokens 0", with(R"("max_tokens":0)"), 400, kBad, "max_tokens", "at least 1"},
          {"max_tokens -1", with(R"("max_tokens":-1)"), 400, kBad, "max_tokens", "at least"},
          {"max_tokens 2^63", with(R"("max_tokens":9223372036854775808)"), 400, kSchema, "max_tokens", "64-bit"},
          {"max_tokens text", with(R"("max_tokens":"5")"), 400, kSchema, "max_tokens", "integer"},
          {"max_tokens 1.5", with(R"("max_tokens":1.5)"), 400, kSchema, "max_tokens", "integer"},
          {"n 0", with(R"("n":0)"), 400, kBad, "n", "between 1 and 16384"},
          {"n a million", with(R"("n":1000000)"), 400, kBad, "n", "between"},
          {"n with greedy", with(R"("n":2,"temperature":0)"), 400, kBad, "n", "greedy"},
          {"n times prompts", R"({"prompt":["a","b"],"n":10000})", 400, kBad, "n", "16384"},
          {"best_of below n", with(R"("n":3,"best_of":2)"), 400, kBad, "best_of", "n=3 and best_of=2"},
          {"best_of with greedy", with(R"("best_of":3,"temperature":0)"), 400, kBad, "best_of", "greedy"},
          {"best_of streamed", with(R"("best_of":3,"stream":true)"), 400, kBad, "best_of", "stream"},
          {"typical_p 0", with(R"("typical_p":0)"), 400, kBad, "typical_p", "(0, 1]"},
          {"repeat_last_n", with(R"("repeat_last_n":-2)"), 400, kBad, "repeat_last_n", "between -1"},
          {"no allowed id", with(R"("allowed_token_ids":[])"), 400, kBad, "allowed_token_ids", "empty"},
          {"allowed id out of range", with(R"("allowed_token_ids":[1,260])"), 400, kBad, "allowed_token_ids", "260"},
          {"allowed ids of a wrong type", with(R"("allowed_token_ids":"a")"), 400, kSchema, "allowed_token_ids",
           "list of token ids"},
          {"logprob ids without logprobs", with(R"("logprob_token_ids":[1])"), 400, kBad, "logprob_token_ids",
           "needs logprobs"},
          {"129 logprob ids", with(R"("logprobs":1,"logprob_token_ids":[)" + repeat("1", 129, ",") + "]"), 400, kBad,
           "logprob_token_ids", "at most 128"},
          {"temperature -1", with(R"("temperature":-1)"), 400, kBad, "temperature", "[0, 2]"},
          {"temperature 2.1", with(R"("temperature":2.1)"), 400, kBad, "temperature", "[0, 2]"},
          {"temperature 1e999", with(R"("temperature":1e999)"), 400, kSchema, "body.34", "malformed"},
          {"temperature true", with(R"("temperature":true)"), 400, kSchema, "temperature", "finite number"},
          {"top_p 0", with(R"("top_p":0)"), 400, kBad, "top_p", "(0, 1]"},
          {"top_p 1.01", with(R"("top_p":1.01)"), 400, kBad, "top_p", "(0, 1]"},
          {"top_k -2", with(R"("top_k":-2)"), 400, kBad, "top_k", "between"},
          {"top_k 0.01", with(R"("top_k":0.01)"), 400, kSchema, "top_k", "integer"},
          {"min_p 2", with(R"("min_p":2)"), 400, kBad, "min_p", "[0, 1]"},
          {"presence", with(R"("presence_penalty":2.5)"), 400, kBad, "presence_penalty", "[-2, 2]"},
          {"frequency", with(R"("frequency_penalty":-3)"), 400, kBad, "frequency_penalty", "[-2, 2]"},
          {"repetition 0", with(R"("repetition_penalty":0)"), 400, kBad, "repetition_penalty", "repetition_penalty"},
          {"repetition 1e38", with(R"("repetition_penalty":1e38)"), 400, kBad, "repetition_penalty", "1e+38"},
          {"seed 2^64", with(R"("seed":18446744073709551616)"), 400, kSchema, "seed", "integer"},
          {"logprobs 21", with(R"("logprobs":21)"), 400, kBad, "logprobs",
           "Requested sample logprobs of 21, which is greater than max allowed: 20"},
          {"logprobs -1", with(R"("logprobs":-1)"), 400, kBad, "logprobs",
           "Requested sample logprobs of 260, which is greater than max allowed: 20"},
          {"logprobs -2", with(R"("logprobs":-2)"), 400, kBad, "logprobs", "non-negative or -1"},
          {"logprobs true", with(R"("logprobs":true)"), 400, kSchema, "logprobs", "integer"},
          {"prompt_logprobs", with(R"("prompt_logprobs":100)"), 400, kBad, "prompt_logprobs",
           "Requested prompt logprobs of 100, which is greater than max allowed: 20"},
          {"prompt_logprobs streamed", with(R"("prompt_logprobs":1,"stream":true)"), 400, kBad, "prompt_logprobs",
           "stream"},
          {"logit_bias list", with(R"("logit_bias":[1])"), 400, kSchema, "logit_bias", "object"},
          {"logit_bias key", with(R"("logit_bias":{"a":1})"), 400, kBad, "logit_bias", "\"a\""},
          {"logit_bias out of range", with(R"("logit_bias":{"260":1})"), 400, kBad, "logit_bias", "260"},
          {"logit_bias value", with(R"("logit_bias":{"1":"x"})"), 400, kSchema, "logit_bias", "numbers"},
          {"stop empty", with(R"("stop":"")"), 400, kBad, "stop", "empty string"},
          {"stop empty in a list", with(R"("stop":["a",""])"), 400, kBad, "stop", "empty string"},
          {"stop number", with(R"("stop":5)"), 400, kSchema, "stop", "string"},
          {"65 stops", with(R"("stop":[)" + repeat("\"a\"", 65, ",") + "]"), 400, kBad, "stop", "at most 64"},
          {"long stop", with(R"("stop":")" + std::string(1025, 'a') + "\""), 400, kBad, "stop", "1024"},
          {"stop ids", with(R"("stop_token_ids":[999])"), 400, kBad, "stop_token_ids", "999"},
          {"min_tokens", with(R"("min_tokens":17)"), 400, kBad, "min_tokens", "max_tokens=16"},
          {"stream_options without stream", with(R"("stream_options":{"include_usage":true})"), 400, kBad,
           "stream_options", "stream"},
          {"truncate", with(R"("truncate_prompt_tokens":65)"), 400, kBad, "truncate_prompt_tokens", "64"},
          {"cache_salt", with(R"("cache_salt":"a/b")"), 400, kBad, "cache_salt", "cache_salt"},
          {"priority", with(R"("priority":1)"), 400, kBad, "priority", "--scheduling-policy"},
          {"suffix", with(R"("suffix":"x")"), 400, kBad, "suffix", "suffix"},
          {"prompt_embeds", with(R"("prompt_embeds":"x")"), 400, kBad, "prompt_embeds", "not supported"},
          {"beam search", with(R"("use_beam_search":true)"), 501, kMissing, "use_beam_search", "beam search"},
          {"empty bad word", with(R"("bad_words":["a"," "])"), 400, kBad, "bad_words", "empty string"},
          {"bad word of a wrong type", with(R"("bad_words":[5])"), 400, kSchema, "bad_words", "strings only"},
          {"two forms", with(R"("guided_choice":["a"],"guided_regex":"a")"), 400, kBad, "guided_choice",
           "only use one kind"},
          {"no form", with(R"("structured_outputs":{})"), 400, kBad, "structured_outputs", "none are specified"},
          {"a false json_object", with(R"("structured_outputs":{"json_object":false})"), 400, kBad,
           "structured_outputs", "none are specified"},
          {"forms of two fields",
           with(R"("structured_outputs":{"regex":"a"},"response_format":{"type":"json_object"})"), 400, kBad,
           "response_format", "only use one kind"},
          {"regex of a wrong type", with(R"("structured_outputs":{"regex":5})"), 400, kSchema, "regex", "string"},
          {"choice of a wrong type", with(R"("guided_choice":"a")"), 400, kSchema, "guided_choice", "list of strings"},
          {"empty choice", with(R"("guided_choice":[])"), 400, kBad, "guided_choice", "choice"},
          {"structural tag", with(R"("structured_outputs":{"structural_tag":"x"})"), 501, kMissing,
           "structured_outputs", "structural_tag"},
          {"look-around", with(R"x("guided_regex":"a(?=b)")x"), 400, kBad, "guided_regex", "look-around"},
          {"bad grammar", with(R"x("guided_grammar":"root ::= (")x"), 400, kBad, "guided_grammar", "line 1"},
          {"bad schema", with(R"("structured_outputs":{"json":{"not":{}}})"), 400, kBad, "structured_outputs",
           "the keyword not is not supported"},
          {"schema as text", with(R"("guided_json":"{")"), 400, kBad, "guided_json", "malformed"},
      });
}

TEST(Errors, Chat) {
  const Api api(say("x"));
  check(
      api, "/v1/chat/completions",
      {
          {"no messages", "{}", 400, kSchema, "messages", "field required"},
          {"messages of a wrong type", R"({"messages":"a"})", 400, kSchema, "messages", "must be a list"},
          {"empty messages", R"({"messages":[]})", 400, kBad, "messages", "empty"},
          {"message of a wrong type", R"({"messages":["a"]})", 400, kSchema, "messages", "objects"},
          {"no role", R"({"messages":[{"content":"a"}]})", 400, kBad, "messages", "role"},
          {"content number", R"({"messages":[{"role":"user","content":5}]})", 400, kSchema, "messages", "content"},
          {"image", R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x"}}]}]})",
           400, kBad, "messages", "image_url"},
          {"top_logprobs without logprobs", chat(R"("top_logprobs":2)"), 400, kBad, "top_logprobs", "logprobs"},
          {"top_logprobs 21", chat(R"("logprobs":true,"top_logprobs":21)"), 400, kBad, "top_logprobs",
           "greater than max allowed: 20"},
          {"logprobs number", chat(R"("logprobs":3)"), 400, kSchema, "logprobs", "true or false"},
          {"max_completion_tokens", chat(R"("max_completion_tokens":0)"), 400, kBad, "max_completion_tokens",
           "at least 1"},
          {"tool_choice without tools", chat(R"("tool_choice":"auto")"), 400, kBad, "tool_choice", "tools"},
          {"tool_choice of another kind",
           chat(R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"any")"), 400, kBad,
           "tool_choice", "none, auto, required"},
          {"parameters that no form keeps",
           chat(R"("tools":[{"type":"function","function":{"name":"f","parameters":{"not":{}}}}],
              "tool_choice":"required")"),
           400, kBad, "tools", "the keyword not"},
          {"forced call with a form",
           chat(R"("tools":[{"type":"function","function":{"name":"f"}}],"response_format":{"type":"json_object"},
              "tool_choice":{"type":"function","function":{"name":"f"}})"),
           400, kBad, "tool_choice", "response_format"},
          {"unknown tool", chat(R"("tools":[{"type":"function","function":{"name":"f"}}],
              "tool_choice":{"type":"function","function":{"name":"g"}})"),
           400, kBad, "tool_choice", "not in tools"},
          {"tool without a name", chat(R"("tools":[{"type":"function","function":{}}])"), 400, kBad, "tools", "name"},
          {"json_schema without a schema",
           chat(R"("response_format":{"type":"json_schema","json_schema":{"name":"a"}})"), 400, kBad, "response_format",
           "schema"},
          {"bad json_schema",
           chat(R"("response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"x"}}})"), 400,
           kBad, "response_format", "type \"x\" is unknown"},
          {"unknown response_format", chat(R"("response_format":{"type":"xml"})"), 400, kBad, "response_format",
           "\"xml\""},
          {"json_schema missing", chat(R"("response_format":{"type":"json_schema"})"), 400, kBad, "response_format",
           "json_schema"},
          {"template", chat(R"("chat_template":"x")"), 400, kBad, "chat_template", "refused"},
          {"template kwargs", chat(R"("chat_template_kwargs":{"tokenize":true})"), 400, kBad, "chat_template_kwargs",
           "tokenize"},
          {"continue and generate", chat(R"("continue_final_message":true)"), 400, kBad, "continue_final_message",
           "both"},
          {"context overflow", R"({"messages":[{"role":"user","content":")" + std::string(100, 'a') + "\"}]}", 400,
           kBad, "input_tokens", "This model's maximum context length is 64 tokens."},
      });
}

TEST(Errors, TokenizerRoutes) {
  const Api api(say("x"));
  check(api, "/tokenize",
        {{"nothing", "{}", 400, kSchema, "prompt", "required"},
         {"model", R"({"prompt":"a","model":"x"})", 404, "NotFoundError", "model", "does not exist"}});
  check(api, "/detokenize",
        {{"nothing", "{}", 400, kSchema, "tokens", "list"},
         {"out of range", R"({"tokens":[260]})", 400, kBad, "tokens", "260"}});
}

TEST(Errors, ContentTypeMustBeJson) {
  const Api api(say("x"));
  RawClient client = api.client();
  client.send(
      "POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: "
      "14\r\n\r\n{\"prompt\":\"a\"}");
  EXPECT_EQ(client.response()->status, 400);
  client.send(
      "POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Type: Application/JSON; charset=utf-8\r\n"
      "Content-Length: 14\r\n\r\n{\"prompt\":\"a\"}");
  EXPECT_EQ(client.response()->status, 200);
  client.send("POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 14\r\n\r\n{\"prompt\":\"a\"}");
  EXPECT_EQ(client.response()->status, 200);
}

TEST(Errors, WithoutATemplateChatNamesTheOption) {
  const Api api(say("x"), {}, false);
  check(api, "/v1/chat/completions", {{"chat", chat(R"("n":1)"), 400, kBad, "messages", "--chat-template"}});
  EXPECT_EQ(api.post("/v1/completions", {{"prompt", "a"}}).status, 200);
}

TEST(Errors, WithoutATokenizerOnlyIdsAreTaken) {
  const Api api(say("x"), {}, false, false);
  check(api, "/v1/completions", {{"text", R"({"prompt":"a"})", 400, kBad, "prompt", "token-id prompts"}});
  const Reply reply = api.post("/v1/completions", {{"prompt", {1, 2}}, {"return_token_ids", true}, {"logprobs", 1}});
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.json["choices"][0]["token_ids"], Json({'x'}));
}

TEST(Errors, RefusalsOfTheEngineHaveTheirStatus) {
  const Api api(say("x"));
  api.generator->refuse_with(Error{ErrorCode::kOverloaded, "the queue is full", "try again later", ""});
  for (const bool stream : {false, true}) {
    const Reply reply = api.post("/v1/completions", {{"prompt", "a"}, {"stream", stream}});
    EXPECT_EQ(reply.status, 429);
    EXPECT_EQ(reply.headers.at("retry-after"), "1");
    EXPECT_EQ(reply.json["error"]["type"], "RateLimitError");
  }
  api.generator->refuse_with(Error{ErrorCode::kUnavailable, "the engine worker is starting again", "", ""});
  EXPECT_EQ(api.post("/v1/completions", {{"prompt", "a"}}).status, 503);
}

// The client learns that it was the server's fault; paths, addresses and conditions are for the log.
TEST(Errors, AnEngineFaultIs500OrAnEventOfTheStream) {
  const Api api([](const engine::GenerationRequest&) {
    auto deltas = FakeGenerator::tokens(ByteTokenizer::ids("ab"), engine::FinishReason::kError);
    deltas.back().error =
        Error{ErrorCode::kDevice, "the engine failed: /src/file.cpp:123: check failed: a == b", "", ""};
    return deltas;
  });
  const Reply whole = api.post("/v1/completions", {{"prompt", "a"}});
  EXPECT_EQ(whole.status, 500);
  EXPECT_EQ(whole.json["error"]["type"], "InternalServerError");
  const Reply stream = api.post("/v1/completions", {{"prompt", "a"}, {"stream", true}});
  EXPECT_EQ(stream.status, 200);
  EXPECT_TRUE(stream.body.ends_with(
      "data: {\"error\":{\"message\":\"the server failed to answer this request; its log says why, another try may "
      "succeed\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}}\n\ndata: [DONE]\n\n"))
      << stream.body;
  for (const Reply& reply : {whole, stream}) EXPECT_EQ(reply.body.find("file.cpp"), std::string::npos) << reply.body;
}

TEST(Errors, MutantsNeverGive5xx) {
  const Api api(say("x"));
  const std::string body =
      chat(R"("stream":false,"temperature":0.5,"stop":["a"],"logit_bias":{"1":2},"n":2,"logprobs":true)");
  const std::string alphabet = "{}[]\",:0123456789.eE+-truefalsn\\\xff \n";
  unsigned state = 7;
  const auto next = [&] { return (state = state * 1103515245 + 12345) >> 8; };
  RawClient client = api.client();
  for (int i = 0; i < 900; ++i) {
    std::string mutant = body;
    for (unsigned j = 0; j <= next() % 4; ++j) mutant[next() % mutant.size()] = alphabet[next() % alphabet.size()];
    if (next() % 4 == 0) mutant.resize(next() % mutant.size() + 1);
    client.send(Api::request("POST", "/v1/chat/completions", mutant));
    const auto reply = client.response();
    ASSERT_TRUE(reply) << mutant;
    EXPECT_TRUE(reply->status < 500 || reply->status == 501) << mutant << "\n" << reply->body;
  }
}

}  // namespace
}  // namespace mhub::test
