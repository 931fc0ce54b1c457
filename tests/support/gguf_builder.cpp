// SPDX-License-Identifier: Apache-2.0
#include "support/gguf_builder.h"

#include <algorithm>
#include <cstring>

namespace mhub::test {

std::string GgufBuilder::le(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
  return out;
}
std::string GgufBuilder::str(std::string_view text) {
  return le(text.size(), 8).append(text);
}

namespace {
std::string float_bytes(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, 4);
  return GgufBuilder::le(bits, 4);
}
template <typename T, typename F>
std::string array(uint32_t type, const std::vector<T>& values, F one) {
  std::string out = GgufBuilder::le(type, 4) + GgufBuilder::le(values.size(), 8);
  for (const auto& value : values) out += one(value);
  return out;
}
}  // namespace

GgufBuilder& GgufBuilder::raw(const std::string& key, uint32_t type, const std::string& payload) {
  keys_.push_back({key, str(key) + le(type, 4) + payload});
  return *this;
}
GgufBuilder& GgufBuilder::u32(const std::string& key, uint32_t value) {
  return raw(key, kU32, le(value, 4));
}
GgufBuilder& GgufBuilder::f32(const std::string& key, float value) {
  return raw(key, kF32, float_bytes(value));
}
GgufBuilder& GgufBuilder::boolean(const std::string& key, bool value) {
  return raw(key, kBool, le(value, 1));
}
GgufBuilder& GgufBuilder::text(const std::string& key, const std::string& value) {
  return raw(key, kString, str(value));
}
GgufBuilder& GgufBuilder::texts(const std::string& key, const std::vector<std::string>& values) {
  return raw(key, kArray, array(kString, values, [](const std::string& v) { return str(v); }));
}
GgufBuilder& GgufBuilder::i32s(const std::string& key, const std::vector<int32_t>& values) {
  return raw(key, kArray, array(kI32, values, [](int32_t v) { return le(static_cast<uint32_t>(v), 4); }));
}
GgufBuilder& GgufBuilder::f32s(const std::string& key, const std::vector<float>& values) {
  return raw(key, kArray, array(kF32, values, float_bytes));
}

GgufBuilder& GgufBuilder::remove(const std::string& key) {
  std::erase_if(keys_, [&](const Key& k) { return k.name == key; });
  return *this;
}
GgufBuilder& GgufBuilder::alignment(uint64_t n) {
  alignment_ = n;
  return *this;
}

GgufBuilder& GgufBuilder::tensor_at(const std::string& name, const std::vector<uint64_t>& ne, uint32_t type,
                                    uint64_t offset) {
  std::string record = str(name) + le(ne.size(), 4);
  for (const uint64_t n : ne) record += le(n, 8);
  tensors_.push_back(record + le(type, 4) + le(offset, 8));
  return *this;
}

GgufBuilder& GgufBuilder::tensor(const std::string& name, const std::vector<uint64_t>& ne, uint32_t type,
                                 const std::string& data) {
  tensor_at(name, ne, type, data_.size());
  data_ += data;
  data_.append((alignment_ - data_.size() % alignment_) % alignment_, '\0');
  return *this;
}
GgufBuilder& GgufBuilder::tensor_f32(const std::string& name, const std::vector<uint64_t>& ne,
                                     const std::vector<float>& values) {
  return tensor(name, ne, kGgmlF32,
                std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
}

std::string GgufBuilder::header() const {
  std::string out = magic + le(version, 4) + le(tensors_.size(), 8) + le(keys_.size(), 8);
  for (const auto& key : keys_) out += key.record;
  for (const auto& tensor : tensors_) out += tensor;
  return out;
}
std::string GgufBuilder::build() const {
  std::string out = header();
  out.append((alignment_ - out.size() % alignment_) % alignment_, '\0');
  return out + data_;
}
std::string GgufBuilder::build_with_counts(uint64_t tensors, uint64_t keys) const {
  std::string out = build();
  return out.replace(8, 16, le(tensors, 8) + le(keys, 8));
}

}  // namespace mhub::test
