// SPDX-License-Identifier: Apache-2.0
#include "json_fields.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "mhub/base/json_members.h"

namespace mhub::http {
namespace {
constexpr size_t kMaxEchoedBytes = 200;
constexpr JsonLimits kBodyLimits{8u << 20, 32, 2'000'000};
}  // namespace

Error wrong_type(std::string_view name, std::string_view what, const OrderedJson& value) {
  // A container is not dumped whole only to be cut: its kind is enough.
  const std::string shown =
      value.is_structured() ? std::string(value.type_name()) : printable(dump_json(value), kMaxEchoedBytes);
  return {ErrorCode::kMalformedRequest, fmt::format("1 validation error:\n  body.{}: {}, got {}", name, what, shown),
          "", std::string(name)};
}

Error bad_value(std::string_view name, std::string message) {
  return {ErrorCode::kInvalidRequest, std::move(message), "", std::string(name)};
}

Error not_built(std::string_view name, std::string_view what) {
  return {ErrorCode::kNotImplemented, fmt::format("{} is not supported by this server", what), "", std::string(name)};
}

const OrderedJson* JsonFields::find(std::string_view name) const {
  const auto found = object_.find(std::string(name));
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

Result<std::optional<bool>> JsonFields::boolean(std::string_view name) const {
  const OrderedJson* value = find(name);
  if (value == nullptr) return std::optional<bool>();
  if (!value->is_boolean()) return wrong_type(name, "must be true or false", *value);
  return std::optional(value->get<bool>());
}

Result<std::optional<int64_t>> JsonFields::integer(std::string_view name) const {
  const OrderedJson* value = find(name);
  if (value == nullptr) return std::optional<int64_t>();
  if (value->is_number_unsigned() &&
      value->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return wrong_type(name, "must be a 64-bit integer", *value);
  }
  if (value->is_number_integer()) return std::optional(value->get<int64_t>());
  if (value->is_number_float()) {  // 5.0 is taken as 5
    const auto number = value->get<double>();
    if (number == std::floor(number) && std::abs(number) < 9e15) return std::optional(static_cast<int64_t>(number));
  }
  return wrong_type(name, "must be an integer", *value);
}

Result<std::optional<double>> JsonFields::number(std::string_view name) const {
  const OrderedJson* value = find(name);
  if (value == nullptr) return std::optional<double>();
  if (!value->is_number() || !std::isfinite(value->get<double>()))
    return wrong_type(name, "must be a finite number", *value);
  return std::optional(value->get<double>());
}

Result<std::optional<std::string>> JsonFields::string(std::string_view name) const {
  const OrderedJson* value = find(name);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return wrong_type(name, "must be a string", *value);
  return std::optional(value->get<std::string>());
}

Result<OrderedJson> parse_body(const std::string* content_type, std::string_view body) {
  if (content_type != nullptr) {
    std::string type = content_type->substr(0, content_type->find(';'));
    while (!type.empty() && type.back() == ' ') type.pop_back();
    for (char& c : type) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (type != "application/json") {
      return Error{ErrorCode::kMalformedRequest,
                   "1 validation error:\n  body: the Content-Type must be application/json", "", "body"};
    }
  }
  auto parsed = parse_ordered_json(body, kBodyLimits);
  if (!parsed) {
    Error error{ErrorCode::kMalformedRequest, fmt::format("1 validation error:\n  body: {}", parsed.error().message),
                "", "body"};
    static constexpr std::string_view kAtByte = "at byte ";
    if (const size_t at = parsed.error().message.find(kAtByte); at != std::string::npos) {
      error.param = "body." + parsed.error().message.substr(at + kAtByte.size());
    }
    return error;
  }
  if (has_object_over(*parsed, kMaxMembers)) {
    return Error{ErrorCode::kMalformedRequest,
                 fmt::format("1 validation error:\n  body: an object has more than {} members", kMaxMembers), "",
                 "body"};
  }
  if (!parsed->is_object()) {
    return Error{ErrorCode::kMalformedRequest,
                 fmt::format("1 validation error:\n  body: must be an object, got {}", parsed->type_name()), "",
                 "body"};
  }
  return std::move(*parsed);
}

}  // namespace mhub::http
