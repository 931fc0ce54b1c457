// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "database.h"
#include "mhub/registry/registry.h"

namespace mhub::registry {

// One connection, used by one thread at a time.
struct Registry::State {
  std::filesystem::path file;
  std::mutex mutex;
  std::unique_ptr<SQLite::Database> database;  // guarded by mutex

  // One snapshot.
  template <typename Body>
  auto read(Body body) -> Result<decltype(body(*database))> {
    const std::lock_guard lock(mutex);
    try {
      SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::DEFERRED);
      auto value = body(*database);
      transaction.commit();
      return value;
    } catch (const SQLite::Exception& e) {
      return error_from(e, "read", file);
    }
  }

  template <typename Body>
  auto write(Body body) -> Result<decltype(body(*database))> {
    const std::lock_guard lock(mutex);
    try {
      SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
      auto value = body(*database);
      transaction.commit();
      return value;
    } catch (const SQLite::Exception& e) {
      return error_from(e, "write", file);
    }
  }

  // Commits only what a body without an error did.
  template <typename Body>
  auto write_unless_error(Body body) -> decltype(body(*database)) {
    const std::lock_guard lock(mutex);
    try {
      SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
      auto result = body(*database);
      if (result) transaction.commit();
      return result;
    } catch (const SQLite::Exception& e) {
      return error_from(e, "write", file);
    }
  }
};

std::string utc_now();  // RFC 3339, milliseconds

}  // namespace mhub::registry
