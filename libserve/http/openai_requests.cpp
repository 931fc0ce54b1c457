// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "json_fields.h"
#include "mhub/base/json_members.h"
#include "openai_types.h"
#include "sampling_fields.h"
#include "structured_fields.h"

namespace mhub::http {
namespace {

constexpr int64_t kDefaultCompletionTokens = 16;
constexpr size_t kMaxPrompts = 1024, kMaxMessages = 4096, kMaxTools = 128;

Result<std::optional<int64_t>> read_max_tokens(const JsonFields& json, std::string_view name, int64_t min) {
  MHUB_TRY(const auto value, json.integer(name));
  if (value && *value < min) return bad_value(name, fmt::format("{} must be at least {}, got {}", name, min, *value));
  return value;
}

Result<std::vector<PromptInput>> read_prompts(const OrderedJson* prompt, int64_t vocab_size) {
  static constexpr std::string_view kName = "prompt";
  if (prompt == nullptr) return bad_value(kName, "prompt is required");
  std::vector<PromptInput> out;
  const auto add_text = [&](const OrderedJson& text) -> Result<void> {
    if (text.get_ref<const std::string&>().empty()) return bad_value(kName, "prompt must not be empty");
    out.emplace_back(text.get<std::string>());
    return {};
  };
  const auto add_ids = [&](const OrderedJson& list) -> Result<void> {
    if (list.empty()) return bad_value(kName, "prompt must not be empty");
    MHUB_TRY(auto ids, read_token_ids(kName, list, vocab_size));
    out.emplace_back(std::move(ids));
    return {};
  };
  if (prompt->is_string()) {
    MHUB_CHECK_OK(add_text(*prompt));
    return out;
  }
  if (!prompt->is_array()) return wrong_type(kName, "must be a string, token ids, or a list of these", *prompt);
  if (prompt->empty()) return bad_value(kName, "prompt must not be empty");
  if (!prompt->front().is_string() && !prompt->front().is_array()) {
    MHUB_CHECK_OK(add_ids(*prompt));
    return out;
  }
  if (prompt->size() > kMaxPrompts) {
    return bad_value(kName, fmt::format("{} prompts given, at most {} are taken", prompt->size(), kMaxPrompts));
  }
  for (const auto& item : *prompt) {
    if (item.is_string()) {
      MHUB_CHECK_OK(add_text(item));
    } else if (item.is_array()) {
      MHUB_CHECK_OK(add_ids(item));
    } else {
      return wrong_type(kName, "must hold strings only or lists of token ids only", item);
    }
  }
  return out;
}

// Text of a message: a string, null, or a list of text parts.
Result<std::string> read_content(const OrderedJson* content) {
  static constexpr std::string_view kName = "messages";
  if (content == nullptr || content->is_null()) return std::string();
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) return wrong_type(kName, "content must be a string or a list of parts", *content);
  std::string text;
  bool first = true;
  for (const auto& part : *content) {
    std::string piece;
    if (part.is_string()) {
      piece = part.get<std::string>();
    } else if (part.is_object()) {
      const JsonFields fields(part);
      MHUB_TRY(const auto type, fields.string("type"));
      static constexpr std::string_view kTextual[] = {"text", "refusal", "thinking", "input_text", "output_text"};
      if (!type || std::find(std::begin(kTextual), std::end(kTextual), *type) == std::end(kTextual)) {
        return bad_value(kName, fmt::format("a content part of type \"{}\" cannot be read: this model takes text only",
                                            printable(type.value_or(""), 32)));
      }
      const bool same_name = *type == "refusal" || *type == "thinking";
      MHUB_TRY(const auto value, fields.string(same_name ? *type : "text"));
      if (!value) return bad_value(kName, fmt::format("a content part of type \"{}\" has no text", *type));
      piece = *value;
    } else {
      return wrong_type(kName, "content parts must be objects", part);
    }
    text += (first ? "" : "\n") + piece;
    first = false;
  }
  return text;
}

// Arguments of earlier tool calls arrive as JSON text; templates want the object.
void parse_tool_arguments(OrderedJson& message) {
  const auto calls = message.find("tool_calls");
  if (calls == message.end() || !calls->is_array()) return;
  for (auto& call : *calls) {
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) continue;
    auto& function = call["function"];
    const auto arguments = function.find("arguments");
    if (arguments == function.end() || !arguments->is_string()) continue;
    auto parsed = parse_ordered_json(arguments->get_ref<const std::string&>());
    if (parsed && parsed->is_object() && !has_object_over(*parsed, kMaxMembers)) {
      *arguments = std::move(*parsed);
    }
  }
}

