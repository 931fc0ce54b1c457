// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

#include "mhub/base/result.h"
#include "store/sha256.h"
#include "store/unique_fd.h"

namespace mhub::hub {

enum class Placement { kHardlink, kReflink, kCopy };

struct PlacedFile {
  Placement how = Placement::kCopy;
  std::optional<HashedFile> hash;  // when the bytes went through this process anyway
};

// Makes `leaf` in the directory hold the content of the open regular file `source_fd`, without copying where the file
// system allows, and syncs the content. `cheapest` is the first way tried. kDisk, kInterrupted.
Result<PlacedFile> place_file(int source_fd, const std::string& source_name, int directory_fd, const std::string& leaf,
                              std::stop_token stop, Placement cheapest = Placement::kHardlink);

// Opens a file that the user named: links are followed, but anything except a regular file is refused (kDisk).
Result<UniqueFd> open_source(const std::filesystem::path& file);

}  // namespace mhub::hub
