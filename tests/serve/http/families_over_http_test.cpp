// SPDX-License-Identifier: Apache-2.0
// Every family through the whole server: HTTP, engine loop, scheduler, paged cache. Answers in float32 are the same
// bytes alone, among others, in odd chunks, after preemptions and from cached prefixes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <future>

#include "api_fixture.h"
#include "architectures.h"
#include "mhub/base/kv_blocks.h"
#include "mhub/engine/engine.h"
#include "mhub/formats/tensor_table.h"
#include "support/family_config.h"
#include "support/shared_dir.h"
#include "support/temp_dir.h"

namespace mhub {
namespace {
namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;

constexpr int kOutputs = 24;
constexpr int64_t kBlockSize = 4, kLongest = 128;

engine::EngineConfig engine_config(const fs::path& model, bool dummy) {
  engine::EngineConfig config;
  config.model = model.string();
  config.device = "cpu";
  config.dtype = "float32";
  config.load_format = dummy ? "dummy" : "auto";
  config.num_threads = 2;
  config.block_size = kBlockSize;
  config.max_model_len = kLongest;
  config.max_num_seqs = 16;
  config.kv_cache_memory_bytes = 16u << 20;
  return config;
}

struct Answer {
  std::string text;  // the choice without its logprobs, as it was sent
  std::vector<double> logprobs;
  int64_t cached_tokens = 0;
};

class Server {
 public:
  explicit Server(const engine::EngineConfig& config) {
    auto started = engine::Engine::create(config);
    if (!started) throw std::runtime_error(started.error().one_line());
    generator_ = *std::move(started);
    http::HttpConfig http;
    http.port = 0;
    http.served_model_names = {"m"};
    http::ServedModel model;
    model.generator = generator_;
    model.tokenizer = std::make_shared<test::ByteTokenizer>();
    auto server = http::ApiServer::start(http, std::move(model));
    if (!server) throw std::runtime_error(server.error().one_line());
    server_ = *std::move(server);
  }

  Answer ask(const Ids& prompt) const {
    const Json body{{"model", "m"},       {"prompt", prompt}, {"max_tokens", kOutputs},  {"temperature", 0},
                    {"ignore_eos", true}, {"logprobs", 1},    {"return_token_ids", true}};
    const std::string text = dump_json(body);
    test::RawClient client(server_->port());
    client.send("POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: " +
                std::to_string(text.size()) + "\r\n\r\n" + text);
    const auto raw = client.response(120);
    if (!raw || raw->status != 200) throw std::runtime_error(raw ? raw->body : "no response");
    const auto json = parse_json(raw->body);
    if (!json) throw std::runtime_error(json.error().one_line());
    Json choice = (*json)["choices"][0];
    Answer answer;
    answer.logprobs = choice["logprobs"]["token_logprobs"].get<std::vector<double>>();
    choice.erase("logprobs");
    answer.text = dump_json(choice);
    const Json& details = (*json)["usage"]["prompt_tokens_details"];
    if (details.is_object()) answer.cached_tokens = details.value("cached_tokens", int64_t{0});
    return answer;
  }
  std::vector<Answer> ask_together(const std::vector<Ids>& prompts) const {
    std::vector<std::future<Answer>> asked;
    for (const Ids& prompt : prompts)
      asked.push_back(std::async(std::launch::async, [this, &prompt] { return ask(prompt); }));
    std::vector<Answer> answers;
    for (auto& one : asked) answers.push_back(one.get());
    return answers;
  }
  engine::EngineStats stats() const { return generator_->stats(); }
  std::vector<int64_t> kv_windows() const { return generator_->info().kv_windows; }
  uint64_t block_bytes() const {
    return generator_->info().kv_bytes / static_cast<uint64_t>(generator_->stats().num_blocks);
  }

 private:
  std::shared_ptr<engine::Engine> generator_;
  std::unique_ptr<http::ApiServer> server_;
};

// Contexts inside and past the window of 24; two that share a prefix which ends inside a block.
std::vector<Ids> prompts(Ids first) {
  std::vector<Ids> out = {std::move(first)};
  for (const int length : {61, 7, 90, 1, 33}) {
    Ids ids;
    for (int i = 0; i < length; ++i) ids.push_back(3 + (i * 37 + length * 11) % 250);
    out.push_back(std::move(ids));
  }
  Ids branch(out[3].begin(), out[3].begin() + 70);
  branch.insert(branch.end(), {9, 8, 7});
  out.push_back(std::move(branch));
  return out;
}

void expect_same(const std::vector<Answer>& got, const std::vector<Answer>& expected, const char* how) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].text, expected[i].text) << how << ", prompt " << i;
    ASSERT_EQ(got[i].logprobs.size(), expected[i].logprobs.size());
    for (size_t t = 0; t < got[i].logprobs.size(); ++t)
      EXPECT_NEAR(got[i].logprobs[t], expected[i].logprobs[t], 1e-4) << how << ", prompt " << i << ", token " << t;
  }
}

