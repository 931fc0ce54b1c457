// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simdjson.h>

#include <optional>
#include <string_view>

namespace mhub::text {

// Typed look-ups in a parsed JSON value; nullopt when the key is absent, null or of another type.
inline std::optional<std::string_view> string_field(simdjson::dom::element e, std::string_view key) {
  std::string_view value;
  if (e[key].get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}
inline std::optional<bool> bool_field(simdjson::dom::element e, std::string_view key) {
  bool value = false;
  if (e[key].get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}
inline std::optional<int64_t> int_field(simdjson::dom::element e, std::string_view key) {
  int64_t value = 0;
  if (e[key].get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}
// Absent or null count as "not there".
inline std::optional<simdjson::dom::element> object_field(simdjson::dom::element e, std::string_view key) {
  simdjson::dom::element value;
  if (e[key].get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  return value;
}
inline std::optional<simdjson::dom::array> array_field(simdjson::dom::element e, std::string_view key) {
  simdjson::dom::array value;
  if (e[key].get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}

}  // namespace mhub::text
