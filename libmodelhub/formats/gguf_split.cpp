// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "bad_model.h"
#include "mhub/formats/gguf.h"
#include "parse_limits.h"

namespace mhub::formats {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kNo = "split.no", kCount = "split.count", kTensorCount = "split.tensors.count";

std::optional<int64_t> integer(const GgufPart& part, std::string_view key) {
  const auto it = part.metadata.find(key);
  const auto* n = it == part.metadata.end() ? nullptr : std::get_if<int64_t>(&it->second);
  return n ? std::optional(*n) : std::nullopt;
}

Result<void> add_part(GgufFile& model, std::shared_ptr<const MappedFile> file, GgufPart part) {
  const auto index = static_cast<uint32_t>(model.table.files.size());
  for (auto& entry : part.tensors) {
    entry.file = index;
    std::string name = entry.name;
    const auto [at, added] = model.table.tensors.emplace(std::move(name), std::move(entry));
    if (!added) {
      return bad_model(file->path(),
                       fmt::format("tensor {} is also in part {}", printable(at->first, 64), at->second.file + 1));
    }
  }
  model.table.files.push_back(std::move(file));
  return {};
}

// A later part may repeat part 1's keys, not contradict them.
Result<void> check_keys(const GgufFile& model, const GgufPart& part, const fs::path& path) {
  for (const auto& [key, value] : part.metadata) {
    if (key == kNo || key == "general.alignment") continue;
    const auto* first = model.find(key);
    if (!first) return bad_model(path, fmt::format("key {} is not in part 1", printable(key, 64)));
    if (*first != value) return bad_model(path, fmt::format("key {} differs from part 1", printable(key, 64)));
  }
  return {};
}

}  // namespace

Result<GgufFile> open_gguf(const fs::path& path) {
  MHUB_TRY(auto file, MappedFile::open(path));
  MHUB_TRY(auto first, parse_gguf(file->bytes(), path));
  GgufFile model;
  model.version = first.version;
  model.metadata = std::move(first.metadata);
  const int64_t count = model.integer(kCount).value_or(1);
  const int64_t number = model.integer(kNo).value_or(0);
  if (count < 1 || count > static_cast<int64_t>(limits::kGgufParts)) {
    return bad_model(path, fmt::format("split.count is {}, must be 1 to {}", count, limits::kGgufParts));
  }
  if (number != 0) {
    return bad_model(path, fmt::format("it is part {} of {} of a split model", number + 1, count),
                     "give the first part, …-00001-of-….gguf");
  }
  MHUB_CHECK_OK(add_part(model, std::move(file), std::move(first)));
  if (count == 1) return model;

  const std::string name = path.filename().string(), suffix = fmt::format("-00001-of-{:05}.gguf", count);
  if (!name.ends_with(suffix)) {
    return bad_model(path, fmt::format("it says it is part 1 of {}, but its name does not end in {}", count, suffix),
                     "keep the parts' published names");
  }
  const std::string stem = name.substr(0, name.size() - suffix.size());
  for (int64_t i = 1; i < count; ++i) {
    const fs::path part_path = path.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", stem, i + 1, count);
    MHUB_TRY(auto part_file, MappedFile::open(part_path));
    MHUB_TRY(auto part, parse_gguf(part_file->bytes(), part_path));
    if (integer(part, kNo) != i) {
      return bad_model(part_path, fmt::format("split.no is {}, expected {}", integer(part, kNo).value_or(-1), i));
    }
    if (integer(part, kCount) != count) {
      return bad_model(part_path,
                       fmt::format("split.count is {}, part 1 says {}", integer(part, kCount).value_or(-1), count));
    }
    MHUB_CHECK_OK(check_keys(model, part, part_path));
    MHUB_CHECK_OK(add_part(model, std::move(part_file), std::move(part)));
  }
  if (const auto total = model.integer(kTensorCount);
      total && *total != static_cast<int64_t>(model.table.tensors.size())) {
    return bad_model(path,
                     fmt::format("split.tensors.count is {}, the parts hold {}", *total, model.table.tensors.size()));
  }
  return model;
}

}  // namespace mhub::formats
