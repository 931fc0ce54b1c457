// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <span>

namespace mhub::registry {

struct Migration {
  int version;  // 1, 2, ...: PRAGMA user_version after it
  const char* name;
  const char* sql;
};

// registry/migrations/*.sql in order: the only source of the schema.
std::span<const Migration> migrations();

// Brings the database to the newest of `steps`: each step and its user_version in one transaction, each decided again
// under the write lock, so that several processes may start at once. Throws SQLite::Exception.
void apply_migrations(SQLite::Database& database, std::span<const Migration> steps);

int user_version(SQLite::Database& database);

}  // namespace mhub::registry
