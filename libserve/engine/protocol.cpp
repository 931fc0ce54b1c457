// SPDX-License-Identifier: Apache-2.0
#include "protocol.h"

#include <fmt/format.h>

#include "mhub/base/check.h"
#include "wire.h"

namespace mhub {

// The field lists: the order on the wire. A change of any of them is a new kProtocolVersion.
template <typename Wire>
void fields(Wire& wire, engine::Same<Error> auto& error) {
  wire(error.code, error.message, error.hint, error.param);
}

namespace model {

template <typename Wire>
void fields(Wire& wire, engine::Same<SamplingParams> auto& params) {
  wire(params.temperature, params.top_p, params.top_k, params.min_p, params.typical_p, params.presence_penalty,
       params.frequency_penalty, params.repetition_penalty, params.penalty_window, params.logit_bias,
       params.allowed_token_ids, params.bad_words, params.seed, params.logprobs, params.logprob_token_ids,
       params.prompt_logprobs, params.min_tokens, params.max_tokens, params.stop_token_ids);
}

template <typename Wire>
void fields(Wire& wire, engine::Same<TokenLogprob> auto& logprob) {
  wire(logprob.token, logprob.logprob, logprob.rank);
}

template <typename Wire>
void fields(Wire& wire, engine::Same<PositionLogprobs> auto& position) {
  wire(position.chosen, position.top);
}

}  // namespace model

namespace constraint {

template <typename Wire>
void fields(Wire& wire, engine::Same<Spec> auto& spec) {
  wire(spec.kind, spec.text, spec.any_whitespace, spec.forbid_additional, spec.whitespace_pattern);
}

template <typename Wire>
void fields(Wire& wire, engine::Same<TokenTexts> auto& texts) {
  wire(texts.bytes, texts.ends);
}

}  // namespace constraint

namespace engine {

template <typename Wire>
void fields(Wire& wire, Same<EngineConfig> auto& config) {
  wire(config.model, config.device, config.dtype, config.load_format, config.max_model_len, config.max_num_seqs,
       config.max_num_batched_tokens, config.block_size, config.enable_prefix_caching, config.gpu_memory_utilization,
       config.kv_cache_memory_bytes, config.seed, config.max_queue, config.num_threads, config.backend_path,
       config.sampled_vocab, config.scheduling_policy, config.token_texts, config.first_token_texts,
       config.batch_invariant);
}

template <typename Wire>
void fields(Wire& wire, Same<ModelInfo> auto& info) {
  wire(info.architecture, info.vocab_size, info.max_model_len, info.weights_bytes, info.kv_bytes, info.workspace_bytes,
       info.resident_bytes, info.device, info.kv_dtype, info.compute, info.eos_token_ids, info.notices,
       info.kv_windows);
}

template <typename Wire>
void fields(Wire& wire, Same<EngineStats> auto& stats) {
  wire(stats.running, stats.waiting, stats.num_blocks, stats.blocks_held, stats.block_size, stats.preemptions,
       stats.prefix_queries_tokens, stats.prefix_hit_tokens, stats.prompt_tokens, stats.generation_tokens, stats.steps,
       stats.last_step_age_seconds);
}

template <typename Wire>
void fields(Wire& wire, Same<GenerationRequest> auto& request) {
  wire(request.prompt, request.params, request.priority, request.cache_scope, request.constraint);
}

template <typename Wire>
void fields(Wire& wire, Same<TokenDelta> auto& delta) {
  wire(delta.tokens, delta.logprobs, delta.prompt_logprobs, delta.finish, delta.stop_token, delta.error,
       delta.cached_tokens);
}

template <typename Wire>
void fields(Wire& wire, Same<RequestDelta> auto& delta) {
  wire(delta.id, delta.delta);
}

template <typename Wire>
void fields(Wire& wire, Same<HelloFrame> auto& frame) {
  wire(frame.version, frame.config);
}
template <typename Wire>
void fields(Wire& wire, Same<ReadyFrame> auto& frame) {
  wire(frame.info, frame.stats);
}
template <typename Wire>
void fields(Wire& wire, Same<FaultFrame> auto& frame) {
  wire(frame.error);
}
template <typename Wire>
void fields(Wire& wire, Same<SubmitFrame> auto& frame) {
  wire(frame.id, frame.request);
}
template <typename Wire>
void fields(Wire& wire, Same<CancelFrame> auto& frame) {
  wire(frame.id);
}
template <typename Wire>
void fields(Wire& wire, Same<StepFrame> auto& frame) {
  wire(frame.stats, frame.deltas);
}
template <typename Wire>
void fields(Wire& wire, Same<StatsFrame> auto& frame) {
  wire(frame.stats);
}
template <typename Wire>
void fields(Wire&, Same<ShutdownFrame> auto&) {}
template <typename Wire>
void fields(Wire&, Same<LoadingFrame> auto&) {}

namespace {

template <size_t I>
constexpr bool is_step = std::is_same_v<std::variant_alternative_t<I, Frame>, StepFrame>;

// Writes length, type and what `write` puts behind them.
template <typename Write>
void append(size_t type, std::string& out, Write write) {
  const size_t start = out.size();
  WireWriter wire(out);
  wire(uint32_t{0}, static_cast<uint8_t>(type));
  write(wire);
  const size_t payload = out.size() - start - sizeof(uint32_t);
  MHUB_CHECK(payload <= kMaxFrameBytes);
  store_le(out.data() + start, static_cast<uint32_t>(payload));
}

template <size_t... I>
bool read_alternative(size_t type, Frame& frame, WireReader& wire, std::index_sequence<I...>) {
  return ((type == I && (wire(frame.emplace<I>()), true)) || ...);
}

bool valid(const Error& error) {
  return error.code >= ErrorCode::kInternal && error.code <= ErrorCode::kHeaderTooLarge;
}

bool valid(const Frame& frame) {
  if (const auto* fault = std::get_if<FaultFrame>(&frame)) return valid(fault->error);
  const auto* step = std::get_if<StepFrame>(&frame);
  if (!step) return true;
  for (const auto& [id, delta] : step->deltas) {
    if (delta.finish && (*delta.finish < FinishReason::kStop || *delta.finish > FinishReason::kError)) return false;
    if (delta.error && !valid(*delta.error)) return false;
  }
  return true;
}

}  // namespace

void append_frame(const Frame& frame, std::string& out) {
  std::visit([&](const auto& alternative) { append(frame.index(), out, [&](WireWriter& wire) { wire(alternative); }); },
             frame);
}

void append_step_frame(const EngineStats& stats, std::span<const RequestDelta> deltas, std::string& out) {
  static_assert(is_step<5>);
  append(5, out, [&](WireWriter& wire) {
    wire(stats);
    wire.put_list(deltas);
  });
}

Result<Frame> decode_frame(std::span<const std::byte> payload) {
  const auto malformed = [&](const char* what) {
    return Error{ErrorCode::kInternal, fmt::format("engine protocol: a frame of {} bytes {}", payload.size(), what), "",
                 ""};
  };
  if (payload.empty()) return malformed("is empty");
  const auto type = static_cast<size_t>(payload[0]);
  WireReader wire(payload.subspan(1));
  Frame frame;
  if (!read_alternative(type, frame, wire, std::make_index_sequence<std::variant_size_v<Frame>>())) {
    return malformed("has an unknown type");
  }
  if (!wire.ok()) return malformed("is cut short");
  if (!wire.at_end()) return malformed("has more bytes than its fields");
  if (!valid(frame)) return malformed("has an impossible value");
  return frame;
}

}  // namespace engine
}  // namespace mhub
