// SPDX-License-Identifier: Apache-2.0
#include "json_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bad_model.h"
#include "mhub/formats/mapped_file.h"
#include "parse_limits.h"

namespace mhub::formats {
namespace {

std::string shown(const Json& value) {
  return printable(dump_json(value), 64);
}

// JSON integers up to 2^63-1; floats, even whole ones, are another type.
std::optional<int64_t> as_integer(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto n = value.get<uint64_t>();
    return n <= static_cast<uint64_t>(INT64_MAX) ? std::optional(static_cast<int64_t>(n)) : std::nullopt;
  }
  return value.is_number_integer() ? std::optional(value.get<int64_t>()) : std::nullopt;
}

}  // namespace

const Json* JsonFields::find(std::string_view key) const {
  const auto it = object_.find(key);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

bool JsonFields::has(std::string_view key) const {
  return find(key) != nullptr;
}

Error JsonFields::error(std::string_view key, const std::string& what, std::string hint) const {
  return bad_model(file_, fmt::format("{}/{}: {}", pointer_, printable(key, 64), what), std::move(hint));
}

Result<std::optional<int64_t>> JsonFields::integer(std::string_view key, int64_t low, int64_t high) const {
  const Json* value = find(key);
  if (!value) return std::optional<int64_t>();
  const auto n = as_integer(*value);
  if (!n || *n < low || *n > high)
    return error(key, fmt::format("{} is not an integer from {} to {}", shown(*value), low, high));
  return std::optional<int64_t>(*n);
}

Result<std::optional<double>> JsonFields::number(std::string_view key, double low, double high) const {
  const Json* value = find(key);
  if (!value) return std::optional<double>();
  const double x = value->is_number() ? value->get<double>() : NAN;
  if (!(x >= low && x <= high))
    return error(key, fmt::format("{} is not a number from {} to {}", shown(*value), low, high));
  return std::optional<double>(x);
}

Result<std::optional<bool>> JsonFields::boolean(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return std::optional<bool>();
  if (!value->is_boolean()) return error(key, fmt::format("{} is not true or false", shown(*value)));
  return std::optional<bool>(value->get<bool>());
}

Result<std::optional<std::string>> JsonFields::string(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return std::optional<std::string>();
  if (!value->is_string()) return error(key, fmt::format("{} is not a string", shown(*value)));
  return std::optional<std::string>(value->get<std::string>());
}

Result<std::vector<std::string>> JsonFields::strings(std::string_view key, size_t max_count) const {
  std::vector<std::string> out;
  const Json* value = find(key);
  if (!value) return out;
  if (!value->is_array()) return error(key, fmt::format("{} is not a list of strings", shown(*value)));
  if (value->size() > max_count)
    return error(key, fmt::format("{} entries, over the limit of {}", value->size(), max_count));
  for (const auto& item : *value) {
    if (!item.is_string()) return error(key, fmt::format("its entry {} is not a string", shown(item)));
    out.push_back(item.get<std::string>());
  }
  return out;
}

Result<std::vector<double>> JsonFields::numbers(std::string_view key, size_t max_count, double low, double high) const {
  std::vector<double> out;
  const Json* value = find(key);
  if (!value) return out;
  if (!value->is_array()) return error(key, fmt::format("{} is not a list of numbers", shown(*value)));
  if (value->size() > max_count)
    return error(key, fmt::format("{} entries, over the limit of {}", value->size(), max_count));
  for (const auto& item : *value) {
    const double x = item.is_number() ? item.get<double>() : NAN;
    if (!(x >= low && x <= high))
      return error(key, fmt::format("its entry {} is not a number from {} to {}", shown(item), low, high));
    out.push_back(x);
  }
  return out;
}

Result<std::vector<int64_t>> JsonFields::integers(std::string_view key, size_t max_count, int64_t low,
                                                  int64_t high) const {
  std::vector<int64_t> out;
  const Json* value = find(key);
  if (!value) return out;
  const Json list = value->is_array() && value->size() > max_count ? Json::array()
                    : value->is_array()                            ? *value
                                                                   : Json::array({*value});
  if (list.empty() && value->is_array() && !value->empty()) {
    return error(key, fmt::format("{} entries, over the limit of {}", value->size(), max_count));
  }
  for (const auto& item : list) {
    const auto n = as_integer(item);
    if (!n || *n < low || *n > high) {
      return error(key, fmt::format("{} is not an integer from {} to {}", shown(item), low, high));
    }
    out.push_back(*n);
  }
  return out;
}

Result<std::optional<JsonFields>> JsonFields::object(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return std::optional<JsonFields>();
  if (!value->is_object()) return error(key, fmt::format("{} is not an object", shown(*value)));
  return std::optional<JsonFields>(JsonFields(*value, file_, pointer_ + "/" + std::string(key)));
}

Result<void> JsonFields::only(std::initializer_list<std::string_view> known) const {
  for (const auto& [key, value] : object_.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return error(key, fmt::format("unknown field (value {})", shown(value)),
                   "this build would have to guess what it means; check the spelling or use a newer mhub");
    }
  }
  return {};
}

Result<Json> read_json_object(const std::filesystem::path& file) {
  MHUB_TRY(const std::string text, read_text_file(file, limits::kConfigBytes));
  auto parsed = parse_json(text, {.max_bytes = limits::kConfigBytes, .max_depth = 32, .max_values = 1'000'000});
  if (!parsed) return bad_model(file, parsed.error().message);
  if (!parsed->is_object()) return bad_model(file, "the top level is not an object");
  return parsed;
}

}  // namespace mhub::formats
