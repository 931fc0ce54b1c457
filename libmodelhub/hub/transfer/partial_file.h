// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/registry/registry.h"
#include "remote/hub_api.h"
#include "store/unique_fd.h"
#include "transfer/extent_set.h"
#include "transfer/file_hasher.h"
#include "transfer/journal.h"

namespace mhub::hub {

// A file on its way: preallocated at full size, written in place, its extents journalled. The smallest have no journal:
// fetching them again costs less than making, writing and removing a second file for each. Owned by the loop thread;
// sync() and place() may run on another thread while the loop leaves the file alone.
class PartialFile {
 public:
  // In `directory_fd`, taking up what an earlier run left there for exactly this file.
  static Result<PartialFile> open(int directory_fd, const RemoteFile& file);
  // Whether an earlier run already placed this file: its record, to be compared with what is there.
  static Result<std::optional<registry::FileRecord>> placed_record(int directory_fd, const RemoteFile& file);

  int fd() const { return fd_.get(); }
  const ExtentSet& extents() const { return extents_; }
  bool journalled() const { return journal_.has_value(); }
  bool complete() const { return extents_.bytes() == bytes_; }

  Result<void> write(uint64_t offset, std::span<const std::byte> bytes);
  Result<void> record(Extent extent);  // journals what was written
  Result<void> discard();              // forgets all bytes
  // A moment of the journal: all that was recorded so far. An fdatasync begun after it makes that durable.
  struct Mark {
    uint64_t generation = 0, written_records = 0;
  };
  Mark mark() const { return {generation_, journal_ ? journal_->written_records() : 0}; }
  Result<void> mark_durable(Mark mark);

  // A file whose bytes were verified, and its hashes.
  struct Verified {
    PartialFile* file = nullptr;
    FileDigests digests;
  };
  // fsync of each, rename of each to its final name below `target_fd`, fsync of each directory once: many small files
  // together cost the disk hardly more than one.
  static Result<std::vector<registry::FileRecord>> place(const std::vector<Verified>& files, int target_fd);
  // Removes file and journal.
  void remove();

 private:
  PartialFile(int directory_fd, const RemoteFile& file, UniqueFd fd, std::optional<Journal> journal);
  Result<void> preallocate();

  int directory_fd_;
  std::string stem_, path_;
  uint64_t bytes_;
  UniqueFd fd_;
  std::optional<Journal> journal_;
  ExtentSet extents_;
  uint64_t generation_ = 0;  // counts discards
};

// "<32 hex>" for a path: the name of its partial and journal, whatever the path's length and depth.
std::string partial_stem(const std::string& path);

}  // namespace mhub::hub
