// SPDX-License-Identifier: Apache-2.0
#include "prompt_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "json_fields.h"

namespace mhub::http {
namespace {

// Clients and routers match on the first words.
Error context_too_long(int64_t max_model_len, int64_t requested, int64_t at_least) {
  return {
      ErrorCode::kContextTooLong,
      fmt::format("This model's maximum context length is {} tokens. However, you requested {} output tokens and your "
                  "prompt contains at least {} input tokens, for a total of at least {} tokens. Please reduce the "
                  "length of the input prompt or the number of requested output tokens. (parameter=input_tokens, "
                  "value={})",
                  max_model_len, requested, at_least, requested + at_least, at_least),
      "", "input_tokens"};
}

Error no_tokenizer() {
  return {ErrorCode::kInvalidRequest, "this server has no tokenizer and takes token-id prompts only",
          "send the prompt as a list of token ids", "prompt"};
}

}  // namespace

const text::ChatTemplate* PromptBuilder::find_template(bool with_tools) const {
  const auto named = [&](std::string_view name) -> const text::ChatTemplate* {
    for (const auto& [key, value] : model_.templates) {
      if (key == name) return value.get();
    }
    return nullptr;
  };
  if (with_tools) {
    if (const auto* found = named("tool_use")) return found;
  }
  if (const auto* found = named("default")) return found;
  return model_.templates.empty() ? nullptr : model_.templates.front().second.get();
}

Result<std::vector<TokenId>> PromptBuilder::tokenize(const std::string& text, bool add_special_tokens) const {
  if (!model_.tokenizer) return no_tokenizer();
  return model_.tokenizer->encode(text, add_special_tokens, text::SpecialTokens::kParse);
}

Result<Prompt> PromptBuilder::render(const ChatMessages& chat, bool add_special_tokens) const {
  if (!model_.tokenizer) return no_tokenizer();
  const text::Tokenizer& tokenizer = *model_.tokenizer;
  const text::ChatTemplate* chat_template = find_template(!chat.tools.is_null());
  if (chat_template == nullptr) {
    return Error{ErrorCode::kInvalidRequest, "this model has no chat template",
                 "start the server with --chat-template (a path or the text), or use /v1/completions", "messages"};
  }
  text::RenderRequest request;
  request.messages = chat.messages;
  if (chat_template->source().find("developer") == std::string::npos) {
    for (auto& message : request.messages) {
      if (message["role"] == "developer") message["role"] = "system";
    }
  }
  request.tools = chat.tools;
  request.documents = chat.documents;
  request.kwargs = chat.kwargs;
  request.add_generation_prompt = chat.add_generation_prompt;
  request.continue_final_message = chat.continue_final_message;
  if (const auto bos = tokenizer.bos_token()) request.bos_token = std::string(tokenizer.token_text(*bos));
  if (const auto eos = tokenizer.eos_token()) request.eos_token = std::string(tokenizer.token_text(*eos));
  auto rendered = chat_template->render(request);
  if (!rendered) {
    Error error = std::move(rendered).error();
    if (error.param.empty()) error.param = "messages";
    return error;
  }
  Prompt prompt;
  prompt.text = std::move(rendered->text);
  std::vector<text::TextSpan> spans;
  for (const auto& piece : rendered->pieces) {
    spans.push_back({std::string_view(prompt.text).substr(piece.begin, piece.end - piece.begin), piece.specials});
  }
  prompt.ids = tokenizer.encode_spans(spans);
  if (add_special_tokens) {
    const auto prefix = tokenizer.encode("", true, text::SpecialTokens::kParse);
    if (!prefix.empty() && prefix.front() == tokenizer.bos_token())
      prompt.ids.insert(prompt.ids.begin(), prefix.front());
  }
  return prompt;
}

// Refuses before tokenizing what cannot fit whatever its tokens are.
Result<void> PromptBuilder::check_text_length(const std::string& text, const GenerationFields& fields) const {
  if (fields.truncate_prompt_tokens || !model_.tokenizer) return {};
  const auto longest = static_cast<int64_t>(std::max<size_t>(model_.tokenizer->max_token_bytes(), 1));
  if (static_cast<int64_t>(text.size()) / longest <= max_model_len_) return {};
  return context_too_long(max_model_len_, fields.max_tokens.value_or(0), max_model_len_ + 1);
}

Result<Prompt> PromptBuilder::fit(Prompt prompt, const GenerationFields& fields) const {
  if (fields.truncate_prompt_tokens) {
    int64_t keep = *fields.truncate_prompt_tokens;
    if (keep > max_model_len_) {
      return bad_value("truncate_prompt_tokens",
                       fmt::format("truncate_prompt_tokens must be at most {}, got {}", max_model_len_, keep));
    }
    if (keep < 0) keep = std::max<int64_t>(1, max_model_len_ - fields.max_tokens.value_or(1));
    const auto surplus = static_cast<int64_t>(prompt.ids.size()) - keep;
    if (surplus > 0) {
      const auto begin = prompt.ids.begin();
      fields.truncate_left ? prompt.ids.erase(begin, begin + surplus)
                           : prompt.ids.erase(prompt.ids.end() - surplus, prompt.ids.end());
      prompt.text = model_.tokenizer ? model_.tokenizer->decode(prompt.ids, fields.skip_special_tokens) : "";
    }
  }
  const auto length = static_cast<int64_t>(prompt.ids.size());
  if (length == 0) return bad_value("prompt", "the prompt has no tokens");
  const int64_t needed = fields.max_tokens == 0 ? length : length + 1;
  if (needed > max_model_len_) return context_too_long(max_model_len_, fields.max_tokens.value_or(0), length);
  return prompt;
}

Result<Prompt> PromptBuilder::from_input(const PromptInput& input, const GenerationFields& fields) const {
  Prompt prompt;
  if (const auto* text = std::get_if<std::string>(&input)) {
    MHUB_CHECK_OK(check_text_length(*text, fields));
    prompt.text = *text;
    MHUB_TRY(prompt.ids, tokenize(*text, fields.add_special_tokens));
  } else {
    prompt.ids = std::get<std::vector<TokenId>>(input);
    if (fields.echo && model_.tokenizer) prompt.text = model_.tokenizer->decode(prompt.ids, fields.skip_special_tokens);
  }
  return fit(std::move(prompt), fields);
}

Result<Prompt> PromptBuilder::from_chat(const ChatMessages& chat, const GenerationFields& fields) const {
  MHUB_TRY(Prompt prompt, render(chat, fields.add_special_tokens));
  return fit(std::move(prompt), fields);
}

}  // namespace mhub::http
