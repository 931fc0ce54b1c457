// SPDX-License-Identifier: Apache-2.0
#include "mirror/row_cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>

namespace mhub::hub {
namespace {

constexpr size_t kMostRows = 64;
constexpr int64_t kCoarsestClock = 100'000'000;  // nanoseconds between two time stamps of a file system

int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

RowCache::Stamp RowCache::stamp() const {
  Stamp stamp;
  struct stat info {};
  if (::stat(file_.c_str(), &info) == 0) {
    stamp.inode = info.st_ino;
    stamp.bytes = static_cast<uint64_t>(info.st_size);
    stamp.written_ns = nanoseconds(info.st_mtim);
  }
  if (::stat((file_.string() + "-wal").c_str(), &info) == 0) {
    stamp.log_bytes = static_cast<uint64_t>(info.st_size);
    stamp.log_written_ns = nanoseconds(info.st_mtim);
  }
  return stamp;
}

std::shared_ptr<const registry::ModelRecord> RowCache::find(const std::string& key) {
  const Stamp now_there = stamp();
  const std::lock_guard lock(mutex_);
  if (now_there != stamp_) return nullptr;
  const auto found = rows_.find(key);
  return found == rows_.end() ? nullptr : found->second;
}

void RowCache::keep(const std::string& key, const Stamp& before, std::shared_ptr<const registry::ModelRecord> row) {
  const int64_t age = now() - std::max(before.written_ns, before.log_written_ns);
  if (age < kCoarsestClock) return;
  const std::lock_guard lock(mutex_);
  if (before != stamp_ || rows_.size() >= kMostRows) rows_.clear();
  stamp_ = before;
  rows_.insert_or_assign(key, std::move(row));
}

}  // namespace mhub::hub
