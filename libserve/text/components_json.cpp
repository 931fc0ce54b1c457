// SPDX-License-Identifier: Apache-2.0
#include "components_json.h"

#include <fmt/format.h>

#include "json_fields.h"
#include "scanners.h"
#include "vocabulary.h"

namespace mhub::text {
namespace {

using Element = simdjson::dom::element;
constexpr int kMaxDepth = 16;  // of Sequence in Sequence

Error unsupported(std::string_view kind, std::string_view what) {
  return Error{ErrorCode::kBadModel,
               fmt::format("reading tokenizer.json: {} \"{}\" is not supported", kind, printable(what, 80)),
               "use a model with a byte-level or Llama-style BPE tokenizer", ""};
}
Error malformed(std::string_view kind, std::string_view type) {
  return Error{ErrorCode::kBadModel,
               fmt::format("reading tokenizer.json: {} \"{}\" is malformed", kind, printable(type, 80)),
               "the tokenizer file is damaged; download it again", ""};
}

// Calls add(type, component) for the component or, with type Sequence, for its members in order.
template <typename Add>
Result<void> each_component(std::string_view kind, std::string_view members, Element component, const Add& add,
                            int depth = 0) {
  const auto type = string_field(component, "type");
  if (!type) return malformed(kind, "without a type");
  if (*type != "Sequence") return add(*type, component);
  const auto parts = array_field(component, members);
  if (!parts || depth >= kMaxDepth) return malformed(kind, *type);
  for (const Element part : *parts) MHUB_CHECK_OK(each_component(kind, members, part, add, depth + 1));
  return {};
}

Result<std::shared_ptr<const Pattern>> read_pattern(std::string_view kind, std::string_view type, Element component) {
  const auto pattern = object_field(component, "pattern");
  if (!pattern) return malformed(kind, type);
  if (const auto text = string_field(*pattern, "String")) return Pattern::literal(std::string(*text));
  if (const auto regex = string_field(*pattern, "Regex")) return Pattern::regex(*regex);
  return malformed(kind, type);
}

Result<SplitBehavior> read_behavior(std::string_view type, Element component) {
  const auto name = string_field(component, "behavior");
  if (!name) return malformed("pre-tokenizer", type);
  if (*name == "Removed") return SplitBehavior::kRemoved;
  if (*name == "Isolated") return SplitBehavior::kIsolated;
  if (*name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (*name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (*name == "Contiguous") return SplitBehavior::kContiguous;
  return unsupported("split behavior", *name);
}

Result<NormalizerStep> read_normalizer_step(std::string_view type, Element component) {
  if (type == "NFC") return NormalizerStep(UnicodeForm{true, false});
  if (type == "NFD") return NormalizerStep(UnicodeForm{false, false});
  if (type == "NFKC") return NormalizerStep(UnicodeForm{true, true});
  if (type == "NFKD") return NormalizerStep(UnicodeForm{false, true});
  if (type == "Lowercase") return NormalizerStep(Lowercase{});
  if (type == "Strip") {
    return NormalizerStep(StripSpaces{bool_field(component, "strip_left").value_or(true),
                                      bool_field(component, "strip_right").value_or(true)});
  }
  if (type == "Prepend") {
    const auto text = string_field(component, "prepend");
    if (!text) return malformed("normalizer", type);
    return NormalizerStep(PrependText{std::string(*text)});
  }
  if (type == "Replace") {
    const auto pattern = object_field(component, "pattern");
    const auto from = pattern ? string_field(*pattern, "String") : std::nullopt;
    const auto to = string_field(component, "content");
    if (pattern && string_field(*pattern, "Regex")) return unsupported("normalizer", "Replace with a Regex");
    if (!from || from->empty() || !to) return malformed("normalizer", type);
    return NormalizerStep(ReplaceText{std::string(*from), std::string(*to)});
  }
  return unsupported("normalizer", type);
}

Result<PreTokenizerStep> read_pre_tokenizer_step(std::string_view type, Element component) {
  if (type == "Split") {
    MHUB_TRY(auto pattern, read_pattern("pre-tokenizer", type, component));
    MHUB_TRY(const SplitBehavior behavior, read_behavior(type, component));
    return PreTokenizerStep(SplitStep{std::move(pattern), behavior, bool_field(component, "invert").value_or(false)});
  }
  if (type == "ByteLevel") {
    ByteLevelStep step;
    step.add_prefix_space = bool_field(component, "add_prefix_space").value_or(true);
    if (bool_field(component, "use_regex").value_or(true)) {
      MHUB_TRY(step.pattern, Pattern::regex(patterns::kGpt2));
    }
    return PreTokenizerStep(std::move(step));
  }
  if (type == "Metaspace") {
    MetaspaceStep step;
    step.replacement = string_field(component, "replacement").value_or("");
    if (step.replacement.empty()) return malformed("pre-tokenizer", type);
    const auto scheme = string_field(component, "prepend_scheme");
    const bool add_prefix_space = bool_field(component, "add_prefix_space").value_or(true);
    if (scheme && *scheme != "always" && *scheme != "first" && *scheme != "never") {
      return unsupported("prepend_scheme", *scheme);
    }
    step.prepend = (!scheme && !add_prefix_space) || scheme == "never" ? MetaspaceStep::Prepend::kNever
                   : scheme == "first"                                 ? MetaspaceStep::Prepend::kFirst
                                                                       : MetaspaceStep::Prepend::kAlways;
    step.split = bool_field(component, "split").value_or(true);
    return PreTokenizerStep(std::move(step));
  }
  if (type == "Digits") {
    return PreTokenizerStep(DigitsStep{bool_field(component, "individual_digits").value_or(false)});
  }
  if (type == "Punctuation") {
    if (!string_field(component, "behavior")) return PreTokenizerStep(PunctuationStep{});
    MHUB_TRY(const SplitBehavior behavior, read_behavior(type, component));
    return PreTokenizerStep(PunctuationStep{behavior});
  }
  return unsupported("pre-tokenizer", type);
}

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

}  // namespace

Result<Normalizer> read_normalizer(std::optional<Element> component) {
  std::vector<NormalizerStep> steps;
  if (component) {
    MHUB_CHECK_OK(each_component("normalizer", "normalizers", *component,
                                 [&](std::string_view type, Element part) -> Result<void> {
                                   MHUB_TRY(auto step, read_normalizer_step(type, part));
                                   steps.push_back(std::move(step));
                                   return {};
                                 }));
  }
  return Normalizer(std::move(steps));
}

Result<PreTokenizerSpec> read_pre_tokenizer(std::optional<Element> component) {
  std::vector<PreTokenizerStep> steps;
  if (component) {
    MHUB_CHECK_OK(each_component("pre-tokenizer", "pretokenizers", *component,
                                 [&](std::string_view type, Element part) -> Result<void> {
                                   MHUB_TRY(auto step, read_pre_tokenizer_step(type, part));
                                   steps.push_back(std::move(step));
                                   return {};
                                 }));
  }
  bool bytes = false;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (auto* step = std::get_if<ByteLevelStep>(&steps[i])) {
      bytes = i + 1 == steps.size();
      step->map = !bytes;
    }
  }
  return PreTokenizerSpec{PreTokenizer(std::move(steps)), bytes};
}

Result<DecoderOptions> read_decoder(std::optional<Element> component) {
  DecoderOptions out;
  if (!component) return unsupported("decoder", "null");
  enum class Stage { kTokens, kFallback, kFused, kStripped } stage = Stage::kTokens;
  const auto add = [&](std::string_view type, Element part) -> Result<void> {
    if (type == "ByteLevel" && stage == Stage::kTokens && out.replacements.empty() && !out.byte_level) {
      out.byte_level = true;
    } else if (type == "Replace" && stage == Stage::kTokens && !out.byte_level) {
      const auto pattern = object_field(part, "pattern");
      const auto from = pattern ? string_field(*pattern, "String") : std::nullopt;
      const auto to = string_field(part, "content");
      if (!from || from->empty() || !to) return unsupported("decoder", "Replace without a String");
      out.replacements.emplace_back(*from, *to);
    } else if (type == "ByteFallback" && stage == Stage::kTokens && !out.byte_level) {
      out.byte_fallback = true;
      stage = Stage::kFallback;
    } else if (type == "Fuse" && !out.byte_level) {
      stage = Stage::kFused;
    } else if (type == "Strip" && stage == Stage::kFused) {
      out.strip_left = string_field(part, "content").value_or("");
      const auto start = int_field(part, "start"), stop = int_field(part, "stop");
      if (out.strip_left.empty() || !start || *start < 0 || stop != 0)
        return unsupported("decoder", "Strip at the end");
      out.strip_left_most = static_cast<size_t>(*start);
      stage = Stage::kStripped;
    } else {
      return unsupported("decoder", type);
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
