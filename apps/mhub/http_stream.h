// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mhub::apps {

// Reads one HTTP/1.1 response with a chunked or sized body as its bytes arrive, and cuts an event stream into events.
class HttpStream {
 public:
  // Calls on_event(data) for each `data:` line of the body.
  template <typename OnEvent>
  void feed(std::string_view bytes, OnEvent on_event) {
    pending_ += bytes;
    while (step()) {
      for (size_t end; (end = body_.find('\n')) != std::string::npos; body_.erase(0, end + 1)) {
        std::string_view line(body_.data(), end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.starts_with("data: ")) on_event(line.substr(6));
      }
    }
  }
  bool done() const { return state_ == State::kDone; }
  bool bad() const { return state_ == State::kBad; }
  int status() const { return status_; }
  const std::string& rest() const { return body_; }  // what follows the last line

 private:
  enum class State { kHead, kChunkSize, kChunk, kChunkEnd, kTrailer, kBody, kDone, kBad };
  bool step();  // takes one piece of pending_; false: more bytes are needed
  bool read_head(std::string_view head);

  State state_ = State::kHead;
  int status_ = 0;
  uint64_t left_ = 0;  // bytes of the chunk or body
  std::string pending_, body_;
};

}  // namespace mhub::apps
