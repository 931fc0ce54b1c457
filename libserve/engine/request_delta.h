// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mhub/engine/generator.h"

namespace mhub::engine {

struct RequestDelta {
  RequestId id = 0;
  TokenDelta delta;
};

inline TokenDelta error_delta(Error error) {
  TokenDelta delta;
  delta.finish = FinishReason::kError;
  delta.error = std::move(error);
  return delta;
}

}  // namespace mhub::engine
