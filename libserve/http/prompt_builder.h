// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "mhub/http/api_server.h"
#include "openai_types.h"

namespace mhub::http {

struct Prompt {
  std::string text;  // as echoed
  std::vector<TokenId> ids;
};

// Makes token ids of what a request brings: text, ids or chat messages. Thread-safe.
class PromptBuilder {
 public:
  // `model` outlives this.
  PromptBuilder(const ServedModel& model, int64_t max_model_len) : model_(model), max_model_len_(max_model_len) {}

  // Errors: kContextTooLong when the prompt leaves no room for a token (max_tokens 0: when it does not fit).
  Result<Prompt> from_input(const PromptInput& input, const GenerationFields& fields) const;
  // Errors: kInvalidRequest (no template, the template's own refusal), kContextTooLong.
  Result<Prompt> from_chat(const ChatMessages& chat, const GenerationFields& fields) const;

  // Without any length limit (/tokenize).
  Result<std::vector<TokenId>> tokenize(const std::string& text, bool add_special_tokens) const;
  Result<Prompt> render(const ChatMessages& chat, bool add_special_tokens) const;

 private:
  const text::ChatTemplate* find_template(bool with_tools) const;
  Result<void> check_text_length(const std::string& text, const GenerationFields& fields) const;
  Result<Prompt> fit(Prompt prompt, const GenerationFields& fields) const;

  const ServedModel& model_;
  int64_t max_model_len_;
};

}  // namespace mhub::http
