// SPDX-License-Identifier: Apache-2.0
#include "sentencepiece.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "bpe.h"
#include "proto_reader.h"
#include "tokenizer_config.h"
#include "unigram.h"

namespace mhub::text {
namespace {

using Piece = SentencePieces::Piece;
using Type = SentencePieces::Type;

constexpr std::string_view kSpaceSymbol = "▁";
constexpr float kUnknownPenalty = 10;

Error bad(std::string message, std::string hint = "the tokenizer file is damaged; download it again") {
  return Error{ErrorCode::kBadModel, "reading the sentencepiece vocabulary: " + std::move(message), std::move(hint),
               ""};
}

Result<Piece> parse_piece(std::string_view message) {
  Piece piece;
  ProtoReader reader(message);
  for (ProtoReader::Field field; reader.next(field);) {
    if (field.number == 1 && field.is_bytes) piece.text = field.bytes;
    if (field.number == 2) piece.score = field.number32();
    if (field.number == 3) piece.type = static_cast<Type>(std::min<uint64_t>(field.integer, 7));
  }
  if (reader.damaged() || piece.type < Type::kNormal || piece.type > Type::kByte) return bad("a piece is malformed");
  return piece;
}

Result<void> parse_trainer(std::string_view message, SentencePieces& out) {
  ProtoReader reader(message);
  const auto id = [](uint64_t value) {
    return static_cast<int64_t>(static_cast<int32_t>(static_cast<uint32_t>(value)));
  };
  for (ProtoReader::Field field; reader.next(field);) {
    if (field.number == 3) {
      if (field.integer < 1 || field.integer > 4) return bad(fmt::format("model type {} is unknown", field.integer));
      out.model = static_cast<SentencePieces::Model>(field.integer);
    }
    if (field.number == 24) out.whitespace_as_suffix = field.flag();
    if (field.number == 35) out.byte_fallback = field.flag();
    if (field.number == 41) out.bos_id = id(field.integer);
    if (field.number == 42) out.eos_id = id(field.integer);
  }
  if (reader.damaged()) return bad("its trainer settings are malformed");
  return {};
}

Result<void> parse_normalizer(std::string_view message, SentencePieces& out) {
  ProtoReader reader(message);
  for (ProtoReader::Field field; reader.next(field);) {
    if (field.number == 2 && field.is_bytes) out.charsmap = field.bytes;
    if (field.number == 3) out.add_dummy_prefix = field.flag();
    if (field.number == 4) out.remove_extra_whitespaces = field.flag();
    if (field.number == 5) out.escape_whitespaces = field.flag();
  }
  if (reader.damaged()) return bad("its normalizer settings are malformed");
  return {};
}

std::vector<RankedPiece> rank_by_score(const std::vector<Piece>& pieces) {
  std::vector<RankedPiece> ranked;
  std::vector<TokenId> order;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].type == Type::kNormal || pieces[i].type == Type::kUserDefined) {
      order.push_back(static_cast<TokenId>(i));
    }
  }
  const auto score = [&](TokenId id) { return pieces[static_cast<size_t>(id)].score; };
  std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) { return score(a) > score(b); });
  ranked.reserve(order.size());
  uint32_t rank = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && score(order[i]) < score(order[i - 1])) ++rank;
    ranked.push_back({order[i], rank});
  }
  return ranked;
}

Result<void> build_bpe(const SentencePieces& from, TokenId unk, TokenizerParts& out) {
  BpeOptions options;
  options.alphabet = BpeAlphabet::kCharacters;
  options.byte_fallback = from.byte_fallback;
  options.fuse_unk = true;
  if (unk != kNoToken) options.unk_token = std::string(out.vocabulary->text(unk));
  MHUB_TRY(out.model, BpeModel::create(*out.vocabulary, rank_by_score(from.pieces), std::move(options)));
  return {};
}

Result<void> build_unigram(const SentencePieces& from, TokenId unk, TokenizerParts& out) {
  float lowest = std::numeric_limits<float>::max(), highest = std::numeric_limits<float>::lowest();
  for (const Piece& piece : from.pieces) {
    if (piece.type != Type::kNormal) continue;
    lowest = std::min(lowest, piece.score);
    highest = std::max(highest, piece.score);
  }
  std::vector<UnigramPiece> pieces;
  for (size_t i = 0; i < from.pieces.size(); ++i) {
    const Piece& piece = from.pieces[i];
    const auto id = static_cast<TokenId>(i);
    if (piece.type == Type::kNormal) pieces.push_back({id, piece.score});
    if (piece.type == Type::kUserDefined) {  // so high that it always wins
      pieces.push_back({id, static_cast<float>(piece.text.size()) * highest - 0.1});
    }
  }
  UnigramOptions options;
  options.unk = unk;
  options.unk_score = lowest - kUnknownPenalty;
  options.byte_fallback = from.byte_fallback;
  options.float_scores = true;
  MHUB_TRY(out.model, UnigramModel::create(*out.vocabulary, pieces, options));
  return {};
}

Result<void> build_normalizer(const SentencePieces& from, TokenizerParts& out) {
  SentencePieceRules rules;
  if (!from.charsmap.empty()) {
    MHUB_TRY(rules.map, Charsmap::parse(from.charsmap));
  }
  auto verbatim = std::make_shared<AddedTokenMatcher>();
  for (const Piece& piece : from.pieces) {
    if (piece.type == Type::kUserDefined) MHUB_CHECK_OK(verbatim->add(piece.text, 0, false));
  }
  rules.verbatim = std::move(verbatim);
  rules.add_dummy_prefix = from.add_dummy_prefix;
  rules.dummy_prefix_only_first = from.dummy_prefix_only_first;
  rules.remove_extra_whitespaces = from.remove_extra_whitespaces;
  rules.escape_whitespaces = from.escape_whitespaces;
  rules.whitespace_as_suffix = from.whitespace_as_suffix;
  out.normalizer = Normalizer({std::move(rules)});
  return {};
}

