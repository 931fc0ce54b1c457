// SPDX-License-Identifier: Apache-2.0
// Published tokenizers against stored results of the reference implementation. Needs MHUB_SHARED_DIR, the vocabularies
// carry their models' licences; skipped without.
#include <gtest/gtest.h>

#include <cstdlib>

#include "mhub/base/json.h"
#include "mhub/text/tokenizer.h"
#include "support/temp_dir.h"

namespace mhub::text {
namespace {

using Ids = std::vector<TokenId>;

class TokenizerGolden : public testing::TestWithParam<const char*> {};

void check_stream(const std::shared_ptr<const Tokenizer>& tokenizer, const Json& entry, const std::string& decoded) {
  Detokenizer detokenizer(tokenizer, false);
  std::string joined;
  std::vector<std::string> expected, pieces;
  for (const Json& piece : entry["stream"]) expected.push_back(piece.is_null() ? "" : piece.get<std::string>());
  for (const Json& id : entry["ids"]) joined += pieces.emplace_back(detokenizer.push(id));
  EXPECT_EQ(pieces, expected) << entry["id"];
  const bool retracts = decoded.compare(0, joined.size(), joined) != 0;  // a run of bytes went bad after it was sent
  joined += detokenizer.flush();
  if (!retracts) {
    EXPECT_EQ(joined, decoded) << entry["id"];
  }
}

TEST_P(TokenizerGolden, Equal) {
  const char* shared = std::getenv("MHUB_SHARED_DIR");
  if (!shared) GTEST_SKIP() << "MHUB_SHARED_DIR is not set";
  const auto dir = std::filesystem::path(shared) / "tokenizers" / GetParam();
  const auto loaded = load_tokenizer(dir);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().one_line();
  const Tokenizer& tokenizer = **loaded;
  const Json golden = Json::parse(test::read_file(dir / "golden.json"));
  ASSERT_GT(golden["encode"].size(), 200u);
  for (const Json& entry : golden["encode"]) {
    const std::string text = entry["text"];
    const Ids ids = entry["ids"], with_special = entry["ids_special"];
    const std::string decoded = entry.value("decoded", text);
    EXPECT_EQ(tokenizer.encode(text, false, SpecialTokens::kParse), ids) << entry["id"];
    EXPECT_EQ(tokenizer.encode(text, true, SpecialTokens::kParse), with_special) << entry["id"];
    EXPECT_EQ(tokenizer.encode(text, false, SpecialTokens::kAsText), entry.value("ids_nospecial", ids)) << entry["id"];
    const TextSpan spans[] = {{std::string_view(text).substr(0, text.size() / 2)},
                              {std::string_view(text).substr(text.size() / 2)}};
    EXPECT_EQ(tokenizer.encode_spans(spans), ids) << entry["id"];
    EXPECT_EQ(tokenizer.decode(ids, false), decoded) << entry["id"];
    EXPECT_EQ(tokenizer.decode(with_special, true), entry.value("decoded_skip", decoded)) << entry["id"];
    if (entry.contains("stream")) check_stream(*loaded, entry, decoded);
  }
  for (const Json& entry : golden["decode"]) {
    const Ids ids = entry["ids"];
    const std::string decoded = entry["decoded"];
    EXPECT_EQ(tokenizer.decode(ids, false), decoded) << entry["id"];
    EXPECT_EQ(tokenizer.decode(ids, true), entry.value("decoded_skip", decoded)) << entry["id"];
    if (entry.contains("stream")) check_stream(*loaded, entry, decoded);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, TokenizerGolden,
                         testing::Values("qwen2.5", "llama-3.1", "deepseek-v3", "gpt2", "mistral-7b-v0.3", "llama-2",
                                         "phi-3"));

TEST(TokenizerGoldenGguf, SmolLm2) {
  const char* shared = std::getenv("MHUB_SHARED_DIR");
  const char* model = std::getenv("MHUB_SMOLLM2_GGUF");
  if (!shared || !model) GTEST_SKIP() << "MHUB_SHARED_DIR or MHUB_SMOLLM2_GGUF is not set";
  const auto gguf = formats::open_gguf(model);
  ASSERT_TRUE(gguf.has_value()) << gguf.error().one_line();
  const auto loaded = tokenizer_from_gguf(*gguf);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().one_line();
  const Json reference =
      Json::parse(test::read_file(std::filesystem::path(shared) / "models/smollm2-135m-instruct/reference.json"));
  for (const Json& entry : reference["tokenizer"]["cases"]) {
    const std::string text = entry["text"];
    const Ids ids = entry["ids"], with_special = entry["ids_special"];
    EXPECT_EQ((*loaded)->encode(text, false, SpecialTokens::kParse), ids) << text;
    EXPECT_EQ((*loaded)->encode(text, true, SpecialTokens::kParse), with_special) << text;
  }
}

}  // namespace
}  // namespace mhub::text
