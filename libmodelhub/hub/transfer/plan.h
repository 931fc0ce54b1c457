// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"
#include "mhub/registry/registry.h"
#include "remote/hub_api.h"

namespace mhub::hub {

// The files of a snapshot that are asked for, every name of the whole listing checked first. kPolicy for unsafe names,
// kHubNotFound for a FILE that is not there, kUsage when nothing matches.
Result<std::vector<RemoteFile>> select_files(const Snapshot& snapshot, const DownloadOptions& options,
                                             const std::filesystem::path& target);
// The same choice among the files of a row that is complete: the warm run that asks no hub.
Result<std::vector<registry::FileRecord>> select_records(const registry::ModelRecord& row,
                                                         const DownloadOptions& options);

// Wanted files that the row has, of the same content, unchanged on disk since they were verified.
std::vector<registry::FileRecord> present_files(const std::optional<registry::ModelRecord>& row,
                                                const std::vector<RemoteFile>& wanted);

// What lies in the target under its final name without a row: placed by a run that was killed (its journal in
// `work_fd` says so) or put there by another tool. Kept when its content is what the listing says.
Result<std::vector<registry::FileRecord>> adopt_files(const std::vector<RemoteFile>& missing, int work_fd,
                                                      int target_fd, std::stop_token stop);

// kDisk when the file system of `work_fd` cannot hold what is still missing, plus 1 %.
Result<void> check_free_space(const std::vector<RemoteFile>& missing, int work_fd);

// Commit of a hub that has no commit ids: digest of its listing.
std::string commit_of_listing(const Snapshot& snapshot);

}  // namespace mhub::hub
