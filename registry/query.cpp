// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <string_view>

#include "mhub/base/error.h"
#include "registry_state.h"

namespace mhub::registry {
namespace {

constexpr int kCheckEverySteps = 10'000;
constexpr std::string_view kTables[] = {"models", "files", "aliases", "extents", "facts"};

template <size_t N>
bool is_one_of(const std::string_view (&names)[N], const char* name) {
  return name && std::find(std::begin(names), std::end(names), std::string_view(name)) != std::end(names);
}

// SELECT over the two views; everything else (ATTACH, PRAGMA, writes, extensions) is refused when the statement is
// compiled. `inner` is the view (or WITH) through which a table is read: what keeps scripts to the documented columns.
// A read without a column says only that the table takes part.
int authorize(void*, int action, const char* name, const char* detail, const char* /*database*/, const char* inner) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_READ:
      if (name && std::string_view(name).starts_with("sqlite_")) return SQLITE_DENY;
      return is_one_of(kTables, name) && !inner && detail && *detail ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_FUNCTION:
      return detail && std::string_view(detail) != "load_extension" ? SQLITE_OK : SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

struct Deadline {
  std::chrono::steady_clock::time_point at;
  static int passed(void* self) { return std::chrono::steady_clock::now() >= static_cast<Deadline*>(self)->at ? 1 : 0; }
};

Error refused(const std::string& what, ErrorCode code = ErrorCode::kUsage) {
  return {code, fmt::format("query: {}", what),
          "one SELECT over the views `model` and `file`; docs/registry.md lists their columns", ""};
}

QueryValue value_of(const SQLite::Column& column) {
  switch (column.getType()) {
    case SQLITE_INTEGER:
      return column.getInt64();
    case SQLITE_FLOAT:
      return column.getDouble();
    case SQLITE_NULL:
      return nullptr;
    default:
      return column.getString();
  }
}

}  // namespace

Result<QueryResult> Registry::query(const std::string& sql, size_t max_rows, double seconds) {
  Deadline deadline{std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                                           std::chrono::duration<double>(seconds))};
  try {
    SQLite::Database database(state_->file.string(), SQLite::OPEN_READONLY | SQLite::OPEN_NOMUTEX, 15'000);
    sqlite3* handle = database.getHandle();
    database.exec("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY");
    sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, 64 << 20);
    sqlite3_set_authorizer(handle, authorize, nullptr);
    sqlite3_progress_handler(handle, kCheckEverySteps, Deadline::passed, &deadline);
    // SQLiteCpp compiles the first statement and would drop a second one silently.
    sqlite3_stmt* first = nullptr;
    const char* rest = nullptr;
    const int compiled = sqlite3_prepare_v2(handle, sql.c_str(), static_cast<int>(sql.size()) + 1, &first, &rest);
    const bool empty = compiled == SQLITE_OK && !first;
    sqlite3_finalize(first);
    if (compiled == SQLITE_AUTH) return refused(sqlite3_errmsg(handle), ErrorCode::kPolicy);
    if (compiled != SQLITE_OK) return refused(sqlite3_errmsg(handle));
    if (empty) return refused("no statement");
    if (std::string_view(rest).find_first_not_of(" \t\r\n;") != std::string_view::npos) {
      return refused("more than one statement");
    }
    SQLite::Statement select(database, sql);
    QueryResult result;
    for (int c = 0; c < select.getColumnCount(); ++c) result.columns.emplace_back(select.getColumnName(c));
    while (select.executeStep()) {
      if (result.rows.size() == max_rows) return refused(fmt::format("more than {} rows", max_rows));
      auto& row = result.rows.emplace_back();
      for (int c = 0; c < select.getColumnCount(); ++c) row.push_back(value_of(select.getColumn(c)));
    }
    return result;
  } catch (const SQLite::Exception& e) {
    if (e.getErrorCode() == SQLITE_INTERRUPT) return refused(fmt::format("not done after {} s", seconds));
    const bool of_the_file = e.getErrorCode() == SQLITE_CORRUPT || e.getErrorCode() == SQLITE_BUSY ||
                             e.getErrorCode() == SQLITE_CANTOPEN || e.getErrorCode() == SQLITE_IOERR;
    return of_the_file ? error_from(e, "query", state_->file) : refused(e.what());
  }
}

}  // namespace mhub::registry
