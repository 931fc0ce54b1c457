// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "mhub/base/error.h"

namespace mhub {

// Value or Error, with std::expected's member names (C++23 makes this an alias).
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}     // NOLINT: implicit on purpose
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit on purpose

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  // Precondition: has_value(); std::get throws std::bad_variant_access otherwise.
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  // Precondition: !has_value().
  Error& error() { return std::get<1>(state_); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit on purpose
  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  Error& error() { return *error_; }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace mhub

#define MHUB_CONCAT_INNER(a, b) a##b
#define MHUB_CONCAT(a, b) MHUB_CONCAT_INNER(a, b)
// MHUB_TRY(auto x, expr): x = value of the Result expr, or return its error from the enclosing function.
#define MHUB_TRY(declaration, expression)                              \
  auto MHUB_CONCAT(mhub_try_, __LINE__) = (expression);                \
  if (!MHUB_CONCAT(mhub_try_, __LINE__).has_value())                   \
    return std::move(MHUB_CONCAT(mhub_try_, __LINE__)).error();        \
  declaration = *std::move(MHUB_CONCAT(mhub_try_, __LINE__))
// MHUB_CHECK_OK(expr): return the error of a Result<void> (or any Result) from the enclosing function.
#define MHUB_CHECK_OK(expression)                                       \
  do {                                                                  \
    auto mhub_result = (expression);                                    \
    if (!mhub_result.has_value()) return std::move(mhub_result).error(); \
  } while (false)
