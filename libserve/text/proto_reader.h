// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace mhub::text {

// Walks the fields of one protobuf message. Nothing is copied and nothing is read past the end.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : rest_(message) {}

  struct Field {
    uint32_t number = 0;
    uint64_t integer = 0;    // varint and fixed fields
    std::string_view bytes;  // length-delimited fields
    bool is_bytes = false;
    bool flag() const { return integer != 0; }
    // The value of a fixed 32-bit field.
    float number32() const {
      const auto bits = static_cast<uint32_t>(integer);
      float value = 0;
      std::memcpy(&value, &bits, sizeof value);
      return value;
    }
  };
  // False at the end and on damage; damaged() tells which.
  bool next(Field& field);
  bool damaged() const { return damaged_; }

 private:
  bool varint(uint64_t& value);
  bool fixed(size_t bytes, uint64_t& value);

  std::string_view rest_;
  bool damaged_ = false;
};

}  // namespace mhub::text
