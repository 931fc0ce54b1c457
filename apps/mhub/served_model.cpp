// SPDX-License-Identifier: Apache-2.0
#include "served_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "mhub/base/json.h"
#include "mhub/formats/gguf.h"
#include "mhub/formats/mapped_file.h"
#include "mhub/text/added_texts.h"

namespace mhub::apps {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxTemplateBytes = 1u << 20;

Result<std::string> template_text(const std::string& given) {
  std::error_code error;
  if (fs::is_regular_file(given, error)) return formats::read_text_file(given, kMaxTemplateBytes);
  if (given.find('{') != std::string::npos) return given;
  return Error{ErrorCode::kUsage,
               fmt::format("--chat-template {}: no such file, and no template text either", printable(given)),
               "give a path or the Jinja text", ""};
}

void compile_templates(std::vector<text::ChatTemplateSource> sources, TextSide& to) {
  for (auto& source : sources) {
    auto compiled = text::ChatTemplate::compile(std::move(source.source));
    if (compiled) {
      to.templates.emplace_back(source.name, std::make_shared<const text::ChatTemplate>(std::move(*compiled)));
    } else {  // completions still work
      to.notices.push_back(
          fmt::format("chat template \"{}\" left out: {}", printable(source.name), compiled.error().one_line()));
    }
  }
}

Result<void> read_directory(const fs::path& dir, bool with_templates, bool tokenizer_optional, TextSide& to) {
  std::error_code error;
  const bool none = !fs::exists(dir / "tokenizer.json", error);
  if (!none || !tokenizer_optional) {
    MHUB_TRY(to.tokenizer, text::load_tokenizer(dir));
  }
  MHUB_TRY(to.defaults, formats::read_generation_defaults(dir));
  if (!with_templates) return {};
  MHUB_TRY(auto sources, text::read_chat_templates(dir));
  compile_templates(std::move(sources), to);
  return {};
}

Result<void> read_gguf(const fs::path& file, bool with_templates, TextSide& to) {
  MHUB_TRY(const formats::GgufFile gguf, formats::open_gguf(file));
  MHUB_TRY(to.tokenizer, text::tokenizer_from_gguf(gguf));
  if (!with_templates) return {};
  compile_templates(text::chat_templates_from_gguf(gguf), to);
  return {};
}

}  // namespace

Result<TextSide> load_text_side(const formats::ModelLocation& location, const std::string& chat_template,
                                bool tokenizer_optional) {
  TextSide side;
  const bool own = chat_template.empty();
  if (location.kind == formats::ModelLocation::Kind::kGguf) {
    MHUB_CHECK_OK(read_gguf(location.path, own, side));
  } else {
    MHUB_CHECK_OK(read_directory(location.path, own, tokenizer_optional, side));
  }
  if (!own) {
    MHUB_TRY(std::string source, template_text(chat_template));
    auto compiled = text::ChatTemplate::compile(std::move(source));
    if (!compiled) {
      return Error{ErrorCode::kUsage, fmt::format("--chat-template: {}", compiled.error().message),
                   compiled.error().hint, ""};
    }
    side.templates.emplace_back("default", std::make_shared<const text::ChatTemplate>(std::move(*compiled)));
  }
  return side;
}

Result<void> override_defaults(const std::string& json, formats::GenerationDefaults& to) {
  using formats::GenerationDefaults;
  struct Number {
    const char* name;
    double min, max;
    std::optional<double> GenerationDefaults::*target;
  };
  static constexpr Number kNumbers[] = {{"temperature", 0, 2, &GenerationDefaults::temperature},
                                        {"top_p", 1e-6, 1, &GenerationDefaults::top_p},
                                        {"min_p", 0, 1, &GenerationDefaults::min_p},
                                        {"repetition_penalty", 1e-3, 100, &GenerationDefaults::repetition_penalty}};
  struct Whole {
    const char* name;
    int64_t min;
    std::optional<int64_t> GenerationDefaults::*target;
  };
  static constexpr Whole kWholes[] = {{"top_k", -1, &GenerationDefaults::top_k},
                                      {"max_new_tokens", 1, &GenerationDefaults::max_new_tokens},
                                      {"max_tokens", 1, &GenerationDefaults::max_new_tokens}};
  const auto wrong = [](std::string what) {
    return Error{ErrorCode::kUsage, fmt::format("--override-generation-config: {}", what),
                 R"(for example '{"temperature": 0.7, "top_k": 20}')", ""};
  };
  const auto parsed = parse_json(json);
  if (!parsed) return wrong(parsed.error().message);
  if (!parsed->is_object()) return wrong("not a JSON object");
  for (const auto& [name, value] : parsed->items()) {
    const auto* number =
        std::find_if(std::begin(kNumbers), std::end(kNumbers), [&](auto& n) { return name == n.name; });
    const auto* whole = std::find_if(std::begin(kWholes), std::end(kWholes), [&](auto& w) { return name == w.name; });
    if (number != std::end(kNumbers)) {
      if (!value.is_number() || value < number->min || value > number->max) {
        return wrong(fmt::format("{} must be in [{}, {}]", name, number->min, number->max));
      }
      to.*number->target = value.get<double>();
    } else if (whole != std::end(kWholes)) {
      if (!value.is_number_integer() || value < whole->min || value > INT32_MAX) {
        return wrong(fmt::format("{} must be a whole number of at least {}", name, whole->min));
      }
      to.*whole->target = value.get<int64_t>() == -1 ? 0 : value.get<int64_t>();
    } else {
      return wrong(fmt::format("{} is no sampling default", printable(name, 64)));
    }
  }
  return {};
}

void read_token_texts(const text::Tokenizer& tokenizer, engine::EngineConfig& to) {
  // The end of the text is none, even where the tokenizer's file does not call it special.
  const auto read = [&](bool first, constraint::TokenTexts& texts) {
    text::for_each_added_text(tokenizer, first, [&](std::string_view added) {
      const auto id = static_cast<text::TokenId>(texts.size());
      texts.add(id == tokenizer.eos_token() ? std::string_view() : added);
    });
  };
  read(false, to.token_texts);
  read(true, to.first_token_texts);
  if (to.first_token_texts == to.token_texts) to.first_token_texts = {};
}

}  // namespace mhub::apps
