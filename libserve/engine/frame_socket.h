// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "protocol.h"

namespace mhub::engine {

// One end of the socket between server and worker; owns the descriptor. Any thread sends, one thread receives.
class FrameSocket {
 public:
  explicit FrameSocket(int fd);
  ~FrameSocket();
  FrameSocket(const FrameSocket&) = delete;
  FrameSocket& operator=(const FrameSocket&) = delete;

  // False when the peer is gone, or takes nothing for `kSendPatience` (then the socket is shut: half a frame is out).
  bool send(const Frame& frame);
  bool send_step(const EngineStats& stats, std::span<const RequestDelta> deltas);

  enum class Received { kFrame, kTimeout, kClosed };
  // Waits for the next frame. kClosed: end of stream, or bytes that are no frame (then `error()` says what).
  Received receive(Frame& frame, std::chrono::milliseconds timeout);
  const std::string& error() const { return error_; }

  // Wakes the receiver with kClosed, on both sides.
  void shut_down();

 private:
  static constexpr std::chrono::seconds kSendPatience{5};
  bool flush_locked();
  bool take_frame(Frame& frame, Received& outcome);

  const int fd_;
  std::mutex send_mutex_;
  std::string outgoing_;  // guarded by send_mutex_; keeps its memory
  std::string incoming_;  // of the receiver
  size_t consumed_ = 0;   // bytes of incoming_ that were frames
  std::string error_;
};

}  // namespace mhub::engine
