// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <vector>

#include "transfer/file_transfer.h"

namespace mhub::hub {

// Where a part was asked for in vain, and whether the answer there was for good (no licence, no ranges) or for now.
using FailedSources = std::map<size_t, bool>;

// Which endpoint the next part is asked from: the one whose connections are fastest. Number 0 is always there.
class SourceChoice {
 public:
  void add() { sources_.emplace_back(); }
  using Clock = std::chrono::steady_clock;
  size_t choose(const FileTransfer& file, const FailedSources& failed_at) const;
  void started(size_t source) { ++sources_[source].active; }
  void ended(size_t source) { --sources_[source].active; }
  void note_success(size_t source) { sources_[source].failures = 0; }
  void note_rate(size_t source, double bytes_per_second);  // of one connection
  // True when that was one too many: it is asked only for what no other has.
  bool note_failure(size_t source);
  // For good: one of them has sent bytes that were not the file's.
  void give_up_all_but_first();
  // Whether one that works has not been tried.
  bool has_other(const FileTransfer& file, const FailedSources& than) const;
  // It limits requests: none before.
  void close_until(size_t source, Clock::time_point opens) { sources_[source].opens = opens; }
  Clock::time_point opens_at(size_t source) const { return sources_[source].opens; }

 private:
  struct Source {
    int active = 0, failures = 0;
    double rate = 0;   // 0 = not known yet
    bool out = false;  // given up, whatever it still delivers
    Clock::time_point opens{};
    bool works() const;
  };
  bool better(const Source& a, const Source& b) const;

  std::vector<Source> sources_{1};
};

}  // namespace mhub::hub
