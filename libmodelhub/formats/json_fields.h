// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/json.h"
#include "mhub/base/result.h"

namespace mhub::formats {

// Typed, range-checked access to one JSON object of a configuration file. An absent or null field is nullopt; a field
// of the wrong type or out of range is kBadModel with file, JSON pointer, value and limit. Borrows the object.
class JsonFields {
 public:
  JsonFields(const Json& object, std::filesystem::path file, std::string pointer = "")
      : object_(object), file_(std::move(file)), pointer_(std::move(pointer)) {}

  bool has(std::string_view key) const;  // present and not null
  Result<std::optional<int64_t>> integer(std::string_view key, int64_t low, int64_t high) const;
  Result<std::optional<double>> number(std::string_view key, double low, double high) const;  // also integers
  Result<std::optional<bool>> boolean(std::string_view key) const;
  Result<std::optional<std::string>> string(std::string_view key) const;
  Result<std::vector<std::string>> strings(std::string_view key, size_t max_count) const;  // absent = empty
  Result<std::vector<double>> numbers(std::string_view key, size_t max_count, double low, double high) const;
  // One integer or a list of them; absent = empty.
  Result<std::vector<int64_t>> integers(std::string_view key, size_t max_count, int64_t low, int64_t high) const;
  Result<std::optional<JsonFields>> object(std::string_view key) const;
  // Refuses every key outside `known`: the spelling of a field that matters is never guessed.
  Result<void> only(std::initializer_list<std::string_view> known) const;

  Error error(std::string_view key, const std::string& what, std::string hint = "") const;
  const Json& json() const { return object_; }
  const std::filesystem::path& file() const { return file_; }

 private:
  const Json* find(std::string_view key) const;
  const Json& object_;
  std::filesystem::path file_;
  std::string pointer_;
};

// Reads and parses a JSON file whose top level must be an object (limits of config files).
Result<Json> read_json_object(const std::filesystem::path& file);

}  // namespace mhub::formats
