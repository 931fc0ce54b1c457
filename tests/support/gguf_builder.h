// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mhub::test {

// Builds a GGUF file in memory. Values are appended as given, so malformed files can be built as well.
class GgufBuilder {
 public:
  enum Type : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

  uint32_t version = 3;
  std::string magic = "GGUF";

  GgufBuilder& u32(const std::string& key, uint32_t value);
  GgufBuilder& f32(const std::string& key, float value);
  GgufBuilder& boolean(const std::string& key, bool value);
  GgufBuilder& text(const std::string& key, const std::string& value);
  GgufBuilder& texts(const std::string& key, const std::vector<std::string>& values);
  GgufBuilder& i32s(const std::string& key, const std::vector<int32_t>& values);
  GgufBuilder& f32s(const std::string& key, const std::vector<float>& values);
  // Any type id over any payload bytes.
  GgufBuilder& raw(const std::string& key, uint32_t type, const std::string& payload);
  // `ne` is GGUF order (contiguous dimension first).
  GgufBuilder& tensor(const std::string& name, const std::vector<uint64_t>& ne, uint32_t type, const std::string& data);
  GgufBuilder& tensor_f32(const std::string& name, const std::vector<uint64_t>& ne, const std::vector<float>& values);
  // A tensor record whose offset is given, with no data of its own.
  GgufBuilder& tensor_at(const std::string& name, const std::vector<uint64_t>& ne, uint32_t type, uint64_t offset);
  GgufBuilder& remove(const std::string& key);
  GgufBuilder& alignment(uint64_t n);  // what build() pads to; does not write the key

  std::string build() const;
  std::string header() const;  // everything before the padding of the data section
  // With other counts than there are records.
  std::string build_with_counts(uint64_t tensors, uint64_t keys) const;

  static std::string le(uint64_t value, int bytes);
  static std::string str(std::string_view text);  // u64 length + bytes

 private:
  struct Key {
    std::string name, record;
  };
  std::vector<Key> keys_;
  std::vector<std::string> tensors_;
  std::string data_;
  uint64_t alignment_ = 32;
};

// Type ids of element types, as files number them.
inline constexpr uint32_t kGgmlF32 = 0, kGgmlF16 = 1, kGgmlQ4_0 = 2, kGgmlQ4_1 = 3, kGgmlQ8_0 = 8, kGgmlQ4_K = 12;

}  // namespace mhub::test