Result<OrderedJson> read_messages(const OrderedJson* messages) {
  static constexpr std::string_view kName = "messages";
  if (messages == nullptr) {
    return Error{ErrorCode::kMalformedRequest, "1 validation error:\n  body.messages: field required", "", "messages"};
  }
  if (!messages->is_array()) return wrong_type(kName, "must be a list", *messages);
  if (messages->empty()) return bad_value(kName, "messages must not be empty");
  if (messages->size() > kMaxMessages) {
    return bad_value(kName, fmt::format("{} messages given, at most {} are taken", messages->size(), kMaxMessages));
  }
  OrderedJson out = OrderedJson::array();
  for (const auto& message : *messages) {
    if (!message.is_object()) return wrong_type(kName, "must hold objects", message);
    MHUB_TRY(const auto role, JsonFields(message).string("role"));
    if (!role || role->empty()) return bad_value(kName, "every message needs a role");
    OrderedJson copy = message;
    const auto content = message.find("content");
    MHUB_TRY(copy["content"], read_content(content == message.end() ? nullptr : &*content));
    if (copy.contains("reasoning") && !copy.contains("reasoning_content"))
      copy["reasoning_content"] = copy["reasoning"];
    parse_tool_arguments(copy);
    out.push_back(std::move(copy));
  }
  return out;
}

Result<OrderedJson> read_tools(const JsonFields& json) {
  static constexpr std::string_view kName = "tools";
  const OrderedJson* tools = json.find(kName);
  if (tools == nullptr) return OrderedJson(nullptr);
  if (!tools->is_array()) return wrong_type(kName, "must be a list", *tools);
  if (tools->empty()) return OrderedJson(nullptr);
  if (tools->size() > kMaxTools) {
    return bad_value(kName, fmt::format("{} tools given, at most {} are taken", tools->size(), kMaxTools));
  }
  for (const auto& tool : *tools) {
    if (!tool.is_object()) return wrong_type(kName, "must hold objects", tool);
    const OrderedJson* function = JsonFields(tool).find("function");
    if (function == nullptr || !function->is_object()) return bad_value(kName, "every tool needs a function");
    MHUB_TRY(const auto name, JsonFields(*function).string("name"));
    if (!name || name->empty()) return bad_value(kName, "every function needs a name");
  }
  return *tools;
}

Result<OrderedJson> read_template_kwargs(const JsonFields& json) {
  OrderedJson kwargs = OrderedJson::object();
  MHUB_TRY(const auto effort, json.string("reasoning_effort"));
  if (effort) {
    kwargs["reasoning_effort"] = *effort;
    kwargs["enable_thinking"] = *effort != "none";
  }
  static constexpr std::string_view kName = "chat_template_kwargs";
  if (const OrderedJson* given = json.find(kName)) {
    if (!given->is_object()) return wrong_type(kName, "must be an object", *given);
    for (const auto& [key, value] : given->items()) {
      if (key == "chat_template" || key == "tokenize") {
        return bad_value(kName, fmt::format("chat_template_kwargs cannot set {}", key));
      }
      kwargs[key] = value;
    }
  }
  return kwargs;
}

Result<ChatMessages> read_chat(const JsonFields& json) {
  ChatMessages chat;
  MHUB_TRY(chat.messages, read_messages(json.find("messages")));
  MHUB_TRY(chat.tools, read_tools(json));
  if (json.find("chat_template") != nullptr) {
    return bad_value("chat_template", "a chat template in a request is refused; the server has --chat-template");
  }
  MHUB_TRY(chat.kwargs, read_template_kwargs(json));
  if (const OrderedJson* documents = json.find("documents")) {
    if (!documents->is_array()) return wrong_type("documents", "must be a list", *documents);
    if (!documents->empty()) chat.documents = *documents;
  }
  MHUB_TRY(const auto add_prompt, json.boolean("add_generation_prompt"));
  MHUB_TRY(const auto go_on, json.boolean("continue_final_message"));
  chat.add_generation_prompt = add_prompt.value_or(true);
  chat.continue_final_message = go_on.value_or(false);
  if (chat.add_generation_prompt && chat.continue_final_message) {
    return bad_value("continue_final_message",
                     "Cannot set both `continue_final_message` and `add_generation_prompt` to True.");
  }
  return chat;
}

}  // namespace

