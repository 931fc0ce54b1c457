// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "mhub/registry/registry.h"

namespace mhub::hub {

// Rows as they were read, for as long as nobody writes to the registry: a client of 10,000 files asks 10,000 times for
// one model. The registry's file tells; while it is so fresh that its time stamp may not show the next write, nothing
// is kept. Any thread.
class RowCache {
 public:
  explicit RowCache(std::filesystem::path registry_file) : file_(std::move(registry_file)) {}

  // What the registry's file looked like at one moment.
  struct Stamp {
    uint64_t inode = 0, bytes = 0, log_bytes = 0;
    int64_t written_ns = 0, log_written_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  Stamp stamp() const;

  std::shared_ptr<const registry::ModelRecord> find(const std::string& key);  // nullptr: to be read
  // `before`: the stamp of before the row was read.
  void keep(const std::string& key, const Stamp& before, std::shared_ptr<const registry::ModelRecord> row);

 private:
  const std::filesystem::path file_;
  std::mutex mutex_;
  Stamp stamp_;                                                               // guarded by mutex_
  std::map<std::string, std::shared_ptr<const registry::ModelRecord>> rows_;  // guarded by mutex_
};

}  // namespace mhub::hub
