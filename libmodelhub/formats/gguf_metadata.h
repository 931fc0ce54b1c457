// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <string>

#include "bad_model.h"
#include "families.h"
#include "mhub/formats/gguf.h"
#include "mhub/formats/model_config.h"

namespace mhub::formats {

// Typed, range-checked metadata of one architecture.
class GgufMetadata {
 public:
  GgufMetadata(const GgufFile& gguf, std::string architecture)
      : gguf_(gguf),
        file_(gguf.table.files.empty() ? "" : gguf.table.files[0]->path()),
        prefix_(std::move(architecture) + ".") {}

  Error error(std::string_view key, const std::string& what) const {
    return bad_model(file_, fmt::format("key {}{}: {}", prefix_, key, what));
  }
  bool has(std::string_view key) const { return gguf_.find(full(key)) != nullptr; }

  Result<std::optional<int64_t>> integer(std::string_view key, int64_t low, int64_t high) const {
    if (!has(key)) return std::optional<int64_t>();
    const auto n = gguf_.integer(full(key));
    if (!n) return error(key, "not an integer");
    return checked(key, *n, low, high);
  }
  // A scalar, or an array of one value per layer that must all be equal here.
  Result<std::optional<int64_t>> per_layer(std::string_view key, int64_t low, int64_t high) const {
    const auto* value = gguf_.find(full(key));
    const auto* list = value ? std::get_if<std::vector<int64_t>>(value) : nullptr;
    if (!list) return integer(key, low, high);
    if (list->empty()) return error(key, "empty array");
    for (const int64_t n : *list) {
      if (n != list->front())
        return error(key, fmt::format("differs by layer ({} and {}), which is not supported", list->front(), n));
    }
    return checked(key, list->front(), low, high);
  }
  Result<int64_t> required(std::string_view key, int64_t low, int64_t high) const {
    MHUB_TRY(const auto n, per_layer(key, low, high));
    if (!n) return error(key, "missing");
    return *n;
  }
  Result<std::optional<double>> number(std::string_view key, double low, double high) const {
    if (!has(key)) return std::optional<double>();
    const auto x = gguf_.number(full(key));
    if (!x || !(*x >= low && *x <= high)) {
      return error(key, x ? fmt::format("{} is not from {} to {}", *x, low, high) : std::string("not a number"));
    }
    return std::optional<double>(*x);
  }
  Result<std::optional<std::string>> string(std::string_view key) const {
    if (!has(key)) return std::optional<std::string>();
    auto text = gguf_.string(full(key));
    if (!text) return error(key, "not a string");
    return text;
  }
  Result<std::optional<bool>> boolean(std::string_view key) const {
    if (!has(key)) return std::optional<bool>();
    const auto flag = gguf_.boolean(full(key));
    if (!flag) return error(key, "not a boolean");
    return flag;
  }
  const GgufValue* value(std::string_view key) const { return gguf_.find(full(key)); }
  const std::filesystem::path& file() const { return file_; }

 private:
  std::string full(std::string_view key) const { return prefix_ + std::string(key); }
  Result<std::optional<int64_t>> checked(std::string_view key, int64_t n, int64_t low, int64_t high) const {
    if (n < low || n > high) return error(key, fmt::format("{} is not from {} to {}", n, low, high));
    return std::optional<int64_t>(n);
  }

  const GgufFile& gguf_;
  std::filesystem::path file_;
  std::string prefix_;
};

// The family of a GGUF file: general.architecture, and for the names that several share what tells them apart.
Result<const Family*> gguf_family(const GgufFile& gguf, const std::filesystem::path& file);
// Window, soft caps, experts and latent attention of that family. Needs the sizes and the rope.
Result<void> read_gguf_family(const GgufFile& gguf, const GgufMetadata& meta, const Family& family,
                              ModelConfig& config);

}  // namespace mhub::formats
