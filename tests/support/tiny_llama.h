// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "support/gguf_builder.h"

namespace mhub::test {

// A Llama model of a few kilobytes with random weights, as a directory and as the GGUF file of the same weights.
// Hidden size 64, 2 layers, 4 heads of 16 (2 key-value heads), MLP 128, 96 tokens, tied embedding.
struct TinyLlama {
  TinyLlama();
  std::map<std::string, std::vector<float>> weights;  // Hugging Face names
  std::map<std::string, std::vector<int64_t>> shapes;
  void write_directory(const std::filesystem::path& dir) const;  // float32 safetensors, config.json, tokenizer.json
  GgufBuilder gguf(const std::string& pre = "smollm") const;     // float32, q and k rows in interleaved rope order
};

}  // namespace mhub::test
