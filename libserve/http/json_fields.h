// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mhub/base/json.h"
#include "mhub/base/result.h"

namespace mhub::http {

constexpr size_t kMaxMembers = 10'000;  // of one object in a request

// Typed reading of a request object's fields. A missing field and null are the same: absent. A wrong type is
// kMalformedRequest and names the field.
class JsonFields {
 public:
  // `object` outlives this and is an object.
  explicit JsonFields(const OrderedJson& object) : object_(object) {}
  const OrderedJson* find(std::string_view name) const;
  Result<std::optional<bool>> boolean(std::string_view name) const;
  Result<std::optional<int64_t>> integer(std::string_view name) const;
  Result<std::optional<double>> number(std::string_view name) const;  // finite
  Result<std::optional<std::string>> string(std::string_view name) const;

 private:
  const OrderedJson& object_;
};

// "1 validation error:\n  body.NAME: WHAT, got VALUE" with the value cut to 200 bytes.
Error wrong_type(std::string_view name, std::string_view what, const OrderedJson& value);
// A well-typed value that cannot be served (kInvalidRequest).
Error bad_value(std::string_view name, std::string message);
Error not_built(std::string_view name, std::string_view what);

// The body of a POST as an object. Errors: kMalformedRequest (content type, JSON, not an object, an oversized object).
Result<OrderedJson> parse_body(const std::string* content_type, std::string_view body);

}  // namespace mhub::http
