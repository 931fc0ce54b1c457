// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace mhub::hub {

struct Extent {
  uint64_t begin = 0, end = 0;  // [begin, end)
  uint64_t bytes() const { return end - begin; }
  bool operator==(const Extent&) const = default;
};

// Bytes of a file that are there: disjoint, merged where they touch.
class ExtentSet {
 public:
  void add(Extent extent);
  uint64_t bytes() const { return bytes_; }
  uint64_t prefix_end() const;  // [0, prefix_end) is there
  std::vector<Extent> missing(uint64_t file_bytes) const;
  void clear();

 private:
  std::map<uint64_t, uint64_t> end_by_begin_;
  uint64_t bytes_ = 0;
};

}  // namespace mhub::hub
