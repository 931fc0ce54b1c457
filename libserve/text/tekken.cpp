// SPDX-License-Identifier: Apache-2.0
#include "tekken.h"

#include <fmt/format.h>

#include <algorithm>

#include "base64.h"
#include "bpe.h"
#include "byte_alphabet.h"
#include "json_document.h"
#include "tokenizer_config.h"

namespace mhub::text {
namespace {

using Element = simdjson::dom::element;

// The specials of files that do not list them; the ids follow the order. Further ones up to num_special are fillers.
constexpr std::string_view kClassicSpecials[] = {"<unk>",
                                                 "<s>",
                                                 "</s>",
                                                 "[INST]",
                                                 "[/INST]",
                                                 "[AVAILABLE_TOOLS]",
                                                 "[/AVAILABLE_TOOLS]",
                                                 "[TOOL_RESULTS]",
                                                 "[/TOOL_RESULTS]",
                                                 "[TOOL_CALLS]",
                                                 "[IMG]",
                                                 "<pad>",
                                                 "[IMG_BREAK]",
                                                 "[IMG_END]",
                                                 "[PREFIX]",
                                                 "[MIDDLE]",
                                                 "[SUFFIX]",
                                                 "[SYSTEM_PROMPT]",
                                                 "[/SYSTEM_PROMPT]",
                                                 "[TOOL_CONTENT]"};
constexpr TokenId kBos = 1, kEos = 2;

Error bad(std::string message) {
  return Error{ErrorCode::kBadModel, "reading tekken.json: " + std::move(message),
               "the tokenizer file is damaged; download it again", ""};
}

Result<size_t> size_setting(Element config, std::string_view key) {
  const auto value = int_field(config, key);
  if (!value || *value < 0 || static_cast<size_t>(*value) > kMaxVocabulary) {
    return bad(fmt::format("config.{} is missing or out of range", key));
  }
  return static_cast<size_t>(*value);
}

// Not part of the vocabulary: a piece may be spelled the same ("<s>" is a tag of HTML).
void add_special(TokenId id, std::string_view text, TokenizerParts& out) {
  AddedToken token;
  token.id = id;
  token.content = text;
  token.special = true;
  out.added.push_back(std::move(token));
}

Result<void> read_specials(Element root, size_t num_special, TokenizerParts& out) {
  std::vector<bool> named(num_special);
  const auto add = [&](int64_t rank, std::string_view text) -> Result<void> {
    if (rank < 0 || static_cast<size_t>(rank) >= num_special || text.empty()) {
      return bad(fmt::format("special token \"{}\" has no rank below {}", printable(text, 40), num_special));
    }
    if (named[static_cast<size_t>(rank)]) return bad(fmt::format("two special tokens have the rank {}", rank));
    named[static_cast<size_t>(rank)] = true;
    add_special(static_cast<TokenId>(rank), text, out);
    return {};
  };
  if (const auto list = array_field(root, "special_tokens")) {
    for (const Element entry : *list) {
      MHUB_CHECK_OK(add(int_field(entry, "rank").value_or(-1), string_field(entry, "token_str").value_or("")));
    }
  } else {
    for (size_t i = 0; i < std::size(kClassicSpecials); ++i) {
      MHUB_CHECK_OK(add(static_cast<int64_t>(i), kClassicSpecials[i]));
    }
  }
  for (size_t i = 0; i < num_special; ++i) {
    if (!named[i]) add_special(static_cast<TokenId>(i), fmt::format("<SPECIAL_{}>", i), out);
  }
  return {};
}

// The first `count` entries: {"rank": 256, "token_bytes": "dGhl", "token_str": "the"}.
Result<std::vector<RankedPiece>> read_pieces(Element root, size_t count, size_t num_special, TokenizerParts& out) {
  const auto list = array_field(root, "vocab");
  if (!list) return bad("it has no vocab");
  std::vector<RankedPiece> pieces;
  for (const Element entry : *list) {
    if (pieces.size() == count) break;
    const auto rank = int_field(entry, "rank");
    const auto text = string_field(entry, "token_bytes");
    const auto bytes = text ? from_base64(*text) : std::nullopt;
    if (!bytes || bytes->empty() || rank != static_cast<int64_t>(pieces.size())) {
      return bad(fmt::format("entry {} of vocab has no bytes or another rank", pieces.size()));
    }
    const auto id = static_cast<TokenId>(pieces.size() + num_special);
    MHUB_CHECK_OK(out.vocabulary->add(id, to_byte_alphabet(*bytes), kMaxVocabulary));
    pieces.push_back({id, static_cast<uint32_t>(*rank)});
  }
  if (pieces.size() < count) return bad(fmt::format("vocab has {} entries, config says {}", pieces.size(), count));
  return pieces;
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> tokenizer_from_tekken(std::string_view tekken_json,
                                                               std::string_view tokenizer_config) {
  MHUB_TRY(const auto document, parse_document(tekken_json, "tekken.json"));
  const Element root = document->root;
  const auto config = object_field(root, "config");
  const auto pattern = config ? string_field(*config, "pattern") : std::nullopt;
  if (!pattern) return bad("it has no config.pattern");
  MHUB_TRY(const size_t vocab_size, size_setting(*config, "default_vocab_size"));
  MHUB_TRY(const size_t num_special, size_setting(*config, "default_num_special_tokens"));
  if (vocab_size < num_special) return bad("it has more special tokens than tokens");

  TokenizerParts parts;
  parts.vocabulary = std::make_unique<Vocabulary>();
  MHUB_CHECK_OK(read_specials(root, num_special, parts));
  MHUB_TRY(const auto pieces, read_pieces(root, vocab_size - num_special, num_special, parts));
  BpeOptions options;
  options.alphabet = BpeAlphabet::kBytes;
  options.ignore_merges = true;
  MHUB_TRY(parts.model, BpeModel::create(*parts.vocabulary, pieces, std::move(options)));
  MHUB_TRY(auto regex, Pattern::regex(*pattern));
  parts.pre_tokenizer = PreTokenizer({SplitStep{std::move(regex), SplitBehavior::kIsolated, false}});
  parts.decoder.byte_level = true;
  if (num_special > static_cast<size_t>(kEos)) {
    parts.bos = kBos;
    parts.eos = kEos;
    parts.prefix = {kBos};
  }
  if (!tokenizer_config.empty()) {
    MHUB_TRY(const Json settings, parse_tokenizer_config(tokenizer_config));
    apply_tokenizer_config(settings, parts);
  }
  return PipelineTokenizer::create(std::move(parts));
}

}  // namespace mhub::text
