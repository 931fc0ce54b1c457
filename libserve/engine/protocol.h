// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <variant>

#include "mhub/engine/engine.h"
#include "request_delta.h"

namespace mhub::engine {

// What travels between server and engine worker. A frame on the wire is a u32 payload length and the payload: a u8 type
// (the index in Frame) and the fields in order, little-endian, strings and lists led by a u32 count.
constexpr uint32_t kProtocolVersion = 6;
constexpr uint32_t kMaxFrameBytes = 256u << 20;

struct HelloFrame {  // server -> worker, first
  uint32_t version = kProtocolVersion;
  EngineConfig config;
};
struct ReadyFrame {  // worker -> server: the model is loaded
  ModelInfo info;
  EngineStats stats;
};
struct FaultFrame {  // worker -> server, last: it could not start, or a step failed
  Error error;
};
struct SubmitFrame {
  RequestId id = 0;
  GenerationRequest request;
};
struct CancelFrame {
  RequestId id = 0;
};
struct StepFrame {  // worker -> server: one a step, even when no request has anything to hear
  EngineStats stats;
  std::vector<RequestDelta> deltas;
};
struct StatsFrame {  // worker -> server: at least every kStatsEvery
  EngineStats stats;
};
struct ShutdownFrame {};  // server -> worker
struct LoadingFrame {};   // worker -> server: at least every kStatsEvery until ReadyFrame or FaultFrame

using Frame = std::variant<HelloFrame, ReadyFrame, FaultFrame, SubmitFrame, CancelFrame, StepFrame, StatsFrame,
                           ShutdownFrame, LoadingFrame>;

// Appends the frame with its length to `out`.
void append_frame(const Frame& frame, std::string& out);
// The same as a StepFrame, without making one.
void append_step_frame(const EngineStats& stats, std::span<const RequestDelta> deltas, std::string& out);
// A payload (without its length). Errors (kInternal): unknown type, cut short, trailing bytes, impossible values.
Result<Frame> decode_frame(std::span<const std::byte> payload);

}  // namespace mhub::engine
