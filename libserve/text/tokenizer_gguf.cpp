// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "bpe.h"
#include "pipeline_tokenizer.h"
#include "scanners.h"

namespace mhub::text {
namespace {

using formats::GgufFile;

// Token types of GGUF vocabularies.
enum class TokenType : int64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

// What a tokenizer.ggml.pre name stands for.
struct PreName {
  std::string_view name;
  std::vector<std::string_view> patterns;  // Isolated splits in a row; empty: individual digits, then GPT-2's pattern
  bool nfc = false;
  bool ignore_merges = false;
  bool add_bos = false;  // when tokenizer.ggml.add_bos_token is absent
};

const PreName* find_pre(std::string_view name) {
  static const std::vector<PreName> kNames = [] {
    using namespace patterns;
    std::vector<PreName> out;
    const auto add = [&](std::initializer_list<std::string_view> names, PreName settings) {
      for (const auto n : names) {
        settings.name = n;
        out.push_back(settings);
      }
    };
    add({"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"}, {"", {kLlama3}, false, true, true});
    add({"qwen2", "deepseek-r1-qwen", "stablelm2", "megrez"}, {"", {kQwen2}, true, false, false});
    add({"qwen35"}, {"", {kQwen35}, true, false, false});
    add({"gpt-2", "gpt2", "phi-2", "mpt", "olmo", "jais", "roberta-bpe", "jina-es", "jina-de"},
        {"", {kGpt2}, false, false, false});
    add({"smollm", "starcoder", "refact", "codeshell", "exaone", "minerva-7b"}, {"", {}, false, false, false});
    add({"command-r"}, {"", {}, true, false, false});
    add({"deepseek-v3", "deepseek-r1"}, {"", {kDeepseek3Digits, kDeepseek3Cjk, kDeepseek3Words}, false, false, false});
    add({"deepseek-coder"},
        {"", {kNewline, kSpacedLetters, kSpacedPunctuation, kDeepseekCjk, kDigit}, false, false, false});
    add({"tekken"}, {"", {kTekken}, false, true, true});
    add({"gpt-4o", "o200k", "llama4"}, {"", {kO200k}, false, false, false});
    return out;
  }();
  for (const PreName& pre : kNames) {
    if (pre.name == name) return &pre;
  }
  return nullptr;
}

Error bad(std::string message, std::string hint = "the file is damaged; download it again") {
  return Error{ErrorCode::kBadModel, "reading the GGUF vocabulary: " + std::move(message), std::move(hint), ""};
}

Result<PreTokenizer> make_pre_tokenizer(const PreName& pre) {
  std::vector<PreTokenizerStep> steps;
  ByteLevelStep byte_level;
  if (pre.patterns.empty()) {
    steps.emplace_back(CharClassStep{is_numeric, SplitBehavior::kIsolated});
    MHUB_TRY(byte_level.pattern, Pattern::regex(patterns::kGpt2));
  }
  for (const std::string_view regex : pre.patterns) {
    MHUB_TRY(auto pattern, Pattern::regex(regex));
    steps.emplace_back(SplitStep{std::move(pattern), SplitBehavior::kIsolated, false});
  }
  steps.emplace_back(std::move(byte_level));
  return PreTokenizer(std::move(steps));
}

Result<std::optional<TokenId>> token_setting(const GgufFile& gguf, std::string_view key, const Vocabulary& vocabulary) {
  const auto id = gguf.integer(key);
  if (!id) return std::optional<TokenId>();
  if (*id < 0 || static_cast<size_t>(*id) >= vocabulary.size()) {
    return bad(fmt::format("{} is {}, the vocabulary has {} tokens", key, *id, vocabulary.size()));
  }
  return std::optional(static_cast<TokenId>(*id));
}

Result<void> read_tokens(const GgufFile& gguf, TokenizerParts& out) {
  const auto* tokens_value = gguf.find("tokenizer.ggml.tokens");
  const auto* tokens = tokens_value ? std::get_if<std::vector<std::string_view>>(tokens_value) : nullptr;
  if (!tokens || tokens->empty()) return bad("tokenizer.ggml.tokens is missing or no list of strings");
  const auto* types_value = gguf.find("tokenizer.ggml.token_type");
  const auto* types = types_value ? std::get_if<std::vector<int64_t>>(types_value) : nullptr;
  if (types && types->size() != tokens->size()) {
    return bad(fmt::format("{} tokens have {} types", tokens->size(), types->size()));
  }
  size_t bytes = 0;
  for (const auto token : *tokens) bytes += token.size();
  out.vocabulary->reserve(tokens->size(), bytes);
  for (size_t i = 0; i < tokens->size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string_view text = (*tokens)[i];
    MHUB_CHECK_OK(out.vocabulary->add(id, text, tokens->size()));
    const auto type = types ? static_cast<TokenType>((*types)[i]) : TokenType::kNormal;
    // Unknown and unused tokens, the padding rows among them, never come from text: no merge makes them.
    if (text.empty() || (type != TokenType::kControl && type != TokenType::kUserDefined)) continue;
    if (text.starts_with("[PAD") && text.ends_with("]")) continue;
    AddedToken token;
    token.id = id;
    token.content = text;
    token.special = type == TokenType::kControl;
    out.added.push_back(std::move(token));
  }
  return {};
}

Result<std::vector<BpeModel::Merge>> read_merges(const GgufFile& gguf) {
  const auto* value = gguf.find("tokenizer.ggml.merges");
  const auto* lines = value ? std::get_if<std::vector<std::string_view>>(value) : nullptr;
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

}  // namespace

Result<std::shared_ptr<const Tokenizer>> tokenizer_from_gguf(const GgufFile& gguf) {
  const std::string model = gguf.string("tokenizer.ggml.model").value_or("");
  if (model != "gpt2") {
    return bad(model.empty() ? "the file has none (tokenizer.ggml.model is absent)"
                             : fmt::format("tokenizer.ggml.model \"{}\" is not supported", printable(model, 40)),
               "use a model with a byte-level BPE vocabulary (\"gpt2\")");
  }
  const auto pre_name = gguf.string("tokenizer.ggml.pre");
  if (!pre_name) return bad("tokenizer.ggml.pre is absent", "convert the model again with a current converter");
  const PreName* pre = find_pre(*pre_name);
  if (!pre) {
    return bad(fmt::format("tokenizer.ggml.pre \"{}\" is not supported", printable(*pre_name, 40)),
               "use the model's safetensors form with its tokenizer.json");
  }
  TokenizerParts parts;
  parts.vocabulary = std::make_unique<Vocabulary>();
  MHUB_CHECK_OK(read_tokens(gguf, parts));
  MHUB_TRY(const auto merges, read_merges(gguf));
  BpeOptions options;
  options.alphabet = BpeAlphabet::kBytes;
  options.ignore_merges = pre->ignore_merges;
  MHUB_TRY(parts.model, BpeModel::create(*parts.vocabulary, merges, std::move(options)));
  MHUB_TRY(parts.pre_tokenizer, make_pre_tokenizer(*pre));
  if (pre->nfc) parts.normalizer = Normalizer({UnicodeForm{true, false}});
  parts.decoder.byte_level = true;
  MHUB_TRY(parts.bos, token_setting(gguf, "tokenizer.ggml.bos_token_id", *parts.vocabulary));
  MHUB_TRY(parts.eos, token_setting(gguf, "tokenizer.ggml.eos_token_id", *parts.vocabulary));
  if (parts.bos && gguf.boolean("tokenizer.ggml.add_bos_token").value_or(pre->add_bos)) parts.prefix = {*parts.bos};
  if (parts.eos && gguf.boolean("tokenizer.ggml.add_eos_token").value_or(false)) parts.suffix = {*parts.eos};
  return PipelineTokenizer::create(std::move(parts));
}

}  // namespace mhub::text
