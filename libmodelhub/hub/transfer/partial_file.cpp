// SPDX-License-Identifier: Apache-2.0
#include "transfer/partial_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <utility>

#include "store/file_tree.h"
#include "store/layout.h"
#include "store/open_beneath.h"
#include "store/sha256.h"

namespace mhub::hub {
namespace {

constexpr uint64_t kSmallestJournalled = 64u << 10;

JournalKey key_of(const RemoteFile& file) {
  return {file.path, file.bytes, file.sha256, file.git_sha1, file.revision};
}

}  // namespace

std::string partial_stem(const std::string& path) {
  return sha256_hex(path).substr(0, 32);
}

PartialFile::PartialFile(int directory_fd, const RemoteFile& file, UniqueFd fd, std::optional<Journal> journal)
    : directory_fd_(directory_fd),
      stem_(partial_stem(file.path)),
      path_(file.path),
      bytes_(file.bytes),
      fd_(std::move(fd)),
      journal_(std::move(journal)) {}

Result<PartialFile> PartialFile::open(int directory_fd, const RemoteFile& file) {
  const std::string stem = partial_stem(file.path);
  std::optional<Journal> journal;
  if (file.bytes >= kSmallestJournalled) {
    MHUB_TRY(journal, Journal::open(directory_fd, stem + ".journal", key_of(file)));
  }
  MHUB_TRY(UniqueFd fd, open_beneath(directory_fd, stem + ".part", O_RDWR | O_CREAT, 0644));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return disk_error("stat", stem, errno);
  PartialFile partial(directory_fd, file, std::move(fd), std::move(journal));
  if (partial.journal_ && static_cast<uint64_t>(info.st_size) == file.bytes) {
    partial.extents_ = partial.journal_->recovered().extents;
  } else {
    MHUB_CHECK_OK(partial.discard());
  }
  MHUB_CHECK_OK(partial.preallocate());
  return partial;
}

Result<std::optional<registry::FileRecord>> PartialFile::placed_record(int directory_fd, const RemoteFile& file) {
  const std::string name = partial_stem(file.path) + ".journal";
  if (faccessat(directory_fd, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::optional<registry::FileRecord>();
  }
  MHUB_TRY(const Journal journal, Journal::open(directory_fd, name, key_of(file)));
  std::optional<registry::FileRecord> record = journal.recovered().placed;
  if (record) {
    record->path = file.path;
    record->git_sha1 = file.git_sha1;
  }
  return record;
}

Result<void> PartialFile::preallocate() {
  // Not posix_fallocate: where the file system cannot, it writes zeros.
  while (bytes_ > 0 && fallocate(fd_.get(), 0, 0, static_cast<off_t>(bytes_)) != 0) {
    if (errno == EINTR) continue;
    if (errno != EOPNOTSUPP && errno != ENOSYS) return disk_error("reserve space for", path_, errno);
    break;
  }
  if (ftruncate(fd_.get(), static_cast<off_t>(bytes_)) != 0) return disk_error("size", path_, errno);
  return {};
}

Result<void> PartialFile::write(uint64_t offset, std::span<const std::byte> bytes) {
  const Extent extent{offset, offset + bytes.size()};
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return disk_error("write", path_, n < 0 ? errno : ENOSPC);
    offset += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  extents_.add(extent);
  return {};
}

Result<void> PartialFile::record(Extent extent) {
  if (extent.bytes() == 0 || !journal_) return {};
  return journal_->add_written(extent);
}

Result<void> PartialFile::discard() {
  extents_.clear();
  ++generation_;
  if (!journal_) return {};
  return journal_->add_discard();
}

Result<void> PartialFile::mark_durable(Mark mark) {
  if (mark.generation != generation_ || !journal_) return {};
  return journal_->add_durable(mark.written_records);
}

Result<std::vector<registry::FileRecord>> PartialFile::place(const std::vector<Verified>& files, int target_fd) {
  if (files.size() > 1) {
    // All on their way first; the waits that follow then mostly find the work done.
    for (const Verified& verified : files) sync_file_range(verified.file->fd_.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  }
  for (const Verified& verified : files) {
    if (fsync(verified.file->fd_.get()) != 0) return disk_error("sync", verified.file->path_, errno);
  }
  std::map<std::pair<dev_t, ino_t>, UniqueFd> directories;
  for (const Verified& verified : files) {
    const PartialFile& file = *verified.file;
    MHUB_TRY(ParentDirectory parent, make_parents_beneath(target_fd, file.path_));
    if (renameat(file.directory_fd_, (file.stem_ + ".part").c_str(), parent.fd.get(), parent.leaf.c_str()) != 0) {
      return disk_error("rename to", file.path_, errno);
    }
    struct stat info {};
    if (fstat(parent.fd.get(), &info) != 0) return disk_error("stat", file.path_, errno);
    directories.emplace(std::pair(info.st_dev, info.st_ino), std::move(parent.fd));
  }
  for (const auto& [key, fd] : directories) MHUB_CHECK_OK(sync_directory(fd.get(), "the target directory"));
  std::vector<registry::FileRecord> records;
  for (const Verified& verified : files) {
    struct stat info {};
    if (fstat(verified.file->fd_.get(), &info) != 0) return disk_error("stat", verified.file->path_, errno);
    registry::FileRecord record;
    set_stat(record, info);
    record.path = verified.file->path_;
    record.sha256 = verified.digests.sha256;
    record.git_sha1 = verified.digests.git_sha1;
    record.extents = verified.digests.extents;
    record.verified_at = timestamp_now();
    if (verified.file->journal_) MHUB_CHECK_OK(verified.file->journal_->add_placed(record));
    records.push_back(std::move(record));
  }
  return records;
}

void PartialFile::remove() {
  unlinkat(directory_fd_, (stem_ + ".part").c_str(), 0);
  if (journal_) unlinkat(directory_fd_, (stem_ + ".journal").c_str(), 0);
}

}  // namespace mhub::hub
