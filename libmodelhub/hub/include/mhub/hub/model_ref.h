// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mhub/base/result.h"

namespace mhub::hub {

enum class Source { kModelScope, kHuggingFace };
std::string_view source_name(Source source);  // "modelscope", "huggingface"
Result<Source> parse_source(std::string_view text);  // also "ms", "hf"

enum class RepoType { kModel, kDataset };

// MODEL of the command line, parsed once (docs/cli.md section 3).
struct ModelRef {
  std::optional<Source> source;           // ms: / hf: prefix
  std::optional<std::string> endpoint;    // http(s)://host[:port] of a URL
  std::string repo_id;                    // "org/name" (or one segment for old Hugging Face ids)
  std::optional<std::string> revision;    // after '@'
  static Result<ModelRef> parse(std::string_view text);  // kUsage
};

}  // namespace mhub::hub
