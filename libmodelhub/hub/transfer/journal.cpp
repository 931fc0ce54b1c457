// SPDX-License-Identifier: Apache-2.0
#include "transfer/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <vector>

#include "mhub/base/bytes.h"
#include "store/open_beneath.h"

namespace mhub::hub {
namespace {

constexpr uint64_t kMaxJournalBytes = 512u << 20;
constexpr uint32_t kMaxPayload = 64u << 10;
constexpr std::string_view kVersion = "mhub journal 1\n";

enum RecordType : uint8_t { kKey = 1, kBoot = 2, kWritten = 3, kDurable = 4, kDiscard = 5, kPlaced = 6 };

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0u);
    table[i] = value;
  }
  return table;
}

uint32_t crc32(std::string_view bytes) {
  static constexpr auto kTable = make_crc_table();
  uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<uint8_t>(c)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

struct Record {
  uint8_t type = 0;
  std::string_view payload;
};

// The next whole record with a right CRC; nullopt at the end or at a torn tail.
std::optional<Record> next_record(ByteReader& reader) {
  const auto length = reader.read<uint32_t>();
  const auto crc = reader.read<uint32_t>();
  if (!length || !crc || *length > kMaxPayload) return std::nullopt;
  const auto body = reader.read_bytes(uint64_t{*length} + 1);
  if (!body) return std::nullopt;
  const std::string_view text(reinterpret_cast<const char*>(body->data()), body->size());
  if (crc32(text) != *crc) return std::nullopt;
  return Record{static_cast<uint8_t>(text.front()), text.substr(1)};
}

std::string encode_placed(const registry::FileRecord& file) {
  std::string out;
  put(out, file.inode);
  put(out, file.mtime_ns);
  put(out, file.ctime_ns);
  put(out, file.bytes);
  out += file.sha256 + file.verified_at;
  return out;
}

std::optional<registry::FileRecord> decode_placed(std::string_view payload) {
  ByteReader reader(std::as_bytes(std::span(payload)));
  registry::FileRecord file;
  const auto inode = reader.read<uint64_t>();
  const auto mtime = reader.read<int64_t>();
  const auto ctime = reader.read<int64_t>();
  const auto bytes = reader.read<uint64_t>();
  const auto hash = reader.read_bytes(64);
  if (!inode || !mtime || !ctime || !bytes || !hash) return std::nullopt;
  file.inode = *inode;
  file.mtime_ns = *mtime;
  file.ctime_ns = *ctime;
  file.bytes = *bytes;
  file.sha256.assign(reinterpret_cast<const char*>(hash->data()), hash->size());
  file.verified_at = std::string(payload.substr(reader.offset()));
  return file;
}

// Replays records in order.
class Replay {
 public:
  explicit Replay(const JournalKey& key) : key_text_(key.text()), file_bytes_(key.bytes) {}

  bool apply(const Record& record) {
    ByteReader reader(std::as_bytes(std::span(record.payload)));
    switch (record.type) {
      case kKey:
        matches = record.payload == key_text_;
        return matches;
      case kBoot:
        if (boot_ != record.payload) forget_undurable();
        boot_ = std::string(record.payload);
        return matches;
      case kWritten: {
        const auto begin = reader.read<uint64_t>();
        const auto end = reader.read<uint64_t>();
        if (!begin || !end || *begin > *end || *end > file_bytes_) return false;
        written.push_back({*begin, *end});
        return matches;
      }
      case kDurable: {
        const auto records = reader.read<uint64_t>();
        if (!records || *records > written.size()) return false;
        durable_ = std::max(durable_, static_cast<size_t>(*records));
        return matches;
      }
      case kDiscard:
        written.clear();
        durable_ = 0;
        placed.reset();
        return matches;
      case kPlaced:
        placed = decode_placed(record.payload);
        return matches && placed.has_value();
      default:
        return false;
    }
  }
  void finish() {
    if (boot_ != boot_id() || boot_.empty()) forget_undurable();
  }

  bool matches = false;
  std::vector<Extent> written;
  std::optional<registry::FileRecord> placed;

 private:
  // placed needs no mark: it is written after fsync and rename, and its stat tuple is compared.
  void forget_undurable() { written.resize(durable_); }

  std::string key_text_, boot_;
  uint64_t file_bytes_;
  size_t durable_ = 0;
};

Result<std::string> read_whole(int fd, const std::string& name) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return disk_error("stat", name, errno);
  if (static_cast<uint64_t>(info.st_size) > kMaxJournalBytes) return std::string();
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  size_t got = 0;
  while (got < bytes.size()) {
    const ssize_t n = pread(fd, bytes.data() + got, bytes.size() - got, static_cast<off_t>(got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return disk_error("read", name, errno);
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

}  // namespace

std::string boot_id() {
  static const std::string id = [] {
    std::ifstream in("/proc/sys/kernel/random/boot_id");
    std::string text;
    std::getline(in, text);
    return text;
  }();
  return id;
}

std::string JournalKey::text() const {
  const bool hashed = !sha256.empty() || !git_sha1.empty();
  return fmt::format("{}{}\n{}\n{}\n{}\n{}", kVersion, path, bytes, sha256, git_sha1, hashed ? "" : revision);
}

Result<Journal> Journal::open(int directory_fd, const std::string& name, const JournalKey& key) {
  MHUB_TRY(UniqueFd fd, open_beneath(directory_fd, name, O_RDWR | O_CREAT | O_APPEND, 0600));
  MHUB_TRY(const std::string bytes, read_whole(fd.get(), name));
  Journal journal(std::move(fd), name);
  ByteReader reader(std::as_bytes(std::span(bytes)));
  Replay replay(key);
  uint64_t good_end = 0;
  while (const auto record = next_record(reader)) {
    if (!replay.apply(*record)) break;
    good_end = reader.offset();
  }
  if (!replay.matches) {
    MHUB_CHECK_OK(journal.start_anew(key));
    return journal;
  }
  if (good_end < bytes.size() && ftruncate(journal.fd_.get(), static_cast<off_t>(good_end)) != 0) {
    return disk_error("cut", name, errno);
  }
  replay.finish();
  for (const Extent extent : replay.written) journal.recovered_.extents.add(extent);
  journal.recovered_.placed = replay.placed;
  journal.written_records_ = replay.written.size();
  MHUB_CHECK_OK(journal.append(kBoot, boot_id()));
  return journal;
}

Result<void> Journal::start_anew(const JournalKey& key) {
  if (ftruncate(fd_.get(), 0) != 0) return disk_error("cut", name_, errno);
  MHUB_CHECK_OK(append(kKey, key.text()));
  return append(kBoot, boot_id());
}

Result<void> Journal::append(uint8_t type, std::string_view payload) {
  std::string body(1, static_cast<char>(type));
  body += payload;
  std::string record;
  put(record, static_cast<uint32_t>(payload.size()));
  put(record, crc32(body));
  record += body;
  // One write: with O_APPEND a record is whole or torn at the end, never mixed.
  for (;;) {
    const ssize_t n = write(fd_.get(), record.data(), record.size());
    if (n == static_cast<ssize_t>(record.size())) return {};
    if (n < 0 && errno == EINTR) continue;
    return disk_error("write journal", name_, n < 0 ? errno : ENOSPC);
  }
}

Result<void> Journal::add_written(Extent extent) {
  std::string payload;
  put(payload, extent.begin);
  put(payload, extent.end);
  MHUB_CHECK_OK(append(kWritten, payload));
  ++written_records_;
  return {};
}

Result<void> Journal::add_durable(uint64_t written_records) {
  std::string payload;
  put(payload, written_records);
  return append(kDurable, payload);
}

Result<void> Journal::add_discard() {
  written_records_ = 0;
  return append(kDiscard, "");
}

Result<void> Journal::add_placed(const registry::FileRecord& file) {
  return append(kPlaced, encode_placed(file));
}

}  // namespace mhub::hub
