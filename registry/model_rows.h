// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>
#include <vector>

#include "mhub/registry/registry.h"

namespace mhub::registry {

// Statements over the three tables. All throw SQLite::Exception; callers hold the transaction.
int64_t upsert_model(SQLite::Database& database, const ModelRecord& model);
void replace_files(SQLite::Database& database, int64_t model_id, const std::vector<FileRecord>& files);
void point_aliases(SQLite::Database& database, int64_t model_id, const std::vector<std::string>& aliases);
void refresh_verification(SQLite::Database& database, int64_t model_id);  // of the model, from its files
void forget_extents(SQLite::Database& database, int64_t model_id);        // of contents that no other model has
bool update_file(SQLite::Database& database, int64_t model_id, const FileRecord& file);

// Model columns for select_models, in the order that read_model expects.
extern const char* const kModelColumns;
ModelRecord read_model(SQLite::Statement& row);
std::vector<FileRecord> select_files(SQLite::Database& database, int64_t model_id);
std::vector<std::string> select_aliases(SQLite::Database& database, int64_t model_id);

}  // namespace mhub::registry
