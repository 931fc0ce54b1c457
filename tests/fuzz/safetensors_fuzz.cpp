// SPDX-License-Identifier: Apache-2.0
#include "mhub/base/check.h"
#include "mhub/formats/safetensors.h"

// Whatever is accepted must lie inside the file, tensor after tensor.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  const auto header = mhub::formats::parse_safetensors(file, "fuzz");
  if (!header) return 0;
  uint64_t end = header->data_begin;
  for (const auto& tensor : header->tensors) {
    MHUB_CHECK(tensor.offset >= end && tensor.bytes <= size - tensor.offset);
    end = tensor.offset + tensor.bytes;
  }
  return 0;
}
