// SPDX-License-Identifier: Apache-2.0
#include "json_document.h"

#include <fmt/format.h>

#include <algorithm>

#include "tokenizer_json.h"

namespace mhub::text {

Result<std::unique_ptr<JsonDocument>> parse_document(std::string_view text, std::string_view file) {
  constexpr size_t kMaxDepth = 64;
  const auto bad = [&](std::string_view what) {
    return Error{ErrorCode::kBadModel, fmt::format("reading {}: {}", file, what),
                 "the tokenizer file is damaged; download it again", ""};
  };
  if (text.size() > kMaxTokenizerBytes) {
    return bad(fmt::format("{} bytes are over the limit of {}", text.size(), kMaxTokenizerBytes));
  }
  auto document = std::make_unique<JsonDocument>();
  if (const auto error = document->parser.allocate(std::max<size_t>(text.size(), 64), kMaxDepth)) {
    return bad(simdjson::error_message(error));
  }
  if (const auto error = document->parser.parse(text.data(), text.size()).get(document->root)) {
    return bad(simdjson::error_message(error));
  }
  if (!document->root.is_object()) return bad("it is not a JSON object");
  return document;
}

}  // namespace mhub::text
