// SPDX-License-Identifier: Apache-2.0
// The components behind the model: decoder and post-processor.
#include "component_fields.h"
#include "vocabulary.h"

namespace mhub::text {
namespace {

// Ids of one entry of a TemplateProcessing list, or nullopt for the text itself.
Result<std::optional<std::vector<TokenId>>> template_entry(Element entry, Element component) {
  if (object_field(entry, "Sequence")) return std::optional<std::vector<TokenId>>();
  const auto token = object_field(entry, "SpecialToken");
  const auto name = token ? string_field(*token, "id") : std::nullopt;
  if (!name) return malformed("post-processor", "TemplateProcessing");
  const auto table = object_field(component, "special_tokens");
  const auto special = table ? object_field(*table, *name) : std::nullopt;
  const auto ids = special ? array_field(*special, "ids") : std::nullopt;
  if (!ids) return malformed("post-processor", "TemplateProcessing");
  std::vector<TokenId> out;
  for (const Element id : *ids) {
    int64_t value = 0;
    if (id.get(value) != simdjson::SUCCESS || value < 0 || value >= static_cast<int64_t>(kMaxVocabulary)) {
      return malformed("post-processor", "TemplateProcessing");
    }
    out.push_back(static_cast<TokenId>(value));
  }
  return std::optional(std::move(out));
}

Result<void> read_template(Element component, AddedIds& out) {
  const auto single = array_field(component, "single");
  if (!single) return malformed("post-processor", "TemplateProcessing");
  bool text_seen = false;
  for (const Element entry : *single) {
    MHUB_TRY(const auto ids, template_entry(entry, component));
    if (!ids) {
      if (text_seen) return unsupported("post-processor", "TemplateProcessing with the text twice");
      text_seen = true;
    } else {
      auto& side = text_seen ? out.suffix : out.prefix;
      side.insert(side.end(), ids->begin(), ids->end());
    }
  }
  if (!text_seen) return malformed("post-processor", "TemplateProcessing");
  return {};
}

// BertProcessing and RobertaProcessing: "cls": [text, id], "sep": [text, id].
Result<void> read_cls_sep(std::string_view type, Element component, AddedIds& out) {
  const auto id_of = [&](std::string_view key) -> std::optional<TokenId> {
    const auto pair = array_field(component, key);
    int64_t id = 0;
    if (!pair || pair->size() != 2 || pair->at(1).get(id) != simdjson::SUCCESS || id < 0 ||
        id >= static_cast<int64_t>(kMaxVocabulary)) {
      return std::nullopt;
    }
    return static_cast<TokenId>(id);
  };
  const auto cls = id_of("cls"), sep = id_of("sep");
  if (!cls || !sep) return malformed("post-processor", type);
  out.prefix.push_back(*cls);
  out.suffix.push_back(*sep);
  return {};
}

Result<StripToken> read_strip(Element component) {
  StripToken step;
  step.content = string_field(component, "content").value_or("");
  const int64_t start = int_field(component, "start").value_or(0), stop = int_field(component, "stop").value_or(0);
  if (step.content.empty() || start < 0 || stop < 0) return malformed("decoder", "Strip");
  step.start = static_cast<size_t>(start);
  step.stop = static_cast<size_t>(stop);
  return step;
}

Result<TokenStep> read_token_step(std::string_view type, Element component) {
  if (type == "Replace") {
    const auto to = string_field(component, "content");
    if (!to) return malformed("decoder", type);
    MHUB_TRY(auto pattern, read_pattern("decoder", type, component));
    return TokenStep(ReplaceInToken{std::move(pattern), std::string(*to)});
  }
  if (type == "WordPiece") {
    return TokenStep(JoinWordPieces{std::string(string_field(component, "prefix").value_or("##")),
                                    bool_field(component, "cleanup").value_or(true)});
  }
  if (type == "Metaspace") {
    const std::string marker(string_field(component, "replacement").value_or("▁"));
    if (marker.empty()) return malformed("decoder", type);
    const auto scheme = string_field(component, "prepend_scheme");
    const bool adds = bool_field(component, "add_prefix_space").value_or(true);
    return TokenStep(MetaspaceToSpace{marker, scheme ? *scheme == "never" : !adds});
  }
  if (type == "BPEDecoder") {
    const std::string suffix(string_field(component, "suffix").value_or("</w>"));
    if (suffix.empty()) return malformed("decoder", type);
    return TokenStep(WordSuffixToSpace{suffix});
  }
  if (type == "Strip") {
    MHUB_TRY(auto step, read_strip(component));
    return TokenStep(std::move(step));
  }
  return unsupported("decoder", type);
}

}  // namespace

Result<DecoderOptions> read_decoder(std::optional<Element> component) {
  DecoderOptions out;
  if (!component) {
    out.steps.emplace_back(JoinWords{});
    return out;
  }
  bool fused = false;     // what follows sees the whole text
  bool stripped = false;  // at its front
  const auto add = [&](std::string_view type, Element part) -> Result<void> {
    if (out.byte_level || stripped) return unsupported("decoder in a Sequence", type);
    if (type == "Fuse") {
      fused = true;
    } else if (type == "Strip" && fused) {
      MHUB_TRY(const StripToken strip, read_strip(part));
      if (strip.stop > 0) return unsupported("decoder", "Strip at the end of the text");
      out.strip_left = strip.content;
      out.strip_left_most = strip.start;
      stripped = true;
    } else if (fused) {
      return unsupported("decoder behind Fuse", type);
    } else if (type == "ByteLevel" && out.steps.empty() && !out.byte_fallback) {
      out.byte_level = true;
    } else if (type == "ByteFallback" && !out.byte_fallback) {
      out.byte_fallback = true;
    } else if (out.byte_fallback) {
      return unsupported("decoder behind ByteFallback", type);
    } else {
      MHUB_TRY(auto step, read_token_step(type, part));
      out.steps.push_back(std::move(step));
    }
    return {};
  };
  MHUB_CHECK_OK(each_component("decoder", "decoders", *component, add));
  return out;
}

Result<AddedIds> read_post_processor(std::optional<Element> component) {
  AddedIds out;
  if (!component) return out;
  const auto add = [&](std::string_view type, Element part) -> Result<void> {
    if (type == "ByteLevel") return {};  // moves offsets only
    if (type == "TemplateProcessing") return read_template(part, out);
    if (type == "BertProcessing" || type == "RobertaProcessing") return read_cls_sep(type, part, out);
    return unsupported("post-processor", type);
  };
  MHUB_CHECK_OK(each_component("post-processor", "processors", *component, add));
  return out;
}

}  // namespace mhub::text