std::string escape_spaces(std::string_view text) {
  std::string out;
  for (const char c : text) c == ' ' ? out.append(kSpaceSymbol) : out.append(1, c);
  return out;
}

void add_added_tokens(const SentencePieces& from, TokenizerParts& out) {
  for (size_t i = 0; i < from.pieces.size(); ++i) {
    const Piece& piece = from.pieces[i];
    const bool control = piece.type == Type::kControl || piece.type == Type::kUnknown;
    // In a Unigram model the user's pieces compete in the lattice.
    const bool cut_out = piece.type == Type::kUserDefined && from.model == SentencePieces::Model::kBpe;
    if (piece.text.empty() || (!control && !cut_out)) continue;
    AddedToken token;
    token.id = static_cast<TokenId>(i);
    token.content = cut_out && from.escape_whitespaces ? escape_spaces(piece.text) : std::string(piece.text);
    token.special = control;
    token.normalized = cut_out;
    out.added.push_back(std::move(token));
  }
  out.added_are_normalized = true;
}

}  // namespace

Result<SentencePieces> parse_sentencepiece(std::string_view model) {
  SentencePieces out;
  ProtoReader reader(model);
  for (ProtoReader::Field field; reader.next(field);) {
    if (!field.is_bytes) continue;
    if (field.number == 1) {
      if (out.pieces.size() >= kMaxVocabulary) return bad(fmt::format("it has over {} pieces", kMaxVocabulary));
      MHUB_TRY(const Piece piece, parse_piece(field.bytes));
      out.pieces.push_back(piece);
    } else if (field.number == 2) {
      MHUB_CHECK_OK(parse_trainer(field.bytes, out));
    } else if (field.number == 3) {
      MHUB_CHECK_OK(parse_normalizer(field.bytes, out));
    }
  }
  if (reader.damaged() || out.pieces.empty()) return bad("it is no sentencepiece model");
  return out;
}

Result<void> build_sentencepiece(const SentencePieces& from, TokenizerParts& out) {
  if (from.model != SentencePieces::Model::kUnigram && from.model != SentencePieces::Model::kBpe) {
    return bad("word and character models are not supported", "use another form of this model");
  }
  out.vocabulary = std::make_unique<Vocabulary>();
  size_t bytes = 0;
  for (const Piece& piece : from.pieces) bytes += piece.text.size();
  out.vocabulary->reserve(from.pieces.size(), bytes);
  TokenId unk = kNoToken;
  for (size_t i = 0; i < from.pieces.size(); ++i) {
    const Piece& piece = from.pieces[i];
    if (!std::isfinite(piece.score)) return bad(fmt::format("the score of piece {} is not finite", i));
    MHUB_CHECK_OK(out.vocabulary->add(static_cast<TokenId>(i), piece.text, from.pieces.size()));
    if (piece.type == Type::kUnknown && unk == kNoToken) unk = static_cast<TokenId>(i);
  }
  MHUB_CHECK_OK(from.model == SentencePieces::Model::kBpe ? build_bpe(from, unk, out) : build_unigram(from, unk, out));
  MHUB_CHECK_OK(build_normalizer(from, out));
  add_added_tokens(from, out);
  if (from.escape_whitespaces) {
    out.decoder.steps.emplace_back(ReplaceInToken{Pattern::literal(std::string(kSpaceSymbol)), " "});
  }
  out.decoder.byte_fallback = from.byte_fallback;
  if (from.add_dummy_prefix && !from.whitespace_as_suffix) {
    out.decoder.strip_left = " ";
    out.decoder.strip_left_most = 1;
  }
  return {};
}

Result<std::shared_ptr<const Tokenizer>> tokenizer_from_sentencepiece(std::string_view model,
                                                                      std::string_view tokenizer_config) {
  MHUB_TRY(SentencePieces pieces, parse_sentencepiece(model));
  Json config = Json::object();
  if (!tokenizer_config.empty()) {
    MHUB_TRY(config, parse_tokenizer_config(tokenizer_config));
  }
  const auto legacy = config.find("legacy");
  pieces.dummy_prefix_only_first = legacy != config.end() && legacy->is_boolean() && !legacy->get<bool>();
  TokenizerParts parts;
  MHUB_CHECK_OK(build_sentencepiece(pieces, parts));
  const auto known = [&](int64_t id) { return id >= 0 && static_cast<size_t>(id) < parts.vocabulary->size(); };
  if (known(pieces.bos_id)) parts.bos = static_cast<TokenId>(pieces.bos_id);
  if (known(pieces.eos_id)) parts.eos = static_cast<TokenId>(pieces.eos_id);
  // What the classes of these models do: Llama and Gemma begin with BOS, T5 ends with EOS.
  if (pieces.model == SentencePieces::Model::kBpe && parts.bos) parts.prefix = {*parts.bos};
  if (pieces.model == SentencePieces::Model::kUnigram && parts.eos) parts.suffix = {*parts.eos};
  MHUB_CHECK_OK(apply_tokenizer_config_alone(config, parts));
  return PipelineTokenizer::create(std::move(parts));
}

}  // namespace mhub::text
