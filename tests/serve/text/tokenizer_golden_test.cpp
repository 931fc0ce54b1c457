// SPDX-License-Identifier: Apache-2.0
// Published tokenizers against stored results of the reference implementation. Needs MHUB_SHARED_DIR, the vocabularies
// carry their models' licences; skipped without.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "mhub/base/json.h"
#include "mhub/text/tokenizer.h"
#include "sentencepiece.h"
#include "support/shared_dir.h"
#include "support/temp_dir.h"

namespace mhub::text {
namespace {

using Ids = std::vector<TokenId>;

// Counts agreements and reports the first few differences of a set.
class Score {
 public:
  explicit Score(std::string set) : set_(std::move(set)) {}
  ~Score() { std::printf("  %-28s %zu of %zu\n", set_.c_str(), equal_, all_); }
  template <typename T>
  void expect_equal(const T& got, const T& wanted, const Json& id, const char* what) {
    ++all_;
    if (got == wanted) {
      ++equal_;
    } else if (++shown_ <= 5) {
      EXPECT_EQ(got, wanted) << set_ << " " << id << " " << what;
    } else {
      ADD_FAILURE() << set_ << " " << id << " " << what;
    }
  }
  size_t all() const { return all_; }

 private:
  std::string set_;
  size_t equal_ = 0, all_ = 0, shown_ = 0;
};

std::vector<std::filesystem::path> families(const char* golden) {
  std::vector<std::filesystem::path> out;
  const auto shared = test::shared_dir();
  std::error_code ignored;
  if (!shared) return out;
  for (const auto& entry : std::filesystem::directory_iterator(*shared / "tokenizers", ignored)) {
    if (std::filesystem::exists(entry.path() / golden)) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void check_stream(const std::shared_ptr<const Tokenizer>& tokenizer, const Json& entry, const std::string& decoded,
                  Score& score) {
  Detokenizer detokenizer(tokenizer, false);
  std::string joined;
  std::vector<std::string> expected, pieces;
  for (const Json& piece : entry["stream"]) expected.push_back(piece.is_null() ? "" : piece.get<std::string>());
  for (const Json& id : entry["ids"]) joined += pieces.emplace_back(detokenizer.push(id));
  score.expect_equal(pieces, expected, entry["id"], "stream");
  const bool retracts = decoded.compare(0, joined.size(), joined) != 0;  // a run of bytes went bad after it was sent
  joined += detokenizer.flush();
  if (!retracts) score.expect_equal(joined, decoded, entry["id"], "whole stream");
}

void check_encode(const std::shared_ptr<const Tokenizer>& loaded, const Json& entry, Score& score) {
  const Tokenizer& tokenizer = *loaded;
  const Json& id = entry["id"];
  const std::string text = entry["text"];
  const Ids ids = entry["ids"], with_special = entry["ids_special"];
  const std::string decoded = entry.value("decoded", text);
  score.expect_equal(tokenizer.encode(text, false, SpecialTokens::kParse), ids, id, "ids");
  score.expect_equal(tokenizer.encode(text, true, SpecialTokens::kParse), with_special, id, "ids_special");
  score.expect_equal(tokenizer.encode(text, false, SpecialTokens::kAsText), entry.value("ids_nospecial", ids), id,
                     "ids_nospecial");
  const TextSpan spans[] = {{std::string_view(text).substr(0, text.size() / 2)},
                            {std::string_view(text).substr(text.size() / 2)}};
  score.expect_equal(tokenizer.encode_spans(spans), ids, id, "spans");
  score.expect_equal(tokenizer.decode(ids, false), decoded, id, "decoded");
  score.expect_equal(tokenizer.decode(with_special, true), entry.value("decoded_skip", decoded), id, "decoded_skip");
  if (entry.contains("stream")) check_stream(loaded, entry, decoded, score);
}

TEST(TokenizerGolden, TokenizerJson) {
  const auto sets = families("golden.json");
  if (sets.empty()) GTEST_SKIP() << "no tokenizers in MHUB_SHARED_DIR";
  for (const auto& dir : sets) {
    const auto loaded = load_tokenizer(dir);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().one_line();
    const Json golden = Json::parse(test::read_file(dir / "golden.json"));
    Score score(dir.filename());
    for (const Json& entry : golden["encode"]) check_encode(*loaded, entry, score);
    for (const Json& entry : golden["decode"]) {
      const Ids ids = entry["ids"];
      const std::string decoded = entry["decoded"];
      score.expect_equal((*loaded)->decode(ids, false), decoded, entry["id"], "decoded");
      score.expect_equal((*loaded)->decode(ids, true), entry.value("decoded_skip", decoded), entry["id"],
                         "decoded_skip");
      if (entry.contains("stream")) check_stream(*loaded, entry, decoded, score);
    }
    EXPECT_GT(score.all(), 0u);
  }
}

// tokenizer.model alone. Its reference adds nothing around a text and never matches control tokens in it.
TEST(TokenizerGolden, SentencePieceModel) {
  const auto sets = families("golden-model.json");
  if (sets.empty()) GTEST_SKIP() << "no tokenizers in MHUB_SHARED_DIR";
  for (const auto& dir : sets) {
    const auto loaded = tokenizer_from_sentencepiece(test::read_file(dir / "tokenizer.model"), "");
    ASSERT_TRUE(loaded.has_value()) << dir << ": " << loaded.error().one_line();
    Json texts = Json::object();
    if (std::filesystem::exists(dir / "golden.json")) {
      const Json golden = Json::parse(test::read_file(dir / "golden.json"));
      for (const Json& entry : golden["encode"]) {
        texts[entry["id"].get<std::string>()] = entry["text"];
      }
    }
    Score score(dir.filename().string() + " model");
    const Json golden = Json::parse(test::read_file(dir / "golden-model.json"));
    for (const Json& entry : golden["encode"]) {
      const std::string text = entry.contains("text") ? entry["text"] : texts[entry["id"].get<std::string>()];
      const Ids ids = entry["ids"];
      score.expect_equal((*loaded)->encode(text, false, SpecialTokens::kAsText), ids, entry["id"], "ids");
      if (entry.contains("ids_special")) {
        const Ids with_special = entry["ids_special"];
        score.expect_equal((*loaded)->encode(text, true, SpecialTokens::kAsText), with_special, entry["id"],
                           "ids_special");
      }
    }
    EXPECT_GT(score.all(), 0u);
  }
}

void check_gguf(const char* variable, const char* reference_dir) {
  const auto shared = test::shared_dir();
  const auto model = test::real_model(variable);
  if (!shared || !model) GTEST_SKIP() << "no MHUB_SHARED_DIR or " << variable;
  const auto gguf = formats::open_gguf(*model);
  ASSERT_TRUE(gguf.has_value()) << gguf.error().one_line();
  const auto loaded = tokenizer_from_gguf(*gguf);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().one_line();
  const Json reference =
      Json::parse(test::read_file(*shared / "models" / reference_dir / "reference.json"));
  Score score(reference_dir);
  for (const Json& entry : reference["tokenizer"]["cases"]) {
    const std::string text = entry["text"];
    const Ids ids = entry["ids"], with_special = entry["ids_special"];
    score.expect_equal((*loaded)->encode(text, false, SpecialTokens::kParse), ids, text, "ids");
    score.expect_equal((*loaded)->encode(text, true, SpecialTokens::kParse), with_special, text, "ids_special");
  }
}

TEST(TokenizerGoldenGguf, SmolLm2) {
  check_gguf("MHUB_SMOLLM2_GGUF", "smollm2-135m-instruct");
}
TEST(TokenizerGoldenGguf, Gemma3) {
  check_gguf("MHUB_GEMMA3_GGUF", "gemma3-270m");
}

}  // namespace
}  // namespace mhub::text
