// SPDX-License-Identifier: Apache-2.0
#include "tokenizer_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mhub::text {
namespace {

Error bad(std::string message) {
  return Error{ErrorCode::kBadModel, "reading tokenizer_config.json: " + std::move(message),
               "the file is damaged; download it again", ""};
}

std::optional<TokenId> find_token(const TokenizerParts& parts, std::string_view text) {
  for (const AddedToken& token : parts.added) {
    if (token.content == text) return token.id;
  }
  const TokenId id = parts.vocabulary->find(text);
  return id == kNoToken ? std::nullopt : std::optional(id);
}

// "bos_token": "<s>" or {"content": "<s>", ...}.
std::optional<TokenId> token_setting(const Json& config, const char* key, const TokenizerParts& parts) {
  const auto value = config.find(key);
  if (value == config.end()) return std::nullopt;
  if (value->is_string()) return find_token(parts, value->get_ref<const std::string&>());
  if (!value->is_object() || !value->contains("content") || !(*value)["content"].is_string()) return std::nullopt;
  return find_token(parts, (*value)["content"].get_ref<const std::string&>());
}
std::optional<bool> flag_setting(const Json& config, const char* key) {
  const auto value = config.find(key);
  return value != config.end() && value->is_boolean() ? std::optional(value->get<bool>()) : std::nullopt;
}

std::string class_of_tokenizer(const Json& config) {
  const auto name = config.find("tokenizer_class");
  return name != config.end() && name->is_string() ? name->get<std::string>() : "";
}

void apply_bos_and_eos(const Json& config, TokenizerParts& parts) {
  if (const auto add_bos = flag_setting(config, "add_bos_token"); add_bos && parts.bos) {
    parts.prefix = *add_bos ? std::vector<TokenId>{*parts.bos} : std::vector<TokenId>{};
  }
  if (const auto add_eos = flag_setting(config, "add_eos_token"); add_eos && parts.eos) {
    parts.suffix = *add_eos ? std::vector<TokenId>{*parts.eos} : std::vector<TokenId>{};
  }
}

// "added_tokens_decoder": {"32000": {"content": "<|im_start|>", "special": true, ...}, ...}
Result<void> add_tokens(const Json& config, TokenizerParts& parts) {
  const auto table = config.find("added_tokens_decoder");
  if (table == config.end() || !table->is_object()) return {};
  const size_t limit = 2 * (parts.vocabulary->count() + table->size());
  for (const auto& [key, entry] : table->items()) {
    TokenId id = kNoToken;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || static_cast<size_t>(id) >= limit ||
        !entry.is_object() || !entry.contains("content") || !entry["content"].is_string()) {
      return bad(fmt::format("entry \"{}\" of added_tokens_decoder is malformed", printable(key, 40)));
    }
    AddedToken token;
    token.id = id;
    token.content = entry["content"].get<std::string>();
    if (token.content.empty()) continue;
    const auto flag = [&](const char* name) { return flag_setting(entry, name).value_or(false); };
    token.special = flag("special");
    token.lstrip = flag("lstrip");
    token.rstrip = flag("rstrip");
    token.single_word = flag("single_word");
    const auto same = std::find_if(parts.added.begin(), parts.added.end(),
                                   [&](const AddedToken& known) { return known.content == token.content; });
    if (same != parts.added.end()) {
      if (same->id != id) return bad(fmt::format("\"{}\" has two ids", printable(token.content, 40)));
      if (!same->normalized) *same = std::move(token);
      continue;
    }
    if (parts.vocabulary->contains(id) && parts.vocabulary->text(id) != token.content) {
      return bad(fmt::format("\"{}\" has the id of another token", printable(token.content, 40)));
    }
    parts.added.push_back(std::move(token));
  }
  return {};
}

}  // namespace

Result<Json> parse_tokenizer_config(std::string_view text) {
  auto parsed = parse_json(text);  // not simdjson: model_max_length is often 10^30
  if (!parsed) return bad(parsed.error().message);
  if (!parsed->is_object()) return bad("it is not a JSON object");
  return std::move(*parsed);
}

void apply_tokenizer_config(const Json& config, TokenizerParts& parts) {
  parts.bos = token_setting(config, "bos_token", parts);
  parts.eos = token_setting(config, "eos_token", parts);
  const std::string name = class_of_tokenizer(config);
  const bool rebuilds = name == "LlamaTokenizer" || name == "LlamaTokenizerFast" || name == "GemmaTokenizer" ||
                        name == "GemmaTokenizerFast" || name == "CodeLlamaTokenizer" ||
                        name == "CodeLlamaTokenizerFast";
  if (rebuilds) apply_bos_and_eos(config, parts);
}

Result<void> apply_tokenizer_config_alone(const Json& config, TokenizerParts& parts) {
  MHUB_CHECK_OK(add_tokens(config, parts));
  if (const auto bos = token_setting(config, "bos_token", parts)) parts.bos = bos;
  if (const auto eos = token_setting(config, "eos_token", parts)) parts.eos = eos;
  apply_bos_and_eos(config, parts);
  return {};
}

}  // namespace mhub::text
