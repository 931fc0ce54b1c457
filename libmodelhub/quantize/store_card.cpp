// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "mhub/base/bytes.h"
#include "mhub/formats/safetensors.h"
#include "mhub/quantize/quantize.h"
#include "shard_writer.h"

namespace mhub::quantize {
namespace fs = std::filesystem;
namespace {

constexpr const char* kCardKey = "mhub.quality";

Error card_error(ErrorCode code, const fs::path& path, const std::string& what) {
  return {code, fmt::format("storing the quality card in {}: {}", printable(path.string(), 1024), what),
          "quantize the model again", ""};
}

// The header of a weight file with the card in it, as long as the old one.
Result<std::string> header_with_card(const fs::path& weights, const std::string& card) {
  MHUB_TRY(const auto file, formats::MappedFile::open(weights));
  MHUB_TRY(const auto header, formats::parse_safetensors(file->bytes(), weights));
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()) + 8, header.data_begin - 8);
  MHUB_TRY(auto json, parse_ordered_json(text, {.max_bytes = text.size(), .max_depth = 4, .max_values = 2'000'000}));
  json["__metadata__"][kCardKey] = card;
  std::string changed = dump_json(json);
  if (changed.size() > text.size()) return card_error(ErrorCode::kBadModel, weights, "its header has no room left");
  changed.append(text.size() - changed.size(), ' ');
  return changed;
}

Result<void> overwrite(const fs::path& path, uint64_t offset, std::string_view text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return card_error(ErrorCode::kDisk, path, std::strerror(errno));
  const ssize_t n = pwrite(fd, text.data(), text.size(), static_cast<off_t>(offset));
  const bool good = n == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  const int number = n >= 0 && n != static_cast<ssize_t>(text.size()) ? EIO : errno;
  close(fd);
  if (!good) return card_error(ErrorCode::kDisk, path, std::strerror(number));
  return {};
}

Result<fs::path> first_weight_file(const fs::path& dir) {
  MHUB_TRY(const auto table, formats::open_safetensors_dir(dir));
  return table.files.front()->path();
}

}  // namespace

Result<void> store_card(const fs::path& output, const QualityCard& card) {
  const std::string text = dump_json(card.to_json());
  MHUB_TRY(const fs::path weights, first_weight_file(output));
  MHUB_TRY(const std::string header, header_with_card(weights, text));
  MHUB_CHECK_OK(overwrite(weights, 8, header));
  std::error_code ec;
  const fs::path beside = output / "mhub_quality.json", staged = output / ".mhub_quality.json";
  fs::remove(staged, ec);
  MHUB_CHECK_OK(write_small_file(staged, dump_json(card.to_json(), 2) + "\n"));
  fs::rename(staged, beside, ec);
  if (ec) return card_error(ErrorCode::kDisk, beside, ec.message());
  return sync_directory(output);
}

}  // namespace mhub::quantize
