// SPDX-License-Identifier: Apache-2.0
#include "shard_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "mhub/base/bytes.h"
#include "mhub/base/check.h"
#include "mhub/base/json.h"

namespace mhub::quantize {
namespace fs = std::filesystem;
namespace {

// Room behind the first header for the quality card, so that storing it needs no second copy of the file.
constexpr size_t kHeaderReserve = 4096;

Error disk_error(const std::string& what, const fs::path& path, int number) {
  return {ErrorCode::kDisk, fmt::format("{} {}: {}", what, printable(path.string(), 1024), std::strerror(number)),
          number == ENOSPC || number == EDQUOT ? "free some space, or choose another place with --output"
                                               : "check the directory's permissions and the disk",
          ""};
}

// Appends a key that is known to be new; operator[] would search all keys before it.
void append_key(OrderedJson& object, const std::string& key, OrderedJson value) {
  object.get_ref<OrderedJson::object_t&>().emplace_back(key, std::move(value));
}

std::string header_text(std::vector<const OutputTensor*> tensors, size_t reserve,
                        std::map<std::string, uint64_t>& offsets) {
  // Widest elements first, as current writers do: then every tensor is aligned.
  std::sort(tensors.begin(), tensors.end(), [](const OutputTensor* a, const OutputTensor* b) {
    const auto width = [](const OutputTensor* t) { return kernels::dtype_info(t->dtype).block_bytes; };
    return width(a) != width(b) ? width(a) > width(b) : a->name < b->name;
  });
  OrderedJson header = OrderedJson::object();
  header["__metadata__"] = {{"format", "pt"}};
  uint64_t at = 0;
  for (const auto* tensor : tensors) {
    offsets[tensor->name] = at;
    append_key(header, tensor->name,
               {{"dtype", kernels::dtype_info(tensor->dtype).name},
                {"shape", tensor->shape},
                {"data_offsets", {at, at + tensor->bytes()}}});
    at += tensor->bytes();
  }
  std::string text = dump_json(header);
  text.append(reserve, ' ');
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace

uint64_t OutputTensor::bytes() const {
  uint64_t n = kernels::dtype_info(dtype).block_bytes;
  for (const int64_t d : shape) n *= static_cast<uint64_t>(d);
  return n;
}

Result<std::unique_ptr<OutputFile>> OutputFile::create(const fs::path& path, uint64_t bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return disk_error("creating", path, errno);
  std::unique_ptr<OutputFile> file(new OutputFile(path, fd));
  // Reserving the whole size finds a full disk before the work is done.
  if (bytes > 0 && fallocate(fd, 0, 0, static_cast<off_t>(bytes)) != 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS)
      return disk_error(fmt::format("reserving {} for", human_bytes(bytes)), path, errno);
    if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) return disk_error("sizing", path, errno);
  }
  return file;
}

OutputFile::~OutputFile() {
  close(fd_);
}

Result<void> OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return disk_error("writing", path_, n < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Result<void> OutputFile::sync() {
  if (fsync(fd_) != 0) return disk_error("syncing", path_, errno);
  return {};
}

Result<ShardWriter> ShardWriter::create(const fs::path& dir, const std::vector<OutputTensor>& tensors,
                                        uint64_t max_shard_bytes) {
  std::vector<std::vector<const OutputTensor*>> shards(1);
  uint64_t filled = 0;
  for (const auto& tensor : tensors) {
    if (!shards.back().empty() && filled + tensor.bytes() > max_shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(&tensor);
    filled += tensor.bytes();
  }
  ShardWriter writer;
  writer.dir_ = dir;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shards.size() == 1 ? "model.safetensors"
                                                : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    std::map<std::string, uint64_t> offsets;
    const std::string header = header_text(shards[i], i == 0 ? kHeaderReserve : 0, offsets);
    const uint64_t data_begin = 8 + header.size();
    uint64_t size = data_begin;
    for (const auto* tensor : shards[i]) {
      const bool added =
          writer.places_.emplace(tensor->name, Place{i, data_begin + offsets[tensor->name], tensor->bytes()}).second;
      MHUB_CHECK(added);
      size += tensor->bytes();
    }
    MHUB_TRY(auto file, OutputFile::create(dir / name, size));
    std::string head(8, '\0');
    store_le<uint64_t>(head.data(), header.size());
    head += header;
    MHUB_CHECK_OK(file->write_at(0, std::as_bytes(std::span(head))));
    writer.files_.push_back(std::move(file));
    writer.names_.push_back(name);
    writer.file_bytes_ += size;
  }
  return writer;
}

Result<void> ShardWriter::write(const std::string& tensor, uint64_t offset, std::span<const std::byte> bytes) {
  const auto it = places_.find(tensor);
  MHUB_CHECK(it != places_.end() && offset + bytes.size() <= it->second.bytes);
  return files_[it->second.file]->write_at(it->second.offset + offset, bytes);
}

Result<void> ShardWriter::finish() {
  for (const auto& file : files_) MHUB_CHECK_OK(file->sync());
  if (files_.size() == 1) return {};
  OrderedJson index;
  uint64_t total = 0;
  OrderedJson map = OrderedJson::object();
  for (const auto& [tensor, place] : places_) {
    append_key(map, tensor, names_[place.file]);
    total += place.bytes;
  }
  index["metadata"] = {{"total_size", total}};
  index["weight_map"] = std::move(map);
  return write_small_file(dir_ / "model.safetensors.index.json", dump_json(index, 2) + "\n");
}

Result<void> write_small_file(const fs::path& path, std::string_view content) {
  MHUB_TRY(const auto file, OutputFile::create(path, 0));
  MHUB_CHECK_OK(file->write_at(0, std::as_bytes(std::span(content))));
  return file->sync();
}

Result<void> sync_directory(const fs::path& dir) {
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return disk_error("opening", dir, errno);
  const int failed = fsync(fd) != 0 ? errno : 0;
  close(fd);
  if (failed) return disk_error("syncing", dir, failed);
  return {};
}

}  // namespace mhub::quantize
