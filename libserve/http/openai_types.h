// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "mhub/base/json.h"
#include "mhub/base/result.h"
#include "mhub/constraint/spec.h"
#include "mhub/engine/generator.h"
#include "mhub/formats/model_config.h"

// Requests of the OpenAI-compatible routes after parsing: below this header no JSON field name is known, except where
// messages, tools and template variables are passed through to the chat template.
namespace mhub::http {

using engine::TokenId;

// What the checks of a request depend on.
struct RequestRules {
  int64_t vocab_size = 0;
  formats::GenerationDefaults defaults;
  bool priorities = false;    // whether a request may have one other than 0
  int64_t max_logprobs = 20;  // that a position may have; -1 = the whole vocabulary
};

// Fields that both generation routes share.
struct GenerationFields {
  std::optional<std::string> model, request_id;
  int n = 1;
  int best_of = 1;   // samples made for each prompt, of which the n likeliest are the answer
  int priority = 0;  // lower runs earlier
  bool stream = false, include_usage = false, continuous_usage = false;
  model::SamplingParams sampling;     // without seed, stop ids, max_tokens
  std::optional<int64_t> max_tokens;  // as requested
  std::optional<int64_t> seed;
  std::vector<std::string> stop, bad_words;
  std::vector<TokenId> stop_token_ids;
  bool include_stop_str_in_output = false, ignore_eos = false, skip_special_tokens = true;
  bool echo = false;
  bool show_prompt_logprobs = false;  // asked for by name; echo with logprobs needs them too
  bool return_token_ids = false, return_tokens_as_token_ids = false;
  bool add_special_tokens = true;
  std::optional<int64_t> truncate_prompt_tokens;
  bool truncate_left = true;  // keep the last tokens
  std::string cache_salt;
  constraint::Spec constraint;   // the form of the answer, not compiled yet
  std::string constraint_param;  // the field that asked for it
};

using PromptInput = std::variant<std::string, std::vector<TokenId>>;

struct CompletionRequest {
  GenerationFields fields;
  std::vector<PromptInput> prompts;
};

struct ChatMessages {
  OrderedJson messages, tools = nullptr, documents = nullptr;
  OrderedJson kwargs = OrderedJson::object();
  bool add_generation_prompt = true, continue_final_message = false;
};

// The calls that tool_choice makes of an answer: one of the function named, or any of the tools.
struct ForcedCall {
  enum class Kind { kNone, kNamed, kRequired };
  Kind kind = Kind::kNone;
  std::string name;  // kNamed
};

struct ChatRequest {
  GenerationFields fields;
  ChatMessages chat;
  ForcedCall forced_call;
};

struct TokenizeRequest {
  std::optional<std::string> model;
  std::variant<std::string, ChatMessages> input;
  bool add_special_tokens = true, return_token_strs = false;
};

struct DetokenizeRequest {
  std::optional<std::string> model;
  std::vector<TokenId> tokens;
};

// Errors: kMalformedRequest (type), kInvalidRequest (range, combination), kNotImplemented (a feature not built).
Result<CompletionRequest> parse_completion_request(const OrderedJson& body, const RequestRules& rules);
Result<ChatRequest> parse_chat_request(const OrderedJson& body, const RequestRules& rules);
Result<TokenizeRequest> parse_tokenize_request(const OrderedJson& body);
Result<DetokenizeRequest> parse_detokenize_request(const OrderedJson& body, int64_t vocab_size);

}  // namespace mhub::http
