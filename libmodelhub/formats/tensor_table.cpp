// SPDX-License-Identifier: Apache-2.0
#include "mhub/formats/tensor_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bad_model.h"
#include "mhub/base/check.h"
#include "mhub/base/json.h"
#include "mhub/formats/safetensors.h"
#include "parse_limits.h"

namespace mhub::formats {
namespace fs = std::filesystem;
namespace {

struct Part {
  std::shared_ptr<const MappedFile> file;
  SafetensorsHeader header;
};

Result<Part> open_part(const fs::path& path) {
  MHUB_TRY(auto file, MappedFile::open(path));
  MHUB_TRY(auto header, parse_safetensors(file->bytes(), path));
  return Part{std::move(file), std::move(header)};
}

// A name that stays in its directory: one component, no separators, no control characters.
bool is_plain_basename(std::string_view name) {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == '\\' || c == ':' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
}

// Adds a part's tensors. `keep` says which belong to the table (all, without an index).
template <typename Keep>
Result<void> add_part(TensorTable& table, Part part, Keep keep) {
  const auto file = static_cast<uint32_t>(table.files.size());
  if (file == 0) table.metadata = std::move(part.header.metadata);
  for (auto& entry : part.header.tensors) {
    if (!keep(entry.name)) continue;
    entry.file = file;
    std::string name = entry.name;
    const auto [at, added] = table.tensors.emplace(std::move(name), std::move(entry));
    if (!added) {
      return bad_model(part.file->path(),
                       fmt::format("tensor \"{}\" is also in {}", printable(at->first, 128),
                                   table.files[at->second.file]->path().filename().string()),
                       "add the model.safetensors.index.json that says which one counts");
    }
  }
  for (auto& [name, dtype] : part.header.unsupported) {
    if (keep(name)) table.unsupported.emplace(name, dtype);
  }
  table.files.push_back(std::move(part.file));
  return {};
}

Result<TensorTable> open_indexed(const fs::path& dir, const fs::path& index_path) {
  MHUB_TRY(const std::string text, read_text_file(index_path, limits::kIndexBytes));
  auto parsed = parse_json(text, {.max_bytes = limits::kIndexBytes, .max_depth = 8, .max_values = 4'000'000});
  if (!parsed) return bad_model(index_path, parsed.error().message);
  const Json& index = *parsed;
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    return bad_model(index_path, "/weight_map: missing or not an object");
  }
  std::map<std::string, std::vector<std::string>> by_file;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const std::string pointer = "/weight_map/" + printable(tensor, 128);
    if (!file.is_string()) return bad_model(index_path, pointer + ": not a string");
    const auto& name = file.get_ref<const std::string&>();
    if (!is_plain_basename(name)) {
      return bad_model(index_path, fmt::format("{}: \"{}\" is not a plain file name", pointer, printable(name)));
    }
    if (!name.ends_with(".safetensors")) {
      return bad_model(index_path, fmt::format("{}: \"{}\" is not a .safetensors file", pointer, printable(name)));
    }
    by_file[name].push_back(tensor);
  }
  if (by_file.empty()) return bad_model(index_path, "/weight_map: empty");
  TensorTable table;
  for (auto& [name, tensors] : by_file) {
    auto part = open_part(dir / name);
    if (!part) {
      if (!fs::exists(dir / name)) {
        return bad_model(index_path,
                         fmt::format("/weight_map: shard {} is missing from the directory", printable(name)),
                         "download the model again");
      }
      return part.error();
    }
    std::sort(tensors.begin(), tensors.end());
    MHUB_CHECK_OK(add_part(table, *std::move(part), [&wanted = tensors](const std::string& tensor) {
      return std::binary_search(wanted.begin(), wanted.end(), tensor);
    }));
    for (const auto& tensor : tensors) {
      if (!table.find(tensor) && !table.unsupported.contains(tensor)) {
        return bad_model(index_path,
                         fmt::format("/weight_map/{}: shard {} has no such tensor", printable(tensor, 128), name));
      }
    }
  }
  return table;
}

// The number of parts NNNNN when `name` is model-KKKKK-of-NNNNN.safetensors, else 0.
int shard_count(const std::string& name) {
  unsigned part = 0, count = 0;
  int end = 0;
  if (std::sscanf(name.c_str(), "model-%5u-of-%5u.safetensors%n", &part, &count, &end) != 2) return 0;
  if (end != static_cast<int>(name.size()) || part < 1 || part > count) return 0;
  return static_cast<int>(count);
}

Result<TensorTable> open_unindexed_shards(const fs::path& dir) {
  std::set<std::string> shards;
  int count = 0;
  std::error_code ec;
  for (fs::directory_iterator it(dir, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename().string();
    if (const int n = shard_count(name)) {
      if (count != 0 && n != count)
        return bad_model(dir, fmt::format("shards of {} and of {} parts are mixed", count, n));
      count = n;
      shards.insert(name);
    }
  }
  if (shards.empty()) {
    return bad_model(dir, "there is neither model.safetensors nor model.safetensors.index.json",
                     "give a directory with safetensors weights in Hugging Face layout, or a GGUF file");
  }
  if (static_cast<int>(shards.size()) != count) {
    return bad_model(dir, fmt::format("{} of {} shards are there", shards.size(), count), "download the model again");
  }
  TensorTable table;
  for (const auto& name : shards) {
    MHUB_TRY(auto part, open_part(dir / name));
    MHUB_CHECK_OK(add_part(table, std::move(part), [](const std::string&) { return true; }));
  }
  return table;
}

}  // namespace

const TensorEntry* TensorTable::find(std::string_view name) const {
  const auto it = tensors.find(name);
  return it == tensors.end() ? nullptr : &it->second;
}

const std::byte* TensorTable::data(const TensorEntry& entry) const {
  MHUB_CHECK(entry.file < files.size());
  const auto bytes = files[entry.file]->bytes();
  MHUB_CHECK(entry.offset <= bytes.size() && entry.bytes <= bytes.size() - entry.offset);
  return bytes.data() + entry.offset;
}

Result<TensorTable> open_safetensors_file(const fs::path& file) {
  MHUB_TRY(auto part, open_part(file));
  TensorTable table;
  MHUB_CHECK_OK(add_part(table, std::move(part), [](const std::string&) { return true; }));
  return table;
}

Result<TensorTable> open_safetensors_dir(const fs::path& dir) {
  std::error_code ec;
  const fs::path index = dir / "model.safetensors.index.json", single = dir / "model.safetensors";
  if (fs::symlink_status(index, ec).type() != fs::file_type::not_found) return open_indexed(dir, index);
  if (fs::symlink_status(single, ec).type() != fs::file_type::not_found) return open_safetensors_file(single);
  return open_unindexed_shards(dir);
}

}  // namespace mhub::formats
