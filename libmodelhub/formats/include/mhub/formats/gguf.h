// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "mhub/formats/tensor_table.h"

namespace mhub::formats {

// A metadata value. Integers of all widths become int64 (u64 above 2^63 is refused), floats become double.
// Arrays of strings point into the mapped file (vocabularies are large).
using GgufValue = std::variant<int64_t, double, bool, std::string, std::vector<int64_t>, std::vector<double>,
                               std::vector<bool>, std::vector<std::string_view>>;

struct GgufFile {
  uint32_t version = 3;
  std::map<std::string, GgufValue, std::less<>> metadata;
  TensorTable table;  // GGUF tensor names ("blk.0.attn_q.weight"); split files merged

  const GgufValue* find(std::string_view key) const;
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;  // also converts integers
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string> string(std::string_view key) const;
};

// One file of a (possibly split) model: its own metadata and tensors. Offsets count from the start of the file.
struct GgufPart {
  uint32_t version = 3;
  std::map<std::string, GgufValue, std::less<>> metadata;  // string views point into the parsed bytes
  std::vector<TensorEntry> tensors;                        // in file order
};
// `file` is the whole file and outlives the result; `path` only names it in errors. Errors: kBadModel.
Result<GgufPart> parse_gguf(std::span<const std::byte> file, const std::filesystem::path& path);

// Parses and validates one GGUF file (or, given part 1 of name-00001-of-000NN.gguf, all parts). Errors: kBadModel.
Result<GgufFile> open_gguf(const std::filesystem::path& file);

}  // namespace mhub::formats
