// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "byte_sink.h"
#include "mhub/httpd/server.h"

namespace mhub::httpd {

constexpr int kMaxRequestsPerConnection = 1000;

struct ResponseFraming {
  bool head_only = false;  // HEAD
  bool http_1_0 = false;   // no chunked coding
  bool keep_alive = true;
  int idle_timeout_seconds = 30;
};

// Writes one response; true when the connection may carry another request.
bool write_response(const Response& response, const ResponseFraming& framing, ByteSink& sink);

}  // namespace mhub::httpd
