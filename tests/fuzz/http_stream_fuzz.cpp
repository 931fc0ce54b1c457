// SPDX-License-Identifier: Apache-2.0
// Input: the bytes of a response. Read whole and byte by byte they must give the same.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http_stream.h"

namespace {

struct Outcome {
  std::string events;
  bool done = false;
  int status = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome read(std::string_view bytes, size_t piece) {
  mhub::apps::HttpStream stream;
  Outcome outcome;
  for (size_t at = 0; at < bytes.size(); at += piece)
    stream.feed(bytes.substr(at, piece), [&](std::string_view event) { (outcome.events += event) += '\n'; });
  outcome.done = stream.done();
  outcome.status = stream.status();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (size > 0 && read(bytes, size) != read(bytes, 1)) std::abort();
  return 0;
}
