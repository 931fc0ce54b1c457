// SPDX-License-Identifier: Apache-2.0
#include "logprobs_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

namespace mhub::http {
namespace {

// -inf and NaN are no JSON; clients know this floor.
double shown(float logprob) {
  return std::isfinite(logprob) ? std::max<double>(logprob, -9999.0) : -9999.0;
}

OrderedJson bytes_of(const std::string& text) {
  OrderedJson bytes = OrderedJson::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

// Adds a member whose name is known to be new: looking it up would make whole vocabularies quadratic.
void add_new(OrderedJson& object, std::string name, OrderedJson value) {
  object.get_ref<OrderedJson::object_t&>().emplace_back(std::move(name), std::move(value));
}

}  // namespace

int64_t count_characters(std::string_view utf8) {
  return std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

std::string LogprobsJson::token_string(TokenId id) const {
  if (tokens_as_ids_) return fmt::format("token_id:{}", id);
  const TokenId ids[] = {id};
  return tokenizer_->decode(ids, false);
}

OrderedJson LogprobsJson::chat_entry(const PositionLogprobs& position) const {
  const auto entry = [&](const model::TokenLogprob& token) {
    const std::string text = token_string(token.token);
    return OrderedJson{{"token", text}, {"logprob", shown(token.logprob)}, {"bytes", bytes_of(text)}};
  };
  OrderedJson out = entry(position.chosen);
  OrderedJson top = OrderedJson::array();
  for (const auto& token : position.top) top.push_back(entry(token));
  out["top_logprobs"] = std::move(top);
  return out;
}

OrderedJson LogprobsJson::prompt_entries(const std::vector<PositionLogprobs>& positions) const {
  OrderedJson out = OrderedJson::array({nullptr});
  for (const auto& position : positions) {
    OrderedJson entry = OrderedJson::object();
    const auto add = [&](const model::TokenLogprob& token) {
      add_new(entry, std::to_string(token.token),
              {{"logprob", shown(token.logprob)}, {"rank", token.rank}, {"decoded_token", token_string(token.token)}});
    };
    add(position.chosen);
    for (const auto& token : position.top) {
      if (token.token != position.chosen.token) add(token);
    }
    out.push_back(std::move(entry));
  }
  return out;
}

void LogprobsJson::append(TokenId token, const PositionLogprobs* position, int32_t top, int64_t& offset,
                          Lists& to) const {
  const std::string text = token_string(token);
  to.tokens.push_back(text);
  to.text_offset.push_back(offset);
  offset += count_characters(text);
  if (position == nullptr) {
    to.token_logprobs.push_back(nullptr);
    to.top_logprobs.push_back(nullptr);
    return;
  }
  to.token_logprobs.push_back(shown(position->chosen.logprob));
  OrderedJson likeliest = OrderedJson::object();
  std::unordered_set<std::string> names = {text};
  add_new(likeliest, text, shown(position->chosen.logprob));
  for (size_t i = 0; i < position->top.size() && i < static_cast<size_t>(top); ++i) {
    const auto& other = position->top[i];
    std::string name = token_string(other.token);
    if (names.insert(name).second) add_new(likeliest, std::move(name), shown(other.logprob));
  }
  to.top_logprobs.push_back(std::move(likeliest));
}

OrderedJson LogprobsJson::Lists::json() const {
  return {{"text_offset", text_offset},
          {"token_logprobs", token_logprobs},
          {"tokens", tokens},
          {"top_logprobs", top_logprobs}};
}

}  // namespace mhub::http
