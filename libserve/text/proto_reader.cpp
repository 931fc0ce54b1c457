// SPDX-License-Identifier: Apache-2.0
#include "proto_reader.h"

namespace mhub::text {

bool ProtoReader::varint(uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool ProtoReader::fixed(size_t bytes, uint64_t& value) {
  if (rest_.size() < bytes) return false;
  value = 0;
  for (size_t i = bytes; i > 0; --i) value = value << 8 | static_cast<unsigned char>(rest_[i - 1]);
  rest_.remove_prefix(bytes);
  return true;
}

bool ProtoReader::next(Field& field) {
  if (damaged_ || rest_.empty()) return false;
  field = {};
  uint64_t tag = 0;
  damaged_ = !varint(tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3;
  if (damaged_) return false;
  field.number = static_cast<uint32_t>(tag >> 3);
  switch (tag & 7) {
    case 0:
      damaged_ = !varint(field.integer);
      break;
    case 1:
      damaged_ = !fixed(8, field.integer);
      break;
    case 2: {
      uint64_t length = 0;
      damaged_ = !varint(length) || length > rest_.size();
      if (damaged_) break;
      field.is_bytes = true;
      field.bytes = rest_.substr(0, static_cast<size_t>(length));
      rest_.remove_prefix(static_cast<size_t>(length));
      break;
    }
    case 5:
      damaged_ = !fixed(4, field.integer);
      break;
    default:
      damaged_ = true;
  }
  return !damaged_;
}

}  // namespace mhub::text
