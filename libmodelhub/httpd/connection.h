// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "channel.h"
#include "request_reader.h"
#include "response_writer.h"
#include "router.h"

namespace mhub::httpd {

using Clock = std::chrono::steady_clock;

// One client connection. Owned either by the event loop (reading, flushing, lingering) or by the worker that answers
// its request; it travels between them by move, so no member needs a lock.
struct Connection {
  enum class Phase {
    kReading,    // waits for a request or the rest of one
    kFlushing,   // the loop sends `out`
    kLingering,  // our side is shut down; unread bytes are dropped so that the peer still sees the answer
  };
  Connection(std::unique_ptr<Channel> bytes, std::string address, const HeadLimits& limits, size_t max_body_bytes,
             uint64_t number)
      : channel(std::move(bytes)), remote_address(std::move(address)), reader(limits, max_body_bytes), id(number) {}

  int fd() const { return channel->fd(); }
  // What is known of the request that is being read (no body).
  Request head_request() const {
    Request request = reader.head_request();
    request.remote_address = remote_address;
    return request;
  }

  std::unique_ptr<Channel> channel;
  std::string remote_address;
  RequestReader reader;
  uint64_t id;
  Phase phase = Phase::kReading;
  std::string out;
  size_t out_sent = 0;
  bool close_after_flush = false;
  bool broken = false;       // a write failed: only to be dropped
  bool peer_closed = false;  // end of file was read
  int requests = 0;          // handed to workers so far
  size_t lingered_bytes = 0;
  Router::Match match;                     // of the request being read, once its head is complete
  Clock::time_point since = Clock::now();  // accept, last answer or first byte of the request being read
  Clock::time_point body_since{};
  Clock::time_point deadline = Clock::time_point::max();
};

// A request on its way to a worker and, with `keep_alive`, back.
struct Exchange {
  std::unique_ptr<Connection> connection;
  const Route* route = nullptr;
  Request request;
  ResponseFraming framing;
};

}  // namespace mhub::httpd
