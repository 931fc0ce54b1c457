// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "mhub/base/result.h"
#include "mhub/quantize/quantize.h"

namespace mhub::apps {

// Tokens a model can look back on (config.json or GGUF metadata).
Result<int64_t> context_length(const std::filesystem::path& model);

// Tokens of `text` in the model's own vocabulary, without special tokens around it.
Result<int64_t> count_tokens(const std::filesystem::path& model, std::string_view text);

// The model on this machine's CPU in float32, with its own tokenizer. `on_window` runs after each window.
Result<std::unique_ptr<quantize::Evaluator>> load_evaluator(const std::filesystem::path& model, int64_t context,
                                                            std::function<void()> on_window);

// The text that ships with the program: share/mhub/eval/default.txt beside the binary's folder.
Result<std::filesystem::path> default_eval_text();

}  // namespace mhub::apps
