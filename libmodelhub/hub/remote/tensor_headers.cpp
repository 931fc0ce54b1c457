// SPDX-License-Identifier: Apache-2.0
#include "remote/tensor_headers.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>

#include "mhub/base/bytes.h"
#include "mhub/base/json.h"
#include "mhub/formats/gguf.h"
#include "mhub/formats/safetensors.h"
#include "store/open_beneath.h"
#include "store/unique_fd.h"

namespace mhub::hub {
namespace {

constexpr uint64_t kFirstSafetensorsRead = 8u << 10;
constexpr uint64_t kLargestSafetensorsHeader = 100'000'000;
constexpr uint64_t kFirstGgufRead = 64u << 10;
constexpr uint64_t kLargestGgufHeader = 256u << 20;
constexpr size_t kFilesAtOnce = 64;

// A file of full size in memory that holds only its beginning: the parsers check every end against the true size.
class SparseFile {
 public:
  static Result<SparseFile> make(uint64_t bytes, std::string_view head) {
    SparseFile file;
    const UniqueFd fd(memfd_create("mhub-header", MFD_CLOEXEC));
    if (!fd) return disk_error("make", "a file in memory", errno);
    if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return disk_error("size", "a file in memory", errno);
    for (size_t at = 0; at < head.size();) {
      const ssize_t n = pwrite(fd.get(), head.data() + at, head.size() - at, static_cast<off_t>(at));
      if (n <= 0) return disk_error("write", "a file in memory", n < 0 ? errno : ENOSPC);
      at += static_cast<size_t>(n);
    }
    file.bytes_ = static_cast<size_t>(bytes);
    file.data_ = bytes == 0 ? nullptr : mmap(nullptr, file.bytes_, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (file.data_ == MAP_FAILED) {
      file.data_ = nullptr;
      return disk_error("map", "a file in memory", errno);
    }
    return file;
  }
  SparseFile(SparseFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  SparseFile& operator=(SparseFile&&) = delete;
  ~SparseFile() {
    if (data_) munmap(data_, bytes_);
  }
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), bytes_}; }

 private:
  SparseFile() = default;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

void add_tensors(TensorListing& listing, const std::vector<formats::TensorEntry>& tensors, const std::string& file) {
  for (const formats::TensorEntry& tensor : tensors) {
    listing.tensors.push_back(
        {tensor.name, std::string(kernels::dtype_info(tensor.dtype).name), file, tensor.shape, tensor.bytes});
  }
}

Error bad(const std::string& path, const std::string& what) {
  return {ErrorCode::kBadModel, fmt::format("read the header of {}: {}", printable(path, 1024), what),
          "the file on the hub is damaged or of another kind", ""};
}

Result<void> add_safetensors(TensorListing& listing, const HeaderSource& file, std::string_view head, bool first) {
  MHUB_TRY(const SparseFile image, SparseFile::make(file.bytes, head));
  MHUB_TRY(const formats::SafetensorsHeader header, formats::parse_safetensors(image.bytes(), file.path));
  add_tensors(listing, header.tensors, file.path);
  for (const auto& [name, dtype] : header.unsupported) listing.tensors.push_back({name, dtype, file.path, {}, 0});
  if (first) listing.metadata = header.metadata;
  return {};
}

std::string shown(const formats::GgufValue& value) {
  return std::visit(
      [](const auto& held) -> std::string {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return held;
        } else if constexpr (std::is_same_v<T, bool>) {
          return held ? "true" : "false";
        } else if constexpr (std::is_arithmetic_v<T>) {
          return fmt::format("{}", held);
        } else {
          return fmt::format("[{} values]", held.size());
        }
      },
      value);
}

}  // namespace

uint64_t TensorListing::parameters() const {
  uint64_t sum = 0;
  for (const ListedTensor& tensor : tensors) {
    uint64_t count = 1;
    for (const int64_t dim : tensor.shape) count *= static_cast<uint64_t>(dim);
    sum += count;
  }
  return sum;
}

