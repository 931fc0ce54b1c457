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
  request.constraint = fields.constraint;
  request.params.stop_token_ids = fields.stop_token_ids;
  if (!fields.ignore_eos) {
    request.params.stop_token_ids.insert(request.params.stop_token_ids.end(), plan.eos_token_ids.begin(),
                                         plan.eos_token_ids.end());
  }
  const int64_t room = plan.max_model_len - static_cast<int64_t>(prompt.ids.size());
  int64_t limit = std::min(room, fields.max_tokens.value_or(room));
  if (plan.default_max_tokens) limit = std::min(limit, *plan.default_max_tokens);
  request.params.max_tokens = static_cast<int32_t>(std::max<int64_t>(0, limit));
  request.params.min_tokens = std::min(request.params.min_tokens, request.params.max_tokens);
  if (fields.best_of > fields.n) request.params.logprobs = std::max(request.params.logprobs, 0);  // to compare them
  return request;
}

}  // namespace

Result<std::unique_ptr<Generation>> Generation::start(engine::Generator& generator, Metrics& metrics,
                                                      const Plan& plan) {
  const auto best_of = static_cast<size_t>(plan.fields.best_of);
  if (plan.prompts.size() > kMaxSamples / best_of) {
    return Error{ErrorCode::kInvalidRequest,
                 fmt::format("{} prompts with {} samples each are more than the {} that one request may have",
                             plan.prompts.size(), best_of, kMaxSamples),
                 "", "n"};
  }
  std::unique_ptr<Generation> generation(new Generation(generator, metrics, plan));
  metrics.count_request(plan.fields.n);
  while (!generation->all_submitted() && generation->running_.size() < kMaxInFlight) {
    MHUB_CHECK_OK(generation->submit_next());
  }
  return generation;
}

Generation::Generation(engine::Generator& generator, Metrics& metrics, const Plan& plan)
    : generator_(generator),
      metrics_(metrics),
      plan_(plan),
      samples_(static_cast<size_t>(plan.fields.best_of)),
      seed_(plan.fields.seed ? static_cast<uint64_t>(*plan.fields.seed) : random_seed()) {
  for (const Prompt& prompt : plan_.prompts) {
    prompt_tokens_ += static_cast<int64_t>(prompt.ids.size());
    for (size_t sample = 0; sample < samples_; ++sample) {
      choices_.emplace_back(static_cast<int>(choices_.size()), plan_.rules);
    }
  }
}

engine::GenerationRequest Generation::next_request() const {
  auto request = make_request(plan_, plan_.prompts[next_choice_ / samples_]);
  request.params.seed = seed_ + static_cast<uint64_t>(next_choice_ % samples_);
  return request;
}

Result<void> Generation::submit_next() {
  auto request = next_request();
  auto timer = metrics_.start_request(request.prompt.size(), request.params.max_tokens);
  MHUB_TRY(auto stream, generator_.submit(std::move(request)));
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
    // Whatever it was, the request was good, unless its own conditions exclude each other.
    if (error_.code != ErrorCode::kInvalidRequest) error_.code = ErrorCode::kInternal;
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
  while (!running_.empty() || !all_submitted()) {
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
    while (!all_submitted() && running_.size() < kMaxInFlight) {
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
