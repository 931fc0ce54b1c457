// SPDX-License-Identifier: Apache-2.0
#include "api_context.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <random>

namespace mhub::http {
namespace {

constexpr size_t kMaxRequestId = 128;

bool is_valid_id(const std::string& id) {
  return !id.empty() && id.size() <= kMaxRequestId &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

std::vector<TokenId> end_tokens(const ServedModel& model) {
  auto ids = model.generator->info().eos_token_ids;
  if (const auto eos = model.tokenizer ? model.tokenizer->eos_token() : std::nullopt) {
    if (std::find(ids.begin(), ids.end(), *eos) == ids.end()) ids.push_back(*eos);
  }
  return ids;
}

}  // namespace

ApiContext::ApiContext(HttpConfig the_config, ServedModel the_model, ApiKeys the_keys)
    : config(std::move(the_config)),
      model(std::move(the_model)),
      keys(std::move(the_keys)),
      max_model_len(model.generator->info().max_model_len),
      vocab_size(model.generator->info().vocab_size),
      eos_token_ids(end_tokens(model)),
      prompts(model, max_model_len),
      metrics(config.served_model_names.front(), config.enable_prefix_caching) {}

Result<void> ApiContext::check_model(const std::optional<std::string>& name) const {
  const auto& names = config.served_model_names;
  if (!name || std::find(names.begin(), names.end(), *name) != names.end()) return {};
  return Error{ErrorCode::kModelNotFound,
               fmt::format("The model `{}` does not exist. This server serves `{}`.", printable(*name),
                           fmt::join(names, "`, `")),
               "", "model"};
}

const std::string& ApiContext::model_name(const std::optional<std::string>& asked) const {
  const auto& names = config.served_model_names;
  const auto found = asked ? std::find(names.begin(), names.end(), *asked) : names.begin();
  return found == names.end() ? names.front() : *found;
}

std::string ApiContext::cache_scope(const httpd::Request& request, const std::string& salt) const {
  const auto key = keys.key_of(request);
  return key ? fmt::format("{}/{}", *key, salt) : salt;  // a salt has no slash
}

const std::string* valid_request_id(const httpd::Request& request) {
  const std::string* id = request.header("x-request-id");
  return id != nullptr && is_valid_id(*id) ? id : nullptr;
}

std::string request_base_id(const httpd::Request& request, const std::optional<std::string>& from_body) {
  if (const std::string* id = valid_request_id(request)) return *id;
  if (from_body && is_valid_id(*from_body)) return *from_body;
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

}  // namespace mhub::http
