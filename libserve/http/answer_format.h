// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "choice.h"
#include "generation.h"
#include "mhub/base/json.h"

namespace mhub::http {

// What all chunks and the whole answer of one request carry.
struct AnswerHeader {
  std::string id;
  std::string model;
  int64_t created = 0;
};

// Writes an answer in a route's JSON: chunk by chunk, or whole from the same deltas. One per request.
class AnswerFormat {
 public:
  virtual ~AnswerFormat() = default;
  // Chunks before any token (chat: the role of each choice).
  virtual std::vector<OrderedJson> opening_chunks() = 0;
  // nullopt when the delta has nothing to show.
  virtual std::optional<OrderedJson> chunk(ChoiceDelta&& delta) = 0;
  virtual void collect(ChoiceDelta&& delta) = 0;
  virtual OrderedJson whole(const Usage& usage) = 0;
  // A chunk without choices, for usage.
  virtual OrderedJson empty_chunk() const = 0;
};

OrderedJson usage_json(const Usage& usage);
OrderedJson stop_reason_json(const StopReason& reason);

struct FormatOptions {
  AnswerHeader header;
  std::vector<Prompt> prompts;
  GenerationFields fields;
  std::shared_ptr<const text::Tokenizer> tokenizer;  // may be null
};
std::unique_ptr<AnswerFormat> make_completion_format(FormatOptions options);
// `role`: of the answer; `echo`: text in front of it ("" = none); `forced`: the answer is calls of tools.
std::unique_ptr<AnswerFormat> make_chat_format(FormatOptions options, std::string role, std::string echo,
                                               ForcedCall forced = {});

}  // namespace mhub::http
