// SPDX-License-Identifier: Apache-2.0
#include "tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <unordered_set>

#include "components_json.h"
#include "json_fields.h"
#include "mhub/base/json.h"
#include "model_json.h"
#include "pipeline_tokenizer.h"

namespace mhub::text {
namespace {

using Element = simdjson::dom::element;
constexpr size_t kMaxTokenizerBytes = 256u << 20;
constexpr size_t kMaxConfigBytes = 8u << 20;
constexpr size_t kMaxJsonDepth = 64;

Error bad(std::string message, std::string hint = "the tokenizer file is damaged; download it again") {
  return Error{ErrorCode::kBadModel, "reading tokenizer.json: " + std::move(message), std::move(hint), ""};
}

struct Document {
  simdjson::dom::parser parser;
  Element root;
};

Result<std::unique_ptr<Document>> parse(std::string_view text) {
  if (text.size() > kMaxTokenizerBytes) {
    return bad(fmt::format("{} bytes are over the limit of {}", text.size(), kMaxTokenizerBytes));
  }
  auto document = std::make_unique<Document>();
  if (const auto error = document->parser.allocate(std::max<size_t>(text.size(), 64), kMaxJsonDepth)) {
    return bad(simdjson::error_message(error));
  }
  if (const auto error = document->parser.parse(text.data(), text.size()).get(document->root)) {
    return bad(simdjson::error_message(error));
  }
  if (!document->root.is_object()) return bad("it is not a JSON object");
  return document;
}

Result<void> read_added_tokens(const std::vector<Element>& entries, TokenizerParts& out) {
  std::unordered_set<TokenId> ids;
  std::unordered_set<std::string_view> contents;
  const size_t limit = 2 * (out.vocabulary->count() + entries.size());
  for (const Element entry : entries) {
    const auto content = string_field(entry, "content");
    const auto id = int_field(entry, "id");
    if (!content || content->empty() || !id || *id < 0 || static_cast<size_t>(*id) >= limit) {
      return bad("an entry of added_tokens has no content or no id in range");
    }
    AddedToken token;
    token.content = *content;
    token.id = out.vocabulary->find(*content);  // a text of the vocabulary keeps its id there
    if (token.id == kNoToken) token.id = static_cast<TokenId>(*id);
    if (out.vocabulary->contains(token.id) && out.vocabulary->text(token.id) != *content) {
      return bad(fmt::format("added token \"{}\" has the id of \"{}\"", printable(*content, 40),
                             printable(out.vocabulary->text(token.id), 40)));
    }
    if (!ids.insert(token.id).second || !contents.insert(*content).second) {
      return bad(fmt::format("added token \"{}\" shares its text or its id {} with another", printable(*content, 40),
                             token.id));
    }
    token.single_word = bool_field(entry, "single_word").value_or(false);
    token.lstrip = bool_field(entry, "lstrip").value_or(false);
    token.rstrip = bool_field(entry, "rstrip").value_or(false);
    token.special = bool_field(entry, "special").value_or(false);
    token.normalized = bool_field(entry, "normalized").value_or(!token.special);
    out.added.push_back(std::move(token));
  }
  return {};
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

// Llama and Gemma tokenizer classes build the post-processor from add_bos_token and add_eos_token.
Result<void> apply_config(std::string_view text, TokenizerParts& parts) {
  auto parsed = parse_json(text);  // not simdjson: model_max_length is often 10^30
  if (!parsed || !parsed->is_object()) {
    return Error{ErrorCode::kBadModel,
                 "reading tokenizer_config.json: " + (parsed ? "it is not a JSON object" : parsed.error().message),
                 "the file is damaged; download it again", ""};
  }
  const Json& config = *parsed;
  parts.bos = token_setting(config, "bos_token", parts);
  parts.eos = token_setting(config, "eos_token", parts);
  const auto class_name = config.find("tokenizer_class");
  const std::string name = class_name != config.end() && class_name->is_string() ? class_name->get<std::string>() : "";
  const bool rebuilds = name == "LlamaTokenizer" || name == "LlamaTokenizerFast" || name == "GemmaTokenizer" ||
                        name == "GemmaTokenizerFast" || name == "CodeLlamaTokenizer" ||
                        name == "CodeLlamaTokenizerFast";
  if (!rebuilds) return {};
  if (const auto add_bos = flag_setting(config, "add_bos_token"); add_bos && parts.bos) {
    parts.prefix = *add_bos ? std::vector<TokenId>{*parts.bos} : std::vector<TokenId>{};
  }
  if (const auto add_eos = flag_setting(config, "add_eos_token"); add_eos && parts.eos) {
    parts.suffix = *add_eos ? std::vector<TokenId>{*parts.eos} : std::vector<TokenId>{};
  }
  return {};
}

Result<std::string> read_file(const std::filesystem::path& file, size_t max_bytes) {
  const auto refuse = [&](std::string_view what) {
    return Error{ErrorCode::kBadModel, fmt::format("reading {}: {}", printable(file.string()), what), "check the file",
                 ""};
  };
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in) return refuse("it cannot be opened");
  const auto size = static_cast<std::streamoff>(in.tellg());
  if (size < 0 || static_cast<size_t>(size) > max_bytes) return refuse(fmt::format("it is over {} bytes", max_bytes));
  std::string text;
  text.reserve(static_cast<size_t>(size) + simdjson::SIMDJSON_PADDING);
  text.resize(static_cast<size_t>(size));
  if (!in.seekg(0).read(text.data(), size)) return refuse("it cannot be read");
  return text;
}

Error no_tokenizer(const std::filesystem::path& dir) {
  std::error_code ignored;
  std::string_view kind = "it has no tokenizer.json";
  if (std::filesystem::exists(dir / "tokenizer.model", ignored)) {
    kind = "it has a sentencepiece tokenizer.model, which is not supported, and no tokenizer.json";
  } else if (std::filesystem::exists(dir / "tekken.json", ignored)) {
    kind = "it has a tekken.json, which is not supported, and no tokenizer.json";
  } else if (std::filesystem::exists(dir / "vocab.json", ignored) ||
             std::filesystem::exists(dir / "vocab.txt", ignored)) {
    kind = "it has a bare vocabulary file, which is not supported, and no tokenizer.json";
  }
  return Error{ErrorCode::kBadModel, fmt::format("loading the tokenizer of {}: {}", printable(dir.string()), kind),
               "add the model's tokenizer.json to the directory", ""};
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> tokenizer_from_json(std::string_view tokenizer_json,
                                                             std::string_view tokenizer_config) {
  MHUB_TRY(const auto document, parse(tokenizer_json));
  const Element root = document->root;
  const auto model = object_field(root, "model");
  if (!model) return bad("it has no model");
  std::vector<Element> added;
  if (const auto list = array_field(root, "added_tokens")) {
    for (const Element entry : *list) added.push_back(entry);
  }
  if (added.size() > kMaxVocabulary) return bad(fmt::format("added_tokens has {} entries", added.size()));

  TokenizerParts parts;
  parts.vocabulary = std::make_unique<Vocabulary>();
  MHUB_TRY(auto spec, read_pre_tokenizer(object_field(root, "pre_tokenizer")));
  parts.pre_tokenizer = std::move(spec.pre_tokenizer);
  MHUB_CHECK_OK(read_model(*model, spec.bytes, added.size(), parts));
  MHUB_CHECK_OK(read_added_tokens(added, parts));
  MHUB_TRY(parts.normalizer, read_normalizer(object_field(root, "normalizer")));
  MHUB_TRY(parts.decoder, read_decoder(object_field(root, "decoder")));
  MHUB_TRY(auto ids, read_post_processor(object_field(root, "post_processor")));
  parts.prefix = std::move(ids.prefix);
  parts.suffix = std::move(ids.suffix);
  if (!tokenizer_config.empty()) MHUB_CHECK_OK(apply_config(tokenizer_config, parts));
  return PipelineTokenizer::create(std::move(parts));
}

Result<std::shared_ptr<const Tokenizer>> load_tokenizer(const std::filesystem::path& dir) {
  std::error_code ignored;
  if (!std::filesystem::exists(dir / "tokenizer.json", ignored)) return no_tokenizer(dir);
  MHUB_TRY(const std::string tokenizer, read_file(dir / "tokenizer.json", kMaxTokenizerBytes));
  std::string config;
  if (std::filesystem::exists(dir / "tokenizer_config.json", ignored)) {
    MHUB_TRY(config, read_file(dir / "tokenizer_config.json", kMaxConfigBytes));
  }
  auto loaded = tokenizer_from_json(tokenizer, config);
  if (!loaded)
    loaded.error().message =
        fmt::format("loading the tokenizer of {}: {}", printable(dir.string()), loaded.error().message);
  return loaded;
}

}  // namespace mhub::text
