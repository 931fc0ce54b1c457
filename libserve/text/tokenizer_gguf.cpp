// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "bpe.h"
#include "gguf_pre_names.h"
#include "pipeline_tokenizer.h"
#include "sentencepiece.h"
#include "word_models.h"

namespace mhub::text {
namespace {

using formats::GgufFile;

using TokenType = SentencePieces::Type;

template <typename T>
const T* find_as(const GgufFile& gguf, std::string_view key) {
  const auto* value = gguf.find(key);
  return value ? std::get_if<T>(value) : nullptr;
}

Error bad(std::string message, std::string hint = "the file is damaged; download it again") {
  return Error{ErrorCode::kBadModel, "reading the GGUF vocabulary: " + std::move(message), std::move(hint), ""};
}

Result<std::optional<TokenId>> token_setting(const GgufFile& gguf, std::string_view key, std::optional<int64_t> other,
                                             const Vocabulary& vocabulary) {
  const auto id = gguf.integer(key);
  if (id && (*id < 0 || static_cast<size_t>(*id) >= vocabulary.size())) {
    return bad(fmt::format("{} is {}, the vocabulary has {} tokens", key, *id, vocabulary.size()));
  }
  if (id) return std::optional(static_cast<TokenId>(*id));
  if (!other || static_cast<size_t>(*other) >= vocabulary.size()) return std::optional<TokenId>();
  return std::optional(static_cast<TokenId>(*other));
}

// What holds where the file does not say it.
struct EndDefaults {
  std::optional<int64_t> bos, eos;
  bool add_bos, add_eos;
};

Result<void> add_ends(const GgufFile& gguf, const EndDefaults& defaults, TokenizerParts& out) {
  MHUB_TRY(out.bos, token_setting(gguf, "tokenizer.ggml.bos_token_id", defaults.bos, *out.vocabulary));
  MHUB_TRY(out.eos, token_setting(gguf, "tokenizer.ggml.eos_token_id", defaults.eos, *out.vocabulary));
  if (out.bos && gguf.boolean("tokenizer.ggml.add_bos_token").value_or(defaults.add_bos)) out.prefix = {*out.bos};
  if (out.eos && gguf.boolean("tokenizer.ggml.add_eos_token").value_or(defaults.add_eos)) out.suffix = {*out.eos};
  return {};
}

Result<std::vector<SentencePieces::Piece>> read_pieces(const GgufFile& gguf) {
  const auto* tokens = find_as<std::vector<std::string_view>>(gguf, "tokenizer.ggml.tokens");
  if (!tokens || tokens->empty()) return bad("tokenizer.ggml.tokens is missing or no list of strings");
  const auto* types = find_as<std::vector<int64_t>>(gguf, "tokenizer.ggml.token_type");
  if (types && types->size() != tokens->size()) {
    return bad(fmt::format("{} tokens have {} types", tokens->size(), types->size()));
  }
  std::vector<SentencePieces::Piece> pieces(tokens->size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    pieces[i].text = (*tokens)[i];
    if (types) pieces[i].type = static_cast<TokenType>(std::clamp<int64_t>((*types)[i], 0, 7));
    // Padding rows carry any type; they never come from text.
    if (pieces[i].text.starts_with("[PAD") && pieces[i].text.ends_with("]")) pieces[i].type = TokenType::kUnused;
  }
  return pieces;
}

// Vocabulary and added tokens. Unknown and unused tokens never come from text: no merge makes them.
Result<void> add_tokens(const std::vector<SentencePieces::Piece>& pieces, TokenizerParts& out) {
  out.vocabulary = std::make_unique<Vocabulary>();
  size_t bytes = 0;
  for (const auto& piece : pieces) bytes += piece.text.size();
  out.vocabulary->reserve(pieces.size(), bytes);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto& [text, score, type] = pieces[i];
    const auto id = static_cast<TokenId>(i);
    MHUB_CHECK_OK(out.vocabulary->add(id, text, pieces.size()));
    if (text.empty() || (type != TokenType::kControl && type != TokenType::kUserDefined)) continue;
    AddedToken token;
    token.id = id;
    token.content = text;
    token.special = type == TokenType::kControl;
    out.added.push_back(std::move(token));
  }
  return {};
}

Result<std::vector<BpeModel::Merge>> read_merges(const GgufFile& gguf) {
  const auto* lines = find_as<std::vector<std::string_view>>(gguf, "tokenizer.ggml.merges");
  if (!lines) return bad("tokenizer.ggml.merges is missing or no list of strings");
  std::vector<BpeModel::Merge> merges;
  merges.reserve(lines->size());
  for (const std::string_view line : *lines) {
    const size_t space = line.find(' ', 1);
    if (space == std::string_view::npos) return bad(fmt::format("merge \"{}\" is no pair", printable(line, 80)));
    merges.push_back({line.substr(0, space), line.substr(space + 1)});
  }
  return merges;
}

// "gpt2": byte-level BPE; the pattern hides behind a name.
Result<void> read_byte_level(const GgufFile& gguf, TokenizerParts& out) {
  const auto pre_name = gguf.string("tokenizer.ggml.pre");
  if (!pre_name) return bad("tokenizer.ggml.pre is absent", "convert the model again with a current converter");
  MHUB_TRY(auto pre, gguf_pre_tokenizer(*pre_name));
  MHUB_TRY(const auto pieces, read_pieces(gguf));
  MHUB_CHECK_OK(add_tokens(pieces, out));
  MHUB_TRY(const auto merges, read_merges(gguf));
  BpeOptions options;
  options.alphabet = BpeAlphabet::kBytes;
  options.ignore_merges = pre.ignore_merges;
  MHUB_TRY(out.model, BpeModel::create(*out.vocabulary, merges, std::move(options)));
  out.pre_tokenizer = std::move(pre.pre_tokenizer);
  if (pre.nfc) out.normalizer = Normalizer({UnicodeForm{true, false}});
  out.decoder.byte_level = true;
  return add_ends(gguf, {std::nullopt, std::nullopt, pre.add_bos, false}, out);
}

// "gemma4": BPE with merges over characters, spaces spelled ▁, other characters in bytes.
Result<void> read_spaced_bpe(const GgufFile& gguf, TokenizerParts& out) {
  MHUB_TRY(const auto pieces, read_pieces(gguf));
  MHUB_CHECK_OK(add_tokens(pieces, out));
  MHUB_TRY(const auto merges, read_merges(gguf));
  BpeOptions options;
  options.alphabet = BpeAlphabet::kCharacters;
  options.byte_fallback = true;
  MHUB_TRY(out.model, BpeModel::create(*out.vocabulary, merges, std::move(options)));
  out.normalizer = Normalizer({ReplaceText{" ", "▁"}});
  out.decoder.steps.emplace_back(ReplaceInToken{Pattern::literal("▁"), " "});
  out.decoder.byte_fallback = true;
  return add_ends(gguf, {std::nullopt, std::nullopt, true, false}, out);
}

Result<SentencePieces> read_sentencepieces(const GgufFile& gguf) {
  SentencePieces out;
  MHUB_TRY(out.pieces, read_pieces(gguf));
  const auto* scores = find_as<std::vector<double>>(gguf, "tokenizer.ggml.scores");
  if (!scores || scores->size() != out.pieces.size()) {
    return bad("tokenizer.ggml.scores is missing or has another length than tokenizer.ggml.tokens");
  }
  for (size_t i = 0; i < scores->size(); ++i) out.pieces[i].score = static_cast<float>((*scores)[i]);
  out.remove_extra_whitespaces = gguf.boolean("tokenizer.ggml.remove_extra_whitespaces").value_or(false);
  return out;
}

// "llama": sentencepiece BPE.
Result<void> read_sentencepiece_bpe(const GgufFile& gguf, TokenizerParts& out) {
  MHUB_TRY(SentencePieces pieces, read_sentencepieces(gguf));
  pieces.model = SentencePieces::Model::kBpe;
  pieces.byte_fallback = true;
  pieces.add_dummy_prefix = gguf.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  MHUB_CHECK_OK(build_sentencepiece(pieces, out));
  return add_ends(gguf, {1, 2, true, false}, out);
}

// "t5": sentencepiece Unigram.
Result<void> read_sentencepiece_unigram(const GgufFile& gguf, TokenizerParts& out) {
  MHUB_TRY(SentencePieces pieces, read_sentencepieces(gguf));
  pieces.model = SentencePieces::Model::kUnigram;
  pieces.add_dummy_prefix = gguf.boolean("tokenizer.ggml.add_space_prefix").value_or(false);
  std::string charsmap;
  if (const auto* bytes = find_as<std::vector<int64_t>>(gguf, "tokenizer.ggml.precompiled_charsmap")) {
    charsmap.reserve(bytes->size());
    for (const int64_t byte : *bytes) charsmap.push_back(static_cast<char>(byte));
    pieces.charsmap = charsmap;
  }
  MHUB_CHECK_OK(build_sentencepiece(pieces, out));
  return add_ends(gguf, {std::nullopt, 1, false, true}, out);
}

// "bert": WordPiece where the texts that begin a word carry ▁, and the others nothing.
Result<void> read_word_piece(const GgufFile& gguf, TokenizerParts& out) {
  MHUB_TRY(const auto pieces, read_pieces(gguf));
  MHUB_CHECK_OK(add_tokens(pieces, out));
  const int64_t unk = gguf.integer("tokenizer.ggml.unknown_token_id").value_or(100);
  const int64_t cls = gguf.integer("tokenizer.ggml.bos_token_id").value_or(101);
  const int64_t sep = gguf.integer("tokenizer.ggml.seperator_token_id").value_or(102);
  for (const int64_t id : {unk, cls, sep}) {
    if (id < 0 || static_cast<size_t>(id) >= pieces.size()) return bad(fmt::format("special token id {} is none", id));
  }
  WordPieceOptions options;
  options.start_prefix = "▁";
  options.continuing_prefix = "";
  options.unk = static_cast<TokenId>(unk);
  out.model = std::make_unique<WordPieceModel>(*out.vocabulary, options);
  BertCleanup cleanup;
  cleanup.lowercase = gguf.boolean("tokenizer.ggml.normalizer.lowercase").value_or(true);
  cleanup.strip_accents = gguf.boolean("tokenizer.ggml.normalizer.strip_accents").value_or(cleanup.lowercase);
  out.normalizer = Normalizer({cleanup});
  out.pre_tokenizer = PreTokenizer({CharClassStep{is_white_space, SplitBehavior::kRemoved},
                                    CharClassStep{is_punctuation_or_ascii_symbol, SplitBehavior::kIsolated}});
  out.decoder.steps.emplace_back(MetaspaceToSpace{"▁", false});
  out.bos = static_cast<TokenId>(cls);
  out.eos = static_cast<TokenId>(sep);
  if (gguf.boolean("tokenizer.ggml.add_bos_token").value_or(true)) out.prefix = {*out.bos};
  if (gguf.boolean("tokenizer.ggml.add_sep_token").value_or(true)) out.suffix = {*out.eos};
  return {};
}

struct Kind {
  std::string_view model;
  Result<void> (*read)(const GgufFile& gguf, TokenizerParts& out);
};
constexpr Kind kKinds[] = {{"gpt2", read_byte_level},
                           {"llama", read_sentencepiece_bpe},
                           {"gemma4", read_spaced_bpe},
                           {"t5", read_sentencepiece_unigram},
                           {"bert", read_word_piece}};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> tokenizer_from_gguf(const GgufFile& gguf) {
  const std::string model = gguf.string("tokenizer.ggml.model").value_or("");
  for (const Kind& kind : kKinds) {
    if (kind.model != model) continue;
    TokenizerParts parts;
    MHUB_CHECK_OK(kind.read(gguf, parts));
    return PipelineTokenizer::create(std::move(parts));
  }
  return bad(model.empty() ? "the file has none (tokenizer.ggml.model is absent)"
                           : fmt::format("tokenizer.ggml.model \"{}\" is not supported", printable(model, 40)),
             "use the model's safetensors form with its tokenizer.json");
}

}  // namespace mhub::text
