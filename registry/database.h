// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>
#include <string>

#include "mhub/base/result.h"
#include "mhub/registry/registry.h"

namespace mhub::registry {

// A connection with every pragma set and the schema at the newest version. See Registry::open.
Result<std::unique_ptr<SQLite::Database>> open_database(const std::filesystem::path& file, const OpenOptions& options);

// What SQLite said, as an Error of this program. `action` is "read", "write" ...
Error error_from(const SQLite::Exception& e, const std::string& action, const std::filesystem::path& file);

// WAL needs a library without the WAL-reset bug (fixed in 3.51.3) and shared memory, which network file systems lack.
bool wal_is_safe(int library_version, const std::filesystem::path& directory);

}  // namespace mhub::registry
