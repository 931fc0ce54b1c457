// SPDX-License-Identifier: Apache-2.0
#include "http_error.h"
#include "json_fields.h"
#include "routes.h"

namespace mhub::http {
namespace {

Result<httpd::Response> tokenize(const ApiContext& context, const httpd::Request& request) {
  MHUB_TRY(const OrderedJson body, parse_body(request.header("content-type"), request.body));
  MHUB_TRY(const TokenizeRequest asked, parse_tokenize_request(body));
  MHUB_CHECK_OK(context.check_model(asked.model));
  std::vector<TokenId> ids;
  if (const auto* text = std::get_if<std::string>(&asked.input)) {
    MHUB_TRY(ids, context.prompts.tokenize(*text, asked.add_special_tokens));
  } else {
    MHUB_TRY(Prompt prompt, context.prompts.render(std::get<ChatMessages>(asked.input), asked.add_special_tokens));
    ids = std::move(prompt.ids);
  }
  OrderedJson strings = nullptr;
  if (asked.return_token_strs) {
    strings = OrderedJson::array();
    for (const TokenId id : ids) strings.push_back(context.model.tokenizer->token_text(id));
  }
  return json_response({{"count", ids.size()},
                        {"max_model_len", context.max_model_len},
                        {"tokens", ids},
                        {"token_strs", std::move(strings)}});
}

Result<httpd::Response> detokenize(const ApiContext& context, const httpd::Request& request) {
  MHUB_TRY(const OrderedJson body, parse_body(request.header("content-type"), request.body));
  if (!context.model.tokenizer) {
    return Error{ErrorCode::kInvalidRequest, "this server has no tokenizer", "", ""};
  }
  MHUB_TRY(const DetokenizeRequest asked, parse_detokenize_request(body, context.model.tokenizer->vocab_size()));
  MHUB_CHECK_OK(context.check_model(asked.model));
  return json_response({{"prompt", context.model.tokenizer->decode(asked.tokens, false)}});
}

using TokenizerRoute = Result<httpd::Response> (*)(const ApiContext&, const httpd::Request&);

httpd::Handler handler(const ApiContext& context, TokenizerRoute route) {
  return [&context, route](const httpd::Request& request, httpd::BodyWriter&) {
    auto response = route(context, request);
    return response ? std::move(*response) : error_response(response.error());
  };
}

}  // namespace

std::vector<httpd::Route> tokenizer_routes(ApiContext& context) {
  return {{"POST", "/tokenize", false, handler(context, tokenize)},
          {"POST", "/detokenize", false, handler(context, detokenize)}};
}

}  // namespace mhub::http
