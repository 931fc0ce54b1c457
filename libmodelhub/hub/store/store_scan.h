// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "store/layout.h"

namespace mhub::hub {

// A directory below models/ that holds (or once held) a model's files: what its place says about it.
struct StoredDirectory {
  std::filesystem::path path;
  std::string source, name, commit;
};
// Every models/<source>/[datasets/][<org>/]<name>/<commit>. A registered path is taken as it is; elsewhere a directory
// with a file in it, or whose name is a commit's 40 hex digits. Links are not followed.
Result<std::vector<StoredDirectory>> scan_models(const StoreLayout& layout, const std::set<std::string>& registered);

// Sizes of a set of trees with every hard-linked file counted once.
class TreeSizes {
 public:
  // Adds a tree (or file). Returns the bytes of its files.
  uint64_t add(const std::filesystem::path& root);
  uint64_t total() const { return total_; }
  // Bytes of files all of whose links were added: what the disk gets back when all of it goes.
  uint64_t exclusive() const;

 private:
  struct Inode {
    uint64_t bytes = 0, links = 0, seen = 0;
  };
  std::map<std::pair<uint64_t, uint64_t>, Inode> inodes_;  // by device and number
  uint64_t total_ = 0;
};

}  // namespace mhub::hub
