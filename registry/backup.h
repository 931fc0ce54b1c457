// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>

#include "mhub/base/result.h"

namespace mhub::registry {

// Where the copy of a registry of schema `version` lies that is made before it is migrated.
std::filesystem::path backup_path(const std::filesystem::path& file, int version);

// Copies an existing registry of an older schema to backup_path (0600, synced), unless that was done before. kDisk when
// it cannot: then nothing is migrated.
Result<void> back_up_before_migration(SQLite::Database& database, const std::filesystem::path& file);

// fsync of a file or directory.
Result<void> sync_path(const std::filesystem::path& path);

}  // namespace mhub::registry
