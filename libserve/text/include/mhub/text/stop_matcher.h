// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mhub::text {

// Finds stop strings in a stream of text pieces, also across piece borders. Text that could be the beginning of a stop
// string is held back. With several matches the first in list order wins (vLLM's rule).
class StopMatcher {
 public:
  StopMatcher(std::vector<std::string> stop, bool include_stop_in_output);
  struct Output {
    std::string text;                    // safe to send now
    std::optional<std::string> matched;  // the stop string that ended the stream; text is cut accordingly
  };
  Output push(std::string_view piece);
  std::string flush();  // held-back tail when the stream ends without a match

 private:
  std::vector<std::string> stop_;
  bool include_;
  std::string held_;
};

}  // namespace mhub::text
