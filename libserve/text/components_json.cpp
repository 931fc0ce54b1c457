// SPDX-License-Identifier: Apache-2.0
#include "components_json.h"

#include <fmt/format.h>

#include "base64.h"
#include "component_fields.h"
#include "scanners.h"

namespace mhub::text {
namespace {

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
  if (type == "StripAccents") return NormalizerStep(StripAccents{});
  if (type == "Nmt") return NormalizerStep(NmtCleanup{});
  if (type == "ByteLevel") return NormalizerStep(ByteAlphabet{});
  if (type == "BertNormalizer") {
    BertCleanup step;
    step.clean_text = bool_field(component, "clean_text").value_or(true);
    step.handle_chinese_chars = bool_field(component, "handle_chinese_chars").value_or(true);
    step.lowercase = bool_field(component, "lowercase").value_or(true);
    step.strip_accents = bool_field(component, "strip_accents").value_or(step.lowercase);
    return NormalizerStep(step);
  }
  if (type == "Precompiled") {
    const auto text = string_field(component, "precompiled_charsmap");
    const auto blob = text ? from_base64(*text) : std::nullopt;
    if (!blob) return malformed("normalizer", type);
    MHUB_TRY(auto map, Charsmap::parse(*blob));
    return NormalizerStep(PrecompiledMap{std::move(map)});
  }
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
    if (!pattern || !to || (from && from->empty())) return malformed("normalizer", type);
    if (from) return NormalizerStep(ReplaceText{std::string(*from), std::string(*to)});
    MHUB_TRY(auto regex, read_pattern("normalizer", type, component));
    return NormalizerStep(ReplacePattern{std::move(regex), std::string(*to)});
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
    const bool individual = bool_field(component, "individual_digits").value_or(false);
    return PreTokenizerStep(
        CharClassStep{is_numeric, individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous});
  }
  if (type == "Punctuation") {
    CharClassStep step{is_punctuation_or_ascii_symbol, SplitBehavior::kIsolated};
    if (string_field(component, "behavior")) {
      MHUB_TRY(step.behavior, read_behavior(type, component));
    }
    return PreTokenizerStep(step);
  }
  if (type == "Whitespace") {
    MHUB_TRY(auto words, Pattern::regex(patterns::kWords));
    return PreTokenizerStep(SplitStep{std::move(words), SplitBehavior::kRemoved, true});
  }
  if (type == "WhitespaceSplit") return PreTokenizerStep(CharClassStep{is_white_space, SplitBehavior::kRemoved});
  if (type == "CharDelimiterSplit") {
    const auto delimiter = string_field(component, "delimiter");
    if (!delimiter || delimiter->empty()) return malformed("pre-tokenizer", type);
    return PreTokenizerStep(SplitStep{Pattern::literal(std::string(*delimiter)), SplitBehavior::kRemoved, false});
  }
  if (type == "FixedLength") {
    const int64_t chars = int_field(component, "length").value_or(5);
    if (chars < 1) return malformed("pre-tokenizer", type);
    return PreTokenizerStep(FixedLengthStep{static_cast<size_t>(chars)});
  }
  return unsupported("pre-tokenizer", type);
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
    MHUB_CHECK_OK(each_component(
        "pre-tokenizer", "pretokenizers", *component, [&](std::string_view type, Element part) -> Result<void> {
          if (type == "BertPreTokenizer") {
            steps.emplace_back(CharClassStep{is_white_space, SplitBehavior::kRemoved});
            steps.emplace_back(CharClassStep{is_punctuation_or_ascii_symbol, SplitBehavior::kIsolated});
            return {};
          }
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

}  // namespace mhub::text
