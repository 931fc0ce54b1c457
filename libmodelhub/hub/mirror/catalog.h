// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mhub/base/json.h"
#include "mhub/httpd/server.h"
#include "mhub/registry/registry.h"

namespace mhub::hub {

// The path of a request as its segments, each percent-decoded on its own: "%2F" inside a revision survives.
// nullopt when an escape is malformed.
std::optional<std::vector<std::string>> path_segments(const std::string& raw_path);

// The registered model that a client means by repository id and revision: the newest row of that name whose commit is
// `revision`, or simply the newest for "", master, main and the name it was downloaded under. nullopt when none.
Result<std::optional<registry::ModelRecord>> find_mirrored(registry::Registry& registry, const std::string& repo_id,
                                                           const std::string& revision);

// The 40 hex digits that clients expect of a commit.
std::string commit_of(const registry::ModelRecord& model);
// Seconds since 1970 of a row's creation.
int64_t created_seconds(const registry::ModelRecord& model);
const registry::FileRecord* find_file(const registry::ModelRecord& model, const std::string& path);

// What a mirror says instead of a listing that would look whole.
inline constexpr const char* kOnlySomeFiles =
    "this mirror has only some files of the model: run `mhub download` for all of it there, or ask for a file by name";

httpd::Response json_response(int status, const Json& body);

}  // namespace mhub::hub