// Returns the answers that each prompt has alone.
std::vector<Answer> expect_the_same_answers(engine::EngineConfig config, const std::vector<Ids>& asked) {
  config.enable_prefix_caching = false;
  std::vector<Answer> alone;
  uint64_t block_bytes = 0;
  std::vector<int64_t> windows;
  {
    const Server server(config);
    for (const Ids& prompt : asked) alone.push_back(server.ask(prompt));
    expect_same(server.ask_together(asked), alone, "together");
    block_bytes = server.block_bytes();
    windows = server.kv_windows();
  }
  config.enable_prefix_caching = true;
  {
    engine::EngineConfig chunked = config;
    chunked.max_num_batched_tokens = 7;
    const Server server(chunked);
    expect_same(server.ask_together(asked), alone, "in chunks of 7");
    std::vector<Answer> again;
    int64_t cached = 0;
    for (const Ids& prompt : asked) {
      again.push_back(server.ask(prompt));
      cached += again.back().cached_tokens;
    }
    expect_same(again, alone, "from cached prefixes");
    EXPECT_GT(cached, 100);
  }
  engine::EngineConfig small = config;
  small.max_num_batched_tokens = 29;
  small.kv_cache_memory_bytes =  // one longest sequence
      block_bytes * static_cast<uint64_t>(most_blocks_of_sequence(windows, kBlockSize, 29, kLongest));
  const Server server(small);
  std::vector<Ids> twice = asked;
  twice.insert(twice.end(), asked.begin(), asked.end());
  std::vector<Answer> expected = alone;
  expected.insert(expected.end(), alone.begin(), alone.end());
  // Where only windows are held the sequences may find room beside each other; else it takes more rounds at most, when
  // requests come slower than they are answered.
  const bool all_held = std::count(windows.begin(), windows.end(), 0) > 0;
  for (int round = 0; round == 0 || (all_held && round < 20 && server.stats().preemptions == 0); ++round)
    expect_same(server.ask_together(twice), expected, "with a small cache");
  EXPECT_TRUE(!all_held || server.stats().preemptions > 0);
  EXPECT_EQ(server.stats().blocks_held, 0);
  return alone;
}

class FamilyOverHttp : public testing::TestWithParam<std::string> {};

TEST_P(FamilyOverHttp, MadeUpWeights) {
  const test::TempDir dir;
  test::write_file(dir / "config.json", dump_json(test::family_config(GetParam()), 1));
  Ids first;
  for (int32_t i = 0; i < 40; ++i) first.push_back((i * 37 + 11) % 250);
  expect_the_same_answers(engine_config(dir.path(), true), prompts(std::move(first)));
}
std::vector<std::string> family_names() {
  std::vector<std::string> out;
  for (const auto& architecture : model::architectures()) out.emplace_back(architecture.name);
  return out;
}
INSTANTIATE_TEST_SUITE_P(All, FamilyOverHttp, testing::ValuesIn(family_names()), [](const auto& p) { return p.param; });

// Prompts on both sides of the original length, and answers that grow past it.
TEST(LongropeOverHttp, TheSameAnswersAndNoSeamWhereASequenceGrows) {
  Json config = test::family_config("Phi3ForCausalLM");
  config["max_position_embeddings"] = kLongest;
  config["original_max_position_embeddings"] = 48;
  config["rope_scaling"] = {
      {"type", "longrope"}, {"short_factor", std::vector<double>(8, 1.5)}, {"long_factor", std::vector<double>(8, 6)}};
  const test::TempDir dir;
  test::write_file(dir / "config.json", dump_json(config, 1));
  Ids first;
  for (int32_t i = 0; i < 40; ++i) first.push_back((i * 37 + 11) % 250);
  const auto alone = expect_the_same_answers(engine_config(dir.path(), true), prompts(first));
  const auto answered = parse_json(alone.at(0).text);
  ASSERT_TRUE(answered);
  const auto answer = (*answered)["token_ids"].get<Ids>();
  // What was answered up to a place past the original length, asked as a prompt, goes on in the same way.
  first.insert(first.end(), answer.begin(), answer.begin() + 12);
  const Server server(engine_config(dir.path(), true));
  const auto rest = parse_json(server.ask(first).text);
  ASSERT_TRUE(rest);
  const auto rest_ids = (*rest)["token_ids"].get<Ids>();
  EXPECT_TRUE(std::equal(answer.begin() + 12, answer.end(), rest_ids.begin()));
}

Ids read_ids(const formats::TensorTable& table, std::string_view name) {
  const auto* entry = table.find(name);
  if (!entry) throw std::runtime_error("no tensor " + std::string(name));
  Ids ids(entry->bytes / sizeof(int32_t));
  std::memcpy(ids.data(), table.data(*entry), entry->bytes);
  return ids;
}

// Reference models of other makers: also the tokens that they give.
TEST(FixturesOverHttp, GreedyTokensAndTheSameAnswers) {
  const auto shared = test::shared_dir();
  if (!shared) GTEST_SKIP() << "no MHUB_SHARED_DIR";
  int models = 0;
  for (const auto& entry : fs::directory_iterator(*shared / "fixtures")) {
    SCOPED_TRACE(entry.path().filename().string());
    auto table = formats::open_safetensors_file(entry.path() / "reference.safetensors");
    ASSERT_TRUE(table) << table.error().one_line();
    Ids first = read_ids(*table, "input_ids");
    first.resize(40);
    const auto alone = expect_the_same_answers(engine_config(entry.path(), false), prompts(std::move(first)));
    const auto choice = parse_json(alone.at(0).text);
    ASSERT_TRUE(choice);
    EXPECT_EQ((*choice)["token_ids"].get<Ids>(), read_ids(*table, "greedy"));
    ++models;
  }
  EXPECT_GT(models, 0);
}

}  // namespace
}  // namespace mhub
