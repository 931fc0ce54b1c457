// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mhub/base/result.h"
#include "mhub/registry/registry.h"
#include "store/unique_fd.h"
#include "transfer/extent_set.h"

namespace mhub::hub {

// What a partial file will become. A journal for anything else is worth nothing.
struct JournalKey {
  std::string path;
  uint64_t bytes = 0;
  std::string sha256, git_sha1;
  std::string revision;  // counts only when there is no hash
  std::string text() const;
};

struct JournalState {
  ExtentSet extents;
  std::optional<registry::FileRecord> placed;  // the file was verified and has its final name
};

// What a partial file holds, append-only: a killed process loses only what was not recorded yet. After a reboot, or on
// another host, only what a mark of durability covers counts. Records carry a CRC; a torn tail is cut off.
//   file   = record*
//   record = u32 payload bytes, u32 crc32 of type and payload, u8 type, payload
class Journal {
 public:
  // Opens or starts the journal `name` in a directory. Another key, version or damage at the start begins anew.
  static Result<Journal> open(int directory_fd, const std::string& name, const JournalKey& key);
  const JournalState& recovered() const { return recovered_; }

  Result<void> add_written(Extent extent);  // after pwrite returned
  uint64_t written_records() const { return written_records_; }
  Result<void> add_durable(uint64_t written_records);  // so many were there before an fdatasync that has returned
  Result<void> add_discard();                          // nothing before this counts
  Result<void> add_placed(const registry::FileRecord& file);

 private:
  Journal(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  Result<void> append(uint8_t type, std::string_view payload);
  Result<void> start_anew(const JournalKey& key);

  UniqueFd fd_;
  std::string name_;
  JournalState recovered_;
  uint64_t written_records_ = 0;  // since the start or the last discard
};

// Identifies this boot of this host; "" where the system does not say.
std::string boot_id();

}  // namespace mhub::hub
