// SPDX-License-Identifier: Apache-2.0
#include "mhub/base/check.h"
#include "mhub/formats/gguf.h"
#include "mhub/formats/model_config.h"

// Whatever is accepted must lie inside the file and survive the reading of its configuration.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  auto part = mhub::formats::parse_gguf(file, "fuzz");
  if (!part) return 0;
  mhub::formats::GgufFile gguf;
  gguf.metadata = std::move(part->metadata);
  for (auto& tensor : part->tensors) {
    MHUB_CHECK(tensor.offset <= size && tensor.bytes <= size - tensor.offset);
    if (tensor.name == "rope_freqs.weight") continue;  // its data would need a mapped file
    std::string name = tensor.name;
    gguf.table.tensors.emplace(std::move(name), std::move(tensor));
  }
  const auto config = mhub::formats::model_config_from_gguf(gguf);
  if (config) MHUB_CHECK(config->num_attention_heads % config->num_key_value_heads == 0 && config->head_dim > 0);
  return 0;
}
