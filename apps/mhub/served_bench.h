// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "mhub/base/result.h"

namespace mhub::apps {

// What is asked of a running server: streamed completions of random token ids, each of exactly the same size.
struct ServedLoad {
  std::string url;      // http://HOST:PORT; a numeric host or localhost
  std::string model;    // empty = the first that the server lists
  std::string api_key;  // empty = none
  int64_t requests = 512, concurrency = 512;
  int64_t prompt_tokens = 512, output_tokens = 256;
  int64_t vocab = 32000;  // prompt ids are below it
  uint64_t seed = 0;
};

struct Percentiles {
  double p50 = 0, p90 = 0, p99 = 0;  // seconds
};

struct ServedTimes {
  std::string model;
  double seconds = 0;  // first request sent to last byte received
  int64_t output_tokens = 0, failed = 0;
  Percentiles first_token, between_tokens;
};

// Sends the load over as many connections as `concurrency`, on one thread. kNetwork when the server cannot be reached.
Result<ServedTimes> measure_served(const ServedLoad& load, std::stop_token stop);

}  // namespace mhub::apps
