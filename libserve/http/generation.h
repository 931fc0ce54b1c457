// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "choice.h"
#include "metrics.h"
#include "mhub/engine/generator.h"
#include "mhub/httpd/server.h"
#include "prompt_builder.h"

namespace mhub::http {

struct Usage {
  int64_t prompt_tokens = 0, completion_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompts, from the prefix cache
};

enum class RunEnd { kDone, kPeerGone, kFailed };

// All samples of one request (prompts x best_of) on their way through the engine; the index of a delta is prompt index
// * best_of + sample. At most kMaxInFlight are with the engine at a time. Destroying it cancels what still runs.
class Generation {
 public:
  static constexpr size_t kMaxInFlight = 64;
  static constexpr size_t kMaxSamples = 16384;  // of one request
  struct Plan {
    std::vector<Prompt> prompts;
    GenerationFields fields;
    std::shared_ptr<const TextRules> rules;
    std::vector<TokenId> eos_token_ids;
    std::string cache_scope;  // prompts share cached blocks only within it
    int64_t max_model_len = 0;
    std::optional<int64_t> default_max_tokens;  // of the model, which no request exceeds
  };
  // Submits the first choices, so that a refusal still gets its own status. `generator` and `metrics` outlive this.
  static Result<std::unique_ptr<Generation>> start(engine::Generator& generator, Metrics& metrics, const Plan& plan);

  // Runs to the end. `sink` gets every delta, in the order of each choice, and returns false when its reader is gone.
  // `cut` ends the run with an error (the server stops).
  RunEnd run(const httpd::BodyWriter& peer, const std::atomic<bool>& cut,
             const std::function<bool(ChoiceDelta&&)>& sink);

  const Error& error() const { return error_; }  // after kFailed
  Usage usage() const;

 private:
  struct Running {
    size_t choice;
    std::unique_ptr<engine::TokenStream> stream;
    Metrics::RequestTimer timer;
  };
  Generation(engine::Generator& generator, Metrics& metrics, const Plan& plan);
  bool all_submitted() const { return next_choice_ == choices_.size(); }
  engine::GenerationRequest next_request() const;
  Result<void> submit_next();
  bool take(Running& running, engine::TokenDelta delta, const std::function<bool(ChoiceDelta&&)>& sink, RunEnd& end);

  engine::Generator& generator_;
  Metrics& metrics_;
  const Plan plan_;
  std::vector<Choice> choices_;
  size_t next_choice_ = 0;  // the first that is not with the engine yet
  std::vector<Running> running_;
  int64_t prompt_tokens_ = 0, cached_tokens_ = 0;
  const size_t samples_;  // of each prompt
  const uint64_t seed_;
  Error error_;
};

}  // namespace mhub::http
