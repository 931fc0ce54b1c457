// SPDX-License-Identifier: Apache-2.0
#include <ctime>

#include "answer.h"
#include "http_error.h"
#include "json_fields.h"
#include "routes.h"

namespace mhub::http {
namespace {

// Each word bare and behind a space, as it stands at the start and in the middle of a text.
Result<std::vector<std::vector<TokenId>>> bad_word_tokens(const ApiContext& context,
                                                          const std::vector<std::string>& words) {
  std::vector<std::vector<TokenId>> out;
  if (words.empty()) return out;
  if (!context.model.tokenizer) return bad_value("bad_words", "bad_words need a model with a tokenizer");
  for (const std::string& word : words) {
    const std::string bare = word.substr(word.find_first_not_of(' '));
    for (const std::string& text : {bare, " " + bare}) {
      auto ids = context.model.tokenizer->encode(text, false, text::SpecialTokens::kAsText);
      if (!ids.empty() && (out.empty() || out.back() != ids)) out.push_back(std::move(ids));
    }
  }
  return out;
}

Generation::Plan make_plan(const ApiContext& context, const httpd::Request& request, const GenerationFields& fields,
                           std::vector<Prompt> prompts) {
  Generation::Plan plan;
  plan.prompts = std::move(prompts);
  plan.fields = fields;
  plan.rules = std::make_shared<TextRules>(TextRules{context.model.tokenizer, fields.stop,
                                                     fields.include_stop_str_in_output, fields.skip_special_tokens,
                                                     fields.sampling.min_tokens, context.eos_token_ids});
  plan.eos_token_ids = context.eos_token_ids;
  plan.cache_scope = context.cache_scope(request, fields.cache_salt);
  plan.max_model_len = context.max_model_len;
  plan.default_max_tokens = context.model.defaults.max_new_tokens;
  return plan;
}

FormatOptions make_format_options(const ApiContext& context, const httpd::Request& request, std::string_view id_prefix,
                                  const Generation::Plan& plan) {
  const std::string id = std::string(id_prefix) + request_base_id(request, plan.fields.request_id);
  return {{id, context.model_name(plan.fields.model), std::time(nullptr)},
          plan.prompts,
          plan.fields,
          context.model.tokenizer};
}

// Compiles the form, so that one that cannot be kept is refused before anything is computed.
Result<void> check_constraint(ApiContext& context, const GenerationFields& fields) {
  if (fields.constraint.kind == constraint::Spec::Kind::kNone) return {};
  if (!context.model.structured_output) {
    return not_built(fields.constraint_param, "structured output with the tokenizer of this model");
  }
  const auto compiled = context.constraints.compile(fields.constraint);
  if (compiled) return {};
  Error error = compiled.error();
  error.param = fields.constraint_param;
  return error;
}

// The model is judged first: a request for another model must not be answered with a complaint about its fields.
Result<void> check_model_field(const ApiContext& context, const OrderedJson& body) {
  MHUB_TRY(const auto model, JsonFields(body).string("model"));
  return context.check_model(model);
}

Result<httpd::Response> complete(ApiContext& context, const httpd::Request& request, const httpd::BodyWriter& peer) {
  MHUB_TRY(const OrderedJson body, parse_body(request.header("content-type"), request.body));
  MHUB_CHECK_OK(check_model_field(context, body));
  MHUB_TRY(const CompletionRequest asked, parse_completion_request(body, context.rules()));
  MHUB_CHECK_OK(check_constraint(context, asked.fields));
  std::vector<Prompt> prompts;
  for (const PromptInput& input : asked.prompts) {
    MHUB_TRY(Prompt prompt, context.prompts.from_input(input, asked.fields));
    prompts.push_back(std::move(prompt));
  }
  auto plan = make_plan(context, request, asked.fields, std::move(prompts));
  MHUB_TRY(plan.fields.sampling.bad_words, bad_word_tokens(context, asked.fields.bad_words));
  return answer(context, plan, make_completion_format(make_format_options(context, request, "cmpl-", plan)), peer);
}

Result<httpd::Response> chat(ApiContext& context, const httpd::Request& request, const httpd::BodyWriter& peer) {
  MHUB_TRY(const OrderedJson body, parse_body(request.header("content-type"), request.body));
  MHUB_CHECK_OK(check_model_field(context, body));
  MHUB_TRY(const ChatRequest asked, parse_chat_request(body, context.rules()));
  MHUB_CHECK_OK(check_constraint(context, asked.fields));
  MHUB_TRY(Prompt prompt, context.prompts.from_chat(asked.chat, asked.fields));
  const OrderedJson& last = asked.chat.messages.back();
  const std::string last_role = last["role"].get<std::string>();
  const std::string role = asked.chat.add_generation_prompt ? "assistant" : last_role;
  const std::string echo = asked.fields.echo && last_role == role ? last["content"].get<std::string>() : "";
  auto plan = make_plan(context, request, asked.fields, {std::move(prompt)});
  MHUB_TRY(plan.fields.sampling.bad_words, bad_word_tokens(context, asked.fields.bad_words));
  return answer(
      context, plan,
      make_chat_format(make_format_options(context, request, "chatcmpl-", plan), role, echo, asked.forced_call), peer);
}

using GenerationRoute = Result<httpd::Response> (*)(ApiContext&, const httpd::Request&, const httpd::BodyWriter&);

httpd::Handler handler(ApiContext& context, GenerationRoute route) {
  return [&context, route](const httpd::Request& request, httpd::BodyWriter& peer) {
    auto response = route(context, request, peer);
    return response ? std::move(*response) : error_response(response.error());
  };
}

}  // namespace

std::vector<httpd::Route> generation_routes(ApiContext& context) {
  std::vector<httpd::Route> routes;
  for (const char* prefix : {"/v1", ""}) {
    routes.push_back({"POST", std::string(prefix) + "/completions", false, handler(context, complete)});
    routes.push_back({"POST", std::string(prefix) + "/chat/completions", false, handler(context, chat)});
  }
  return routes;
}

}  // namespace mhub::http
