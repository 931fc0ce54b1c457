// SPDX-License-Identifier: Apache-2.0
#include "token_channel.h"

#include <iterator>
#include <utility>

namespace mhub::engine {
namespace {

template <typename T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void merge(TokenDelta& pending, TokenDelta&& delta) {
  append(pending.tokens, std::move(delta.tokens));
  append(pending.logprobs, std::move(delta.logprobs));
  append(pending.prompt_logprobs, std::move(delta.prompt_logprobs));
  pending.finish = delta.finish;
  pending.stop_token = delta.stop_token;
  pending.error = std::move(delta.error);
  if (delta.cached_tokens > 0) pending.cached_tokens = delta.cached_tokens;
}

}  // namespace

void TokenChannel::push(TokenDelta delta) {
  {
    std::lock_guard lock(mutex_);
    if (finished_) return;
    finished_ = delta.finish.has_value();
    if (pending_) {
      merge(*pending_, std::move(delta));
    } else {
      pending_ = std::move(delta);
    }
  }
  arrived_.notify_one();
}

std::optional<TokenDelta> TokenChannel::pop(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  if (!pending_ && !finished_) arrived_.wait_for(lock, timeout, [&] { return pending_.has_value(); });
  return std::exchange(pending_, std::nullopt);
}

bool TokenChannel::finished() const {
  std::lock_guard lock(mutex_);
  return finished_;
}

}  // namespace mhub::engine
