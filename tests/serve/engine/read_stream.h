// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <iterator>

#include "mhub/engine/generator.h"

namespace mhub::engine::test {

// Everything a stream says, as one delta.
inline TokenDelta read_all(TokenStream& stream, std::chrono::seconds patience = std::chrono::seconds(60)) {
  TokenDelta all;
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!all.finish && std::chrono::steady_clock::now() < deadline) {
    auto delta = stream.next(std::chrono::milliseconds(100));
    if (!delta) continue;
    all.tokens.insert(all.tokens.end(), delta->tokens.begin(), delta->tokens.end());
    std::move(delta->logprobs.begin(), delta->logprobs.end(), std::back_inserter(all.logprobs));
    std::move(delta->prompt_logprobs.begin(), delta->prompt_logprobs.end(), std::back_inserter(all.prompt_logprobs));
    all.cached_tokens += delta->cached_tokens;
    all.finish = delta->finish;
    all.stop_token = delta->stop_token;
    all.error = delta->error;
  }
  EXPECT_TRUE(all.finish) << "the stream did not end";
  return all;
}

template <typename Condition>
bool eventually(Condition condition, std::chrono::milliseconds patience = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

inline GenerationRequest request(std::vector<TokenId> prompt, int32_t max_tokens) {
  GenerationRequest made;
  made.prompt = std::move(prompt);
  made.params.temperature = 0;
  made.params.max_tokens = max_tokens;
  return made;
}

}  // namespace mhub::engine::test
