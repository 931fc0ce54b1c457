// SPDX-License-Identifier: Apache-2.0
// docs/cli.md section 4: `mhub quantize` as a program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "contract/cli_fixture.h"
#include "support/tiny_llama.h"
#include "support/tiny_model.h"

namespace mhub::test {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

class QuantizeCli : public CliTest {
 protected:
  QuantizeCli() {
    write_tiny_model(model(), {});
    std::string text;
    for (int i = 0; i < 200; ++i) text += "All work and no play makes a dull text, line " + std::to_string(i) + ".\n";
    write_file(dir_ / "text.txt", text);
  }
  fs::path model() const { return dir_ / "tiny"; }
  std::vector<std::string> quantize(std::vector<std::string> more) const {
    std::vector<std::string> all = {"quantize", model().string(), "--eval-text", (dir_ / "text.txt").string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<Json> events(const std::vector<std::string>& arguments) {
    const auto result = mhub(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
    std::vector<Json> out;
    std::istringstream lines(result.out);
    for (std::string line; std::getline(lines, line);) out.push_back(Json::parse(line));
    return out;
  }
  size_t leftovers() const {
    size_t n = 0;
    for (const auto& entry : fs::recursive_directory_iterator(dir_.path())) n += entry.is_regular_file() ? 1 : 0;
    return n;
  }
};

TEST_F(QuantizeCli, EndsWithAMeasuredCardThatEveryoneCanRead) {
  const auto lines = events(quantize({"--bits", "4", "--name", "small", "--eval-context", "128", "--json"}));
  ASSERT_GE(lines.size(), 3u);
  EXPECT_EQ(lines.front()["event"], "plan");
  EXPECT_EQ(lines.front()["group_size"], 32);  // 96 columns of down_proj
  for (size_t i = 1; i + 1 < lines.size(); ++i) EXPECT_EQ(lines[i]["event"], "progress");
  const Json& summary = lines.back();
  EXPECT_EQ(summary["event"], "summary");
  EXPECT_EQ(summary["name"], "local/small");
  const Json& card = summary["card"];
  EXPECT_EQ(card["method"], "rtn");
  EXPECT_EQ(card["perplexity"]["context"], 128);
  EXPECT_EQ(card["perplexity"]["tokens"].get<int64_t>() % 127, 0);
  EXPECT_GT(card["perplexity"]["source"].get<double>(), 1);
  EXPECT_NEAR(card["perplexity"]["quantized"].get<double>() / card["perplexity"]["source"].get<double>(), 1, 0.2);
  EXPECT_GT(card["mean_kl"].get<double>(), 0);
  EXPECT_GT(card["same_top"].get<double>(), 0.3);
  EXPECT_DOUBLE_EQ(card["bits_per_weight"].get<double>(), 4.625);

  const fs::path path = summary["path"].get<std::string>();
  EXPECT_TRUE(path.string().starts_with(home().string()));
  EXPECT_EQ(Json::parse(read_file(path / "mhub_quality.json")), card);
  const auto shown = json({"list", "--json"})["models"][0];
  EXPECT_EQ(shown["name"], "local/small");
  EXPECT_EQ(shown["quantization"], "int4-g32");
  EXPECT_EQ(mhub({"verify", "local/small"}).exit_code, 0);
  EXPECT_TRUE(fs::is_empty(home() / "partial"));
}

TEST_F(QuantizeCli, OutputDirectoryIsRegisteredWhereItLies) {
  const auto out = dir_ / "out";
  const auto result = mhub(quantize({"--bits", "8", "--output", out.string(), "--eval-context", "64"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, fs::canonical(out).string() + "\n");
  EXPECT_THAT(result.err, HasSubstr("perplexity"));
  EXPECT_EQ(json({"list", "--json"})["models"][0]["path"], fs::canonical(out).string());
  EXPECT_THAT(fails(quantize({"--bits", "8", "--output", out.string()}), 2), HasSubstr("exists already"));
  // Quantized once is enough.
  EXPECT_THAT(fails({"quantize", out.string(), "--bits", "4"}, 7), HasSubstr("already"));
}

TEST_F(QuantizeCli, WrongUseIsRefusedBeforeAnythingIsWritten) {
  mhub({"list"});  // the registry exists
  const size_t before = leftovers();
  EXPECT_THAT(fails({"quantize", model().string()}, 2), HasSubstr("--bits"));
  EXPECT_THAT(fails(quantize({"--bits", "5"}), 2), HasSubstr("--bits 5"));
  EXPECT_THAT(fails(quantize({"--bits", "4", "--method", "gptq"}), 2), HasSubstr("--method gptq"));
  EXPECT_THAT(fails(quantize({"--bits", "4", "--group-size", "48"}), 2), HasSubstr("--group-size 48"));
  EXPECT_THAT(fails(quantize({"--bits", "4", "--group-size", "64"}), 2), HasSubstr("does not divide the 96 columns"));
  EXPECT_THAT(fails(quantize({"--bits", "4", "--eval-context", "1"}), 2), HasSubstr("--eval-context 1"));
  EXPECT_THAT(fails(quantize({"--bits", "4", "--eval-context", "513"}), 2), HasSubstr("from 2 to the model's 512"));
  EXPECT_THAT(fails(quantize({"--bits", "4", "--name", "a", "--output", "b"}), 2), HasSubstr("--output"));
  EXPECT_THAT(fails(quantize({"--bits", "4", "--name", "a/b/c"}), 2), HasSubstr("a/b/c"));
  fails({"quantize", "no/such-model", "--bits", "4"}, 6);
  EXPECT_THAT(fails({"quantize", model().string(), "--bits", "4", "--eval-text", (dir_ / "absent").string()}, 2),
              HasSubstr("--eval-text: File does not exist"));
  write_file(dir_ / "short.txt", "too short");
  EXPECT_THAT(fails({"quantize", model().string(), "--bits", "4", "--eval-text", (dir_ / "short.txt").string()}, 2),
              HasSubstr("fewer than one window"));
  fs::remove(dir_ / "short.txt");
  EXPECT_EQ(leftovers(), before);
  EXPECT_EQ(fails_json(quantize({"--bits", "5"}), 2), "usage");
}

TEST_F(QuantizeCli, DefaultTextComesWithTheProgram) {
  const auto lines = events({"quantize", model().string(), "--bits", "8", "--json"});
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back()["name"], "local/tiny-int8");
  EXPECT_EQ(lines.back()["card"]["perplexity"]["context"], 512);  // the model's own limit
  EXPECT_GT(lines.back()["card"]["perplexity"]["tokens"].get<int64_t>(), 10'000);
}

TEST_F(QuantizeCli, GgufSource) {
  write_file(dir_ / "m.gguf", TinyLlama().gguf("gpt-2").build());
  const auto lines = events({"quantize", (dir_ / "m.gguf").string(), "--bits", "4", "--eval-text",
                             (dir_ / "text.txt").string(), "--eval-context", "64", "--json"});
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back()["name"], "local/m-int4-g64");
  EXPECT_LT(lines.back()["card"]["mean_kl"].get<double>(), 0.5);
}

}  // namespace
}  // namespace mhub::test
