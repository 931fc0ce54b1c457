// SPDX-License-Identifier: Apache-2.0
#include "admission.h"

#include <fmt/format.h>

#include <algorithm>

namespace mhub::engine {
namespace {

constexpr int64_t kMaxPromptLogprobs = 8'000'000;  // entries of one answer

Error invalid(std::string message, std::string hint, std::string param) {
  return {ErrorCode::kInvalidRequest, std::move(message), std::move(hint), std::move(param)};
}

}  // namespace

Result<void> check_request(const GenerationRequest& request, int64_t vocab_size, const sched::SchedulerConfig& config) {
  const SamplingParams& params = request.params;
  const auto outside = [&](int64_t token) { return token < 0 || token >= vocab_size; };
  if (params.max_tokens < 0) {
    return invalid(fmt::format("max_tokens is {}", params.max_tokens), "0 or more", "max_tokens");
  }
  const auto bad = std::find_if(request.prompt.begin(), request.prompt.end(), outside);
  if (bad != request.prompt.end()) {
    return invalid(fmt::format("prompt token {} is outside the vocabulary of {}", *bad, vocab_size),
                   "send ids of this model's tokenizer", "prompt");
  }
  for (const auto& [token, bias] : params.logit_bias) {
    if (outside(token)) {
      return invalid(fmt::format("logit_bias names token {}, the vocabulary has {}", token, vocab_size),
                     "send ids of this model's tokenizer", "logit_bias");
    }
  }
  if (std::any_of(params.bad_words.begin(), params.bad_words.end(), [](const auto& word) { return word.empty(); })) {
    return invalid("a bad word has no token", "leave empty words out", "bad_words");
  }
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  MHUB_CHECK_OK(sched::check_fits(config, prompt, params.max_tokens));
  if (params.prompt_logprobs >= 0 && prompt > kMaxPromptLogprobs / (int64_t{params.prompt_logprobs} + 1)) {
    return invalid(fmt::format("{} prompt logprobs at each of {} positions are over the limit of {} in all",
                               params.prompt_logprobs, prompt, kMaxPromptLogprobs),
                   "ask for fewer", "prompt_logprobs");
  }
  return {};
}

Error no_token_texts() {
  return {ErrorCode::kNotImplemented, "structured output is not supported for the tokenizer of this model",
          "its tokens have no text of their own", ""};
}

Error queue_full(int64_t waiting, int64_t max_queue) {
  return {ErrorCode::kOverloaded, fmt::format("{} requests are waiting, the limit is {}", waiting, max_queue),
          "try again in a moment", ""};
}

}  // namespace mhub::engine
