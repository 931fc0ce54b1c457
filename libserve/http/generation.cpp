// SPDX-License-Identifier: Apache-2.0
#include "generation.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

namespace mhub::http {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kHangUpPoll(50);  // how often a waiting request looks at its client
constexpr milliseconds kSharedPoll(2);   // with several streams, how long one may keep the others waiting

uint64_t random_seed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

engine::GenerationRequest make_request(const Generation::Plan& plan, const Prompt& prompt) {
  const GenerationFields& fields = plan.fields;
  engine::GenerationRequest request;
  request.prompt = prompt.ids;
  request.params = fields.sampling;
  request.cache_scope = plan.cache_scope;
  request.priority = fields.priority;
  request.params.stop_token_ids = fields.stop_token_ids;
  if (!fields.ignore_eos) {
    request.params.stop_token_ids.insert(request.params.stop_token_ids.end(), plan.eos_token_ids.begin(),
                                         plan.eos_token_ids.end());
  }
  const int64_t room = plan.max_model_len - static_cast<int64_t>(prompt.ids.size());
  const int64_t wanted = fields.max_tokens.value_or(plan.default_max_tokens.value_or(room));
  request.params.max_tokens = static_cast<int32_t>(std::max<int64_t>(0, std::min(room, wanted)));
  request.params.min_tokens = std::min(request.params.min_tokens, request.params.max_tokens);
  return request;
}

}  // namespace

Result<std::unique_ptr<Generation>> Generation::start(engine::Generator& generator, Metrics& metrics,
                                                      const Plan& plan) {
  std::unique_ptr<Generation> generation(new Generation(generator, metrics));
  generation->samples_ = static_cast<size_t>(plan.fields.n);
  const uint64_t seed = plan.fields.seed ? static_cast<uint64_t>(*plan.fields.seed) : random_seed();
  for (const Prompt& prompt : plan.prompts) {
    generation->prompt_tokens_ += static_cast<int64_t>(prompt.ids.size());
    for (int sample = 0; sample < plan.fields.n; ++sample) {
      auto request = make_request(plan, prompt);
      request.params.seed = seed + static_cast<uint64_t>(sample);
      generation->choices_.emplace_back(static_cast<int>(generation->choices_.size()), plan.rules);
      generation->pending_.push_back(std::move(request));
    }
  }
  metrics.count_request(plan.fields.n);
  while (!generation->pending_.empty() && generation->running_.size() < kMaxInFlight) {
    MHUB_CHECK_OK(generation->submit_next());
  }
  return generation;
}

Result<void> Generation::submit_next() {
  auto timer = metrics_.start_request(pending_.front().prompt.size(), pending_.front().params.max_tokens);
  MHUB_TRY(auto stream, generator_.submit(pending_.front()));
  pending_.pop_front();
  running_.push_back({next_choice_++, std::move(stream), std::move(timer)});
  return {};
}

bool Generation::take(Running& running, engine::TokenDelta delta, const std::function<bool(ChoiceDelta&&)>& sink,
                      RunEnd& end) {
  Choice& choice = choices_[running.choice];
  running.timer.on_tokens(delta.tokens.size());
  if (delta.finish == engine::FinishReason::kError) {
    error_ = delta.error.value_or(Error{ErrorCode::kInternal, "the engine failed", "", ""});
    spdlog::error("http: generation failed error={}", error_.one_line());
    error_.code = ErrorCode::kInternal;  // whatever it was, the request was good
    running.timer.finish("error");
    end = RunEnd::kFailed;
    return false;
  }
  if (running.choice % samples_ == 0) cached_tokens_ += delta.cached_tokens;  // a prompt counts once
  ChoiceDelta out = choice.consume(std::move(delta));
  if (choice.finished()) running.timer.finish(*out.finish_reason);
  if (!sink(std::move(out))) {
    end = RunEnd::kPeerGone;
    return false;
  }
  return true;
}

RunEnd Generation::run(const httpd::BodyWriter& peer, const std::atomic<bool>& cut,
                       const std::function<bool(ChoiceDelta&&)>& sink) {
  RunEnd end = RunEnd::kDone;
  size_t turn = 0;
  while (!running_.empty() || !pending_.empty()) {
    if (peer.peer_gone()) return RunEnd::kPeerGone;
    if (cut) {
      error_ = {ErrorCode::kUnavailable, "the server is shutting down", "", ""};
      return RunEnd::kFailed;
    }
    bool moved = false;
    for (auto& running : running_) {
      auto delta = running.stream->next(milliseconds(0));
      if (!delta) continue;
      moved = true;
      if (!take(running, std::move(*delta), sink, end)) return end;
    }
    if (!moved && !running_.empty()) {
      Running& waited = running_[turn++ % running_.size()];
      if (auto delta = waited.stream->next(running_.size() == 1 ? kHangUpPoll : kSharedPoll)) {
        if (!take(waited, std::move(*delta), sink, end)) return end;
      }
    }
    std::erase_if(running_, [&](const Running& r) { return choices_[r.choice].finished(); });
    while (!pending_.empty() && running_.size() < kMaxInFlight) {
      const auto submitted = submit_next();
      if (submitted) continue;
      if (submitted.error().code == ErrorCode::kOverloaded && !running_.empty()) break;  // again after the next end
      error_ = submitted.error();
      return RunEnd::kFailed;
    }
  }
  return RunEnd::kDone;
}

Usage Generation::usage() const {
  Usage usage{prompt_tokens_, 0, cached_tokens_};
  for (const auto& choice : choices_) usage.completion_tokens += choice.num_tokens();
  return usage;
}

}  // namespace mhub::http