Result<CompletionRequest> parse_completion_request(const OrderedJson& body, const RequestRules& rules) {
  const JsonFields json(body);
  CompletionRequest request;
  GenerationFields& fields = request.fields;
  if (json.find("suffix") != nullptr) return bad_value("suffix", "suffix is not currently supported");
  if (json.find("prompt_embeds") != nullptr) return bad_value("prompt_embeds", "prompt_embeds are not supported");
  MHUB_CHECK_OK(read_generation_fields(json, rules, fields));
  MHUB_TRY(const auto max_tokens, read_max_tokens(json, "max_tokens", 0));
  fields.max_tokens = max_tokens.value_or(kDefaultCompletionTokens);
  if (*fields.max_tokens == 0 && !fields.echo) return bad_value("max_tokens", "max_tokens must be at least 1, got 0");
  MHUB_TRY(fields.sampling.logprobs, read_logprob_count(json, "logprobs", rules, -1));
  if (fields.echo && fields.sampling.logprobs > fields.sampling.prompt_logprobs) {
    fields.sampling.prompt_logprobs = fields.sampling.logprobs;
  }
  MHUB_CHECK_OK(check_combinations(fields));
  MHUB_TRY(request.prompts, read_prompts(json.find("prompt"), rules.vocab_size));
  return request;
}

Result<ChatRequest> parse_chat_request(const OrderedJson& body, const RequestRules& rules) {
  const JsonFields json(body);
  ChatRequest request;
  GenerationFields& fields = request.fields;
  fields.add_special_tokens = false;
  MHUB_TRY(request.chat, read_chat(json));
  MHUB_CHECK_OK(read_generation_fields(json, rules, fields));
  MHUB_CHECK_OK(read_tool_choice(json, request.chat.tools, request));
  MHUB_TRY(fields.max_tokens, read_max_tokens(json, "max_completion_tokens", 1));
  MHUB_TRY(const auto old_name, read_max_tokens(json, "max_tokens", 1));
  if (!fields.max_tokens) fields.max_tokens = old_name;
  MHUB_TRY(const auto logprobs, json.boolean("logprobs"));
  MHUB_TRY(const int32_t top, read_logprob_count(json, "top_logprobs", rules, 0));
  if (top > 0 && !logprobs.value_or(false)) return bad_value("top_logprobs", "top_logprobs needs logprobs: true");
  if (logprobs.value_or(false)) fields.sampling.logprobs = top;
  MHUB_CHECK_OK(check_combinations(fields));
  return request;
}

Result<TokenizeRequest> parse_tokenize_request(const OrderedJson& body) {
  const JsonFields json(body);
  TokenizeRequest request;
  MHUB_TRY(request.model, json.string("model"));
  MHUB_TRY(const auto special, json.boolean("add_special_tokens"));
  MHUB_TRY(const auto strings, json.boolean("return_token_strs"));
  request.return_token_strs = strings.value_or(false);
  if (json.find("messages") != nullptr) {
    request.add_special_tokens = special.value_or(false);
    MHUB_TRY(request.input, read_chat(json));
    return request;
  }
  MHUB_TRY(auto prompt, json.string("prompt"));
  if (!prompt) {
    return Error{ErrorCode::kMalformedRequest, "1 validation error:\n  body.prompt: field required", "", "prompt"};
  }
  request.add_special_tokens = special.value_or(true);
  request.input = std::move(*prompt);
  return request;
}

Result<DetokenizeRequest> parse_detokenize_request(const OrderedJson& body, int64_t vocab_size) {
  const JsonFields json(body);
  DetokenizeRequest request;
  MHUB_TRY(request.model, json.string("model"));
  const OrderedJson* tokens = json.find("tokens");
  if (tokens == nullptr || !tokens->is_array()) {
    return wrong_type("tokens", "must be a list of token ids", tokens ? *tokens : OrderedJson());
  }
  MHUB_TRY(request.tokens, read_token_ids("tokens", *tokens, vocab_size));
  return request;
}

}  // namespace mhub::http
