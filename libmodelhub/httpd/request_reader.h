// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "chunked_decoder.h"
#include "mhub/httpd/server.h"
#include "request_head.h"

namespace mhub::httpd {

// Turns the bytes of one connection into requests, one after the other; bytes of the next request wait in the buffer.
// No socket, no clock. Used as: append(), advance() until it asks for more bytes.
class RequestReader {
 public:
  enum class State {
    kHead,          // needs more bytes of a head
    kHeadComplete,  // head() may be judged; then begin_body()
    kBody,          // needs more bytes of a body
    kComplete,      // take()
    kFailed,        // error(); nothing after it can be trusted, the connection must close
  };
  RequestReader(const HeadLimits& limits, size_t max_body_bytes)
      : limits_(limits), max_body_bytes_(max_body_bytes), scanner_(limits) {}

  void append(std::string_view bytes) { buffer_.append(bytes); }
  State advance();
  const RequestHead& head() const { return head_; }
  const Error& error() const { return error_; }
  void begin_body() { state_ = State::kBody; }
  // What is known of the request once its head is complete (no body).
  Request head_request() const;
  // The complete request (without params); the reader goes on with the next one.
  Request take();

  bool idle() const { return state_ == State::kHead && buffer_.empty(); }
  bool in_body() const { return state_ == State::kBody; }
  bool has_unread_body() const { return head_.framing != BodyFraming::kNone; }
  size_t body_bytes() const { return body_.size(); }
  bool waits_for_continue() const { return head_.expect_continue && buffer_.empty() && body_.empty(); }

 private:
  State fail(Error error);
  State read_head();
  State read_body();

  HeadLimits limits_;
  size_t max_body_bytes_;
  HeadScanner scanner_;
  ChunkedDecoder chunks_;
  State state_ = State::kHead;
  std::string buffer_;
  RequestHead head_;
  std::string body_;
  Error error_;
};

}  // namespace mhub::httpd
