// SPDX-License-Identifier: Apache-2.0
// docs/cli.md, section bench: `mhub bench` as a program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "contract/cli_fixture.h"
#include "support/tiny_model.h"

namespace mhub::test {
namespace {
using ::testing::HasSubstr;

class BenchCli : public CliTest {
 protected:
  BenchCli() { write_tiny_model(dir_ / "tiny", {}); }
  std::vector<std::string> bench(std::vector<std::string> more) const {
    std::vector<std::string> all = {
        "bench", (dir_ / "tiny").string(), "--device", "cpu", "--batch", "1,3", "--prefill", "16", "--steps",
        "4",     "--prompt-tokens",        "8"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

TEST_F(BenchCli, EachMeasurementIsAnEventAndARowOfTheSummary) {
  const auto result = mhub(bench({"--json"}));
  ASSERT_EQ(result.exit_code, 0) << result.err << result.out;
  std::vector<Json> events;
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);) events.push_back(Json::parse(line));
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0]["event"], "decode");
  EXPECT_EQ(events[0]["batch"], 1);
  EXPECT_EQ(events[1]["batch"], 3);
  EXPECT_EQ(events[2]["event"], "prefill");
  EXPECT_EQ(events[2]["tokens"], 16);
  const Json& summary = events[3];
  EXPECT_EQ(summary["event"], "summary");
  EXPECT_EQ(summary["prompt_tokens"], 8);
  ASSERT_EQ(summary["decode"].size(), 2u);
  EXPECT_EQ(summary["decode"][1]["batch"], 3);
  EXPECT_GT(summary["decode"][1]["median_seconds"].get<double>(), 0);
  EXPECT_GT(summary["decode"][1]["bytes_read"].get<uint64_t>(), 0u);
  EXPECT_EQ(summary["prefill"][0]["median_seconds"], events[2]["median_seconds"]);
}

TEST_F(BenchCli, TheTableHasARowPerBatchAndRefusalsHaveTheirCode) {
  const auto result = mhub(bench({}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              ::testing::AllOf(HasSubstr("decode, 8 tokens of context"), HasSubstr("prefill of one sequence")));
  fails({"bench", "org/none"}, 6);
  fails({"bench", "./none"}, 6);
  EXPECT_THAT(fails(bench({"--block-size", "5"}), 2), HasSubstr("--block-size"));
  EXPECT_THAT(fails(bench({"--max-num-batched-tokens", "0"}), 2), HasSubstr("--max-num-batched-tokens"));
}

}  // namespace
}  // namespace mhub::test
