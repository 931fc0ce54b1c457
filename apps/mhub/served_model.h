// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mhub/engine/engine.h"
#include "mhub/formats/model_config.h"
#include "mhub/text/chat_template.h"
#include "mhub/text/tokenizer.h"

namespace mhub::apps {

// The part of a model that the front of a server keeps: everything but the weights.
struct TextSide {
  std::shared_ptr<const text::Tokenizer> tokenizer;  // null when the model has none and that was allowed
  std::vector<std::pair<std::string, std::shared_ptr<const text::ChatTemplate>>> templates;
  formats::GenerationDefaults defaults;
  std::vector<std::string> notices;  // one-line remarks, e.g. a template that cannot be compiled
};

// `chat_template`: a path or the text itself, instead of the model's own; "" = the model's own.
// Errors: kBadModel (no tokenizer unless `tokenizer_optional`), kUsage (--chat-template).
Result<TextSide> load_text_side(const formats::ModelLocation& location, const std::string& chat_template,
                                bool tokenizer_optional);

// --override-generation-config: a JSON object whose values go before those of the model. Errors: kUsage.
Result<void> override_defaults(const std::string& json, formats::GenerationDefaults& to);

// What the engine needs to keep an answer in a form; nothing where the tokens have no text of their own.
void read_token_texts(const text::Tokenizer& tokenizer, engine::EngineConfig& to);

}  // namespace mhub::apps
