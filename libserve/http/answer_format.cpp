// SPDX-License-Identifier: Apache-2.0
#include "answer_format.h"

namespace mhub::http {

OrderedJson usage_json(const Usage& usage) {
  OrderedJson out = {{"prompt_tokens", usage.prompt_tokens},
                     {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
                     {"completion_tokens", usage.completion_tokens},
                     {"prompt_tokens_details", nullptr}};
  if (usage.cached_tokens > 0) out["prompt_tokens_details"] = {{"cached_tokens", usage.cached_tokens}};
  return out;
}

OrderedJson stop_reason_json(const StopReason& reason) {
  if (const auto* id = std::get_if<TokenId>(&reason)) return *id;
  if (const auto* text = std::get_if<std::string>(&reason)) return *text;
  return nullptr;
}

}  // namespace mhub::http
