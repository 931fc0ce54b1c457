// SPDX-License-Identifier: Apache-2.0
#include "migrations.h"

#include <fmt/format.h>

#include <iterator>

namespace mhub::registry {
namespace {
constexpr Migration kMigrations[] = {
#include "migrations.inc"
};
}  // namespace

std::span<const Migration> migrations() {
  return kMigrations;
}

int user_version(SQLite::Database& database) {
  return database.execAndGet("PRAGMA user_version").getInt();
}

void apply_migrations(SQLite::Database& database, std::span<const Migration> steps) {
  for (const Migration& step : steps) {
    if (user_version(database) >= step.version) continue;
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    if (user_version(database) >= step.version) continue;  // another process was first; rolls back
    database.exec(step.sql);
    database.exec(fmt::format("PRAGMA user_version = {}", step.version));
    transaction.commit();
  }
}

}  // namespace mhub::registry
