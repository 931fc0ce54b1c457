// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "mhub/base/bytes.h"

namespace mhub::engine {

// Writer and reader of flat little-endian records. A struct S is described once, by
//   template <typename Wire> void fields(Wire& wire, Same<S> auto& value) { wire(value.a, value.b, ...); }
// which both call.
template <typename T>
concept Number = (std::is_arithmetic_v<T> || std::is_enum_v<T>)&&!std::same_as<T, bool>;
template <typename T, typename S>
concept Same = std::same_as<std::remove_const_t<T>, S>;

class WireWriter {
 public:
  explicit WireWriter(std::string& out) : out_(out) {}
  template <typename... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  template <typename List>
  void put_list(const List& values) {
    put(static_cast<uint32_t>(values.size()));
    for (const auto& value : values) put(value);
  }

 private:
  template <Number T>
  void put(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put(bool value) { put(static_cast<uint8_t>(value)); }
  void put(const std::string& value) {
    put(static_cast<uint32_t>(value.size()));
    out_.append(value);
  }
  template <typename T>
  void put(const std::vector<T>& values) {
    if constexpr (Number<T>) {
      put(static_cast<uint32_t>(values.size()));
      out_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    } else {
      put_list(values);
    }
  }
  template <typename T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <typename A, typename B>
  void put(const std::pair<A, B>& value) {
    put(value.first);
    put(value.second);
  }
  template <typename T>
  requires std::is_class_v<T>
  void put(const T& value) { fields(*this, value); }
  std::string& out_;
};

// Reads nothing past the end and allocates no more than the bytes that are there can fill. After the first thing that
// does not fit, ok() is false and everything else reads as it was.
class WireReader {
 public:
  explicit WireReader(std::span<const std::byte> bytes) : in_(bytes) {}
  template <typename... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  bool ok() const { return ok_; }
  bool at_end() const { return in_.remaining() == 0; }

 private:
  template <Number T>
  void get(T& value) {
    const auto read = ok_ ? in_.read<T>() : std::nullopt;
    ok_ = read.has_value();
    if (ok_) value = *read;
  }
  void get(bool& value) {
    uint8_t byte = 0;
    get(byte);
    ok_ = ok_ && byte <= 1;
    value = byte == 1;
  }
  // The number of elements of a list whose elements take at least `min_bytes` each.
  size_t get_count(size_t min_bytes) {
    uint32_t count = 0;
    get(count);
    ok_ = ok_ && count <= in_.remaining() / min_bytes;
    return ok_ ? count : 0;
  }
  void get(std::string& value) {
    const auto bytes = in_.read_bytes(get_count(1));
    value.assign(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  }
  template <typename T>
  void get(std::vector<T>& values) {
    if constexpr (Number<T>) {
      const auto bytes = in_.read_bytes(get_count(sizeof(T)) * sizeof(T));
      values.resize(bytes->size() / sizeof(T));
      if (!values.empty()) std::memcpy(values.data(), bytes->data(), bytes->size());
    } else {
      values.clear();
      for (size_t left = get_count(1); left > 0 && ok_; --left) get(values.emplace_back());
    }
  }
  template <typename T>
  void get(std::optional<T>& value) {
    bool present = false;
    get(present);
    if (!ok_ || !present) return value.reset();
    get(value.emplace());
  }
  template <typename A, typename B>
  void get(std::pair<A, B>& value) {
    get(value.first);
    get(value.second);
  }
  template <typename T>
  requires std::is_class_v<T>
  void get(T& value) { fields(*this, value); }

  ByteReader in_;
  bool ok_ = true;
};

}  // namespace mhub::engine