Result<TensorListing> list_safetensors(const std::vector<HeaderSource>& files, const ReadHeaders& read) {
  TensorListing listing;
  listing.format = "safetensors";
  listing.files = files.size();
  for (size_t begin = 0; begin < files.size(); begin += kFilesAtOnce) {
    const size_t end = std::min(begin + kFilesAtOnce, files.size());
    std::vector<HeaderRead> first, rest;
    for (size_t i = begin; i < end; ++i) first.push_back({i, 0, std::min(files[i].bytes, kFirstSafetensorsRead)});
    MHUB_TRY(std::vector<std::string> heads, read(first));
    for (size_t i = begin; i < end; ++i) {
      const std::string& head = heads[i - begin];
      if (head.size() < 8) return bad(files[i].path, fmt::format("it has {} bytes, fewer than a header", head.size()));
      const auto length = load_le<uint64_t>(head.data());
      const auto needed = checked_add(length, 8);
      if (length > kLargestSafetensorsHeader || !needed || *needed > files[i].bytes) {
        return bad(files[i].path,
                   fmt::format("it claims a header of {} bytes in a file of {}", length, files[i].bytes));
      }
      if (*needed > head.size()) rest.push_back({i, head.size(), *needed - head.size()});
    }
    MHUB_TRY(const std::vector<std::string> tails, read(rest));
    for (size_t i = 0; i < rest.size(); ++i) heads[rest[i].file - begin] += tails[i];
    for (size_t i = begin; i < end; ++i) {
      listing.bytes_read += heads[i - begin].size();
      listing.bytes_total += files[i].bytes;
      MHUB_CHECK_OK(add_safetensors(listing, files[i], heads[i - begin], i == 0));
    }
  }
  return listing;
}

Result<TensorListing> list_gguf(const std::vector<HeaderSource>& files, const ReadHeaders& read) {
  TensorListing listing;
  listing.format = "gguf";
  listing.files = files.size();
  for (size_t i = 0; i < files.size(); ++i) {
    const HeaderSource& file = files[i];
    listing.bytes_total += file.bytes;
    std::string head;
    for (uint64_t window = kFirstGgufRead;; window *= 2) {
      const uint64_t want = std::min({window, file.bytes, kLargestGgufHeader});
      MHUB_TRY(const auto more, read({{i, head.size(), want - head.size()}}));
      listing.bytes_read += more.front().size();
      head += more.front();
      MHUB_TRY(const SparseFile image, SparseFile::make(file.bytes, head));
      const auto part = formats::parse_gguf(image.bytes(), file.path);
      // Zeros where nothing was read yet may look like an error, or like an end: only a header that ends before them
      // counts.
      uint64_t data_begin = part && part->tensors.empty() ? 0 : file.bytes;
      if (part) {
        for (const auto& tensor : part->tensors) data_begin = std::min(data_begin, tensor.offset);
      }
      if (part && (data_begin <= head.size() || head.size() == file.bytes)) {
        add_tensors(listing, part->tensors, file.path);
        if (i == 0) {
          for (const auto& [key, value] : part->metadata) listing.metadata.emplace(key, shown(value));
        }
        break;
      }
      const bool wrong_kind = head.size() >= 4 && !head.starts_with("GGUF");
      if (wrong_kind || head.size() == file.bytes || head.size() >= kLargestGgufHeader) {
        return part ? bad(file.path, "its header is too large") : part.error();
      }
    }
  }
  return listing;
}

Result<std::vector<std::string>> shards_of_index(const std::string& index_json) {
  JsonLimits limits;
  limits.max_bytes = 64u << 20;
  limits.max_values = 4'000'000;
  MHUB_TRY(const Json index, parse_json(index_json, limits));
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object()) return bad("the index", "it has no weight_map");
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string()) return bad("the index", "a shard of weight_map is no text");
    shards.insert(shard.get<std::string>());
  }
  return std::vector<std::string>(shards.begin(), shards.end());
}

}  // namespace mhub::hub
