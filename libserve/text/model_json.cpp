// SPDX-License-Identifier: Apache-2.0
#include "model_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "bpe.h"
#include "json_fields.h"
#include "unigram.h"
#include "word_models.h"

namespace mhub::text {
namespace {

using Element = simdjson::dom::element;
constexpr size_t kMaxMerges = 4'000'000;
constexpr double kUnknownPenalty = 10;  // an unknown character costs this much more than the rarest piece

Error bad(std::string message, std::string hint = "the tokenizer file is damaged; download it again") {
  return Error{ErrorCode::kBadModel, "reading tokenizer.json: " + std::move(message), std::move(hint), ""};
}

Result<void> read_vocabulary(Element model, size_t added_tokens, Vocabulary& out) {
  simdjson::dom::object vocab;
  if (model["vocab"].get(vocab) != simdjson::SUCCESS) return bad("model.vocab is not an object");
  size_t count = 0, bytes = 0;
  for (const auto [text, id] : vocab) {
    ++count;
    bytes += text.size();
  }
  if (count > kMaxVocabulary) return bad(fmt::format("model.vocab has {} entries", count));
  out.reserve(count, bytes);
  const size_t limit = 2 * (count + added_tokens);
  for (const auto [text, id] : vocab) {
    int64_t value = 0;
    if (id.get(value) != simdjson::SUCCESS || value < 0 || static_cast<size_t>(value) >= limit) {
      return bad(fmt::format("the id of \"{}\" is no integer from 0 to {}", printable(text, 40), limit - 1));
    }
    MHUB_CHECK_OK(out.add(static_cast<TokenId>(value), text, limit));
  }
  return {};
}

Result<std::vector<BpeModel::Merge>> read_merges(Element model) {
  std::vector<BpeModel::Merge> merges;
  const auto list = array_field(model, "merges");
  if (!list) return bad("model.merges is not a list");
  for (const Element entry : *list) {  // the list's own size saturates, so it is counted here
    BpeModel::Merge merge;
    std::string_view text;
    simdjson::dom::array pair;
    if (entry.get(text) == simdjson::SUCCESS) {
      const size_t space = text.find(' ', 1);  // a piece may begin with a space
      if (space == std::string_view::npos) return bad(fmt::format("merge \"{}\" is no pair", printable(text, 80)));
      merge = {text.substr(0, space), text.substr(space + 1)};
    } else if (entry.get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
               pair.at(0).get(merge.left) != simdjson::SUCCESS || pair.at(1).get(merge.right) != simdjson::SUCCESS) {
      return bad(fmt::format("merge {} is no pair", merges.size()));
    }
    if (merges.size() >= kMaxMerges) return bad(fmt::format("model.merges has more than {} entries", kMaxMerges));
    merges.push_back(merge);
  }
  return merges;
}

Result<void> read_bpe(Element model, bool bytes, size_t added_tokens, TokenizerParts& out) {
  MHUB_CHECK_OK(read_vocabulary(model, added_tokens, *out.vocabulary));
  MHUB_TRY(const auto merges, read_merges(model));
  BpeOptions options;
  options.alphabet = bytes ? BpeAlphabet::kBytes : BpeAlphabet::kCharacters;
  if (const auto unk = string_field(model, "unk_token")) options.unk_token = std::string(*unk);
  options.fuse_unk = bool_field(model, "fuse_unk").value_or(false);
  options.byte_fallback = bool_field(model, "byte_fallback").value_or(false);
  options.ignore_merges = bool_field(model, "ignore_merges").value_or(false);
  options.continuing_prefix = string_field(model, "continuing_subword_prefix").value_or("");
  options.word_suffix = string_field(model, "end_of_word_suffix").value_or("");
  MHUB_TRY(out.model, BpeModel::create(*out.vocabulary, merges, std::move(options)));
  return {};
}

// [["▁the", -3.5], ...]: the place is the id.
Result<void> read_unigram(Element model, TokenizerParts& out) {
  const auto list = array_field(model, "vocab");
  if (!list) return bad("model.vocab is not a list");
  std::vector<UnigramPiece> pieces;
  double lowest = 0;
  for (const Element entry : *list) {
    simdjson::dom::array pair;
    std::string_view text;
    UnigramPiece piece{static_cast<TokenId>(pieces.size()), 0};
    if (entry.get(pair) != simdjson::SUCCESS || pair.size() != 2 || pair.at(0).get(text) != simdjson::SUCCESS ||
        pair.at(1).get(piece.score) != simdjson::SUCCESS) {
      return bad(fmt::format("entry {} of model.vocab is no pair of a text and a score", pieces.size()));
    }
    MHUB_CHECK_OK(out.vocabulary->add(piece.id, text, kMaxVocabulary));
    lowest = pieces.empty() ? piece.score : std::min(lowest, piece.score);
    pieces.push_back(piece);
  }
  UnigramOptions options;
  options.unk_score = lowest - kUnknownPenalty;
  options.byte_fallback = bool_field(model, "byte_fallback").value_or(false);
  if (const auto unk = int_field(model, "unk_id")) {
    if (*unk < 0 || static_cast<size_t>(*unk) >= pieces.size()) return bad(fmt::format("unk_id is {}", *unk));
    options.unk = static_cast<TokenId>(*unk);
  }
  MHUB_TRY(out.model, UnigramModel::create(*out.vocabulary, pieces, options));
  return {};
}

Result<TokenId> unknown_token(Element model, const Vocabulary& vocabulary) {
  const std::string_view text = string_field(model, "unk_token").value_or("[UNK]");
  const TokenId id = vocabulary.find(text);
  if (id == kNoToken) return bad(fmt::format("unk_token \"{}\" is not in the vocabulary", printable(text, 40)));
  return id;
}

Result<void> read_word_piece(Element model, bool bytes, size_t added_tokens, TokenizerParts& out) {
  if (bytes) return bad("a WordPiece model behind ByteLevel is not supported", "use another form of this model");
  MHUB_CHECK_OK(read_vocabulary(model, added_tokens, *out.vocabulary));
  WordPieceOptions options;
  options.continuing_prefix = string_field(model, "continuing_subword_prefix").value_or("##");
  const int64_t max_chars = int_field(model, "max_input_chars_per_word").value_or(100);
  if (max_chars < 0) return bad(fmt::format("max_input_chars_per_word is {}", max_chars));
  options.max_chars = static_cast<size_t>(max_chars);
  MHUB_TRY(options.unk, unknown_token(model, *out.vocabulary));
  out.model = std::make_unique<WordPieceModel>(*out.vocabulary, options);
  return {};
}

Result<void> read_word_level(Element model, bool bytes, size_t added_tokens, TokenizerParts& out) {
  if (bytes) return bad("a WordLevel model behind ByteLevel is not supported", "use another form of this model");
  MHUB_CHECK_OK(read_vocabulary(model, added_tokens, *out.vocabulary));
  const TokenId unk = out.vocabulary->find(string_field(model, "unk_token").value_or("<unk>"));
  out.model = std::make_unique<WordLevelModel>(*out.vocabulary, unk);
  return {};
}

// Old files leave the type out.
std::string_view guess_type(Element model) {
  if (array_field(model, "merges")) return "BPE";
  if (array_field(model, "vocab")) return "Unigram";
  return string_field(model, "continuing_subword_prefix") ? "WordPiece" : "WordLevel";
}

}  // namespace

Result<void> read_model(Element model, bool bytes, size_t added_tokens, TokenizerParts& out) {
  const std::string_view type = string_field(model, "type").value_or(guess_type(model));
  if (type == "BPE") return read_bpe(model, bytes, added_tokens, out);
  if (type == "Unigram") {
    if (bytes) return bad("a Unigram model behind ByteLevel is not supported", "use another form of this model");
    return read_unigram(model, out);
  }
  if (type == "WordPiece") return read_word_piece(model, bytes, added_tokens, out);
  if (type == "WordLevel") return read_word_level(model, bytes, added_tokens, out);
  return bad(fmt::format("tokenizer model \"{}\" is not supported", printable(type, 40)),
             "use another form of this model, such as a GGUF file");
}

}  // namespace mhub::text
