// SPDX-License-Identifier: Apache-2.0
#include "tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "components_json.h"
#include "json_document.h"
#include "model_json.h"
#include "pipeline_tokenizer.h"
#include "tokenizer_config.h"

namespace mhub::text {
namespace {

using Element = simdjson::dom::element;

Error bad(std::string message, std::string hint = "the tokenizer file is damaged; download it again") {
  return Error{ErrorCode::kBadModel, "reading tokenizer.json: " + std::move(message), std::move(hint), ""};
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

}  // namespace

Result<std::shared_ptr<const Tokenizer>> tokenizer_from_json(std::string_view tokenizer_json,
                                                             std::string_view tokenizer_config) {
  MHUB_TRY(const auto document, parse_document(tokenizer_json, "tokenizer.json"));
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
  if (!tokenizer_config.empty()) {
    MHUB_TRY(const Json config, parse_tokenizer_config(tokenizer_config));
    apply_tokenizer_config(config, parts);
  }
  return PipelineTokenizer::create(std::move(parts));
}

}  // namespace mhub::text
