// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <ctime>
#include <string>

#include "api_keys.h"
#include "metrics.h"
#include "mhub/constraint/compile_cache.h"
#include "mhub/http/api_server.h"
#include "mhub/httpd/server.h"
#include "openai_types.h"
#include "prompt_builder.h"

namespace mhub::http {

// What the routes of one server share. Everything but the three atomics is constant after construction or locks itself.
struct ApiContext {
  ApiContext(HttpConfig the_config, ServedModel the_model, ApiKeys the_keys);

  const HttpConfig config;
  const ServedModel model;
  const ApiKeys keys;
  const int64_t max_model_len, vocab_size;
  const std::vector<TokenId> eos_token_ids;  // of model and tokenizer
  const PromptBuilder prompts;
  const std::time_t started = std::time(nullptr);
  Metrics metrics;
  constraint::CompileCache constraints;
  std::atomic<bool> draining{false};  // no new work
  std::atomic<bool> cut{false};       // running work ends with an error
  std::atomic<int> in_flight{0};      // generation requests being answered

  RequestRules rules() const { return {vocab_size, model.defaults, config.priorities, config.max_logprobs}; }
  // Errors: kModelNotFound. Absent = the served model.
  Result<void> check_model(const std::optional<std::string>& name) const;
  const std::string& model_name(const std::optional<std::string>& asked) const;
  // Requests share cached prompt blocks only when they carry the same API key and the same salt: a cache hit shows in
  // the time of the answer, so others could guess prompts.
  std::string cache_scope(const httpd::Request& request, const std::string& salt) const;
};

// Base of a response's id: X-Request-Id, else the body's request_id, else random.
std::string request_base_id(const httpd::Request& request, const std::optional<std::string>& from_body);

// The X-Request-Id of a request when it may be echoed: at most 128 visible ASCII characters.
const std::string* valid_request_id(const httpd::Request& request);

}  // namespace mhub::http
