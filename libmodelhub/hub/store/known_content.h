// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <optional>
#include <stop_token>
#include <string>

#include "mhub/base/result.h"
#include "mhub/registry/registry.h"
#include "store/place_file.h"

namespace mhub::hub {

// A content by its hash, as a file to be made.
struct WantedContent {
  std::string path;  // below the target
  std::string sha256;
  uint64_t bytes = 0;
};

// Makes `wanted.path` below `target_fd` from a registered file with the same content that is unchanged since it was
// verified; nullopt when there is none. `work_fd`: a directory on the same file system, for the draft. What a link does
// to the stat of the other rows' files is written to them.
Result<std::optional<registry::FileRecord>> place_known_content(registry::Registry& registry,
                                                                const WantedContent& wanted, int work_fd, int target_fd,
                                                                Placement cheapest, std::stop_token stop);

// The rows of a file that was just linked once more (its ctime moved): refreshed if they were true before.
Result<void> refresh_linked_rows(registry::Registry& registry, const std::string& sha256, const struct stat& before,
                                 const struct stat& after);

// The same after links of a file that was just hashed have gone: rows of its inode whose size and mtime are still
// right.
Result<void> refresh_rows_of_inode(registry::Registry& registry, const registry::FileRecord& hashed);

}  // namespace mhub::hub
