// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mhub/base/json.h"
#include "openai_types.h"

namespace mhub::http {

// Calls of a forced tool choice as their text comes: names whole, arguments piece by piece.
class ToolCallReader {
 public:
  explicit ToolCallReader(ForcedCall forced) : forced_(std::move(forced)) {}

  struct Piece {
    size_t index = 0;
    std::optional<std::string> name;  // with the first piece of a call
    std::string arguments;
  };
  // What `text` adds; pieces of one call are joined.
  std::vector<Piece> push(std::string_view text);

 private:
  // The list of a required choice: [{"name": ..., "parameters": ...}, ...], which the constraint has already made sure
  // of. Where in it the reader stands:
  enum class At { kBetweenCalls, kMembers, kKey, kBehindKey, kName, kArguments };
  void read(char c, std::vector<Piece>& out);
  bool read_arguments(char c, std::vector<Piece>& out);  // false: c stands behind them
  Piece& piece(std::vector<Piece>& out) const;

  const ForcedCall forced_;
  At at_ = At::kBetweenCalls;
  size_t calls_ = 0;
  std::string key_, quoted_;  // quoted_: a string with its quotes, while it is read
  int depth_ = 0;             // of the arguments
  bool in_string_ = false, escaped_ = false, begun_ = false;
};

// The calls of a whole answer, or the pieces of one chunk, as `tool_calls`.
class ToolCallsJson {
 public:
  void collect(const std::vector<ToolCallReader::Piece>& pieces);
  OrderedJson whole() const;
  static OrderedJson delta(const std::vector<ToolCallReader::Piece>& pieces);

 private:
  std::vector<std::pair<std::string, std::string>> calls_;  // name, arguments
};

}  // namespace mhub::http
