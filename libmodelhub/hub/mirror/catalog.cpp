// SPDX-License-Identifier: Apache-2.0
#include "mirror/catalog.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "store/layout.h"

namespace mhub::hub {

std::optional<std::vector<std::string>> path_segments(const std::string& raw_path) {
  std::vector<std::string> segments;
  std::string* segment = nullptr;
  for (size_t i = 0; i < raw_path.size(); ++i) {
    if (raw_path[i] == '/') {
      segment = nullptr;
      continue;
    }
    if (!segment) segment = &segments.emplace_back();
    if (raw_path[i] != '%') {
      *segment += raw_path[i];
      continue;
    }
    unsigned char byte = 0;
    const char* digits = raw_path.data() + i + 1;
    if (raw_path.size() - i < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) return std::nullopt;
    *segment += static_cast<char>(byte);
    i += 2;
  }
  return segments;
}

Result<std::optional<registry::ModelRecord>> find_mirrored(registry::Registry& registry, const std::string& repo_id,
                                                           const std::string& revision) {
  MHUB_TRY(const std::vector<registry::ModelRecord> rows, registry.models_named(repo_id));
  const registry::ModelRecord* best = nullptr;
  const bool newest = revision.empty() || revision == "master" || revision == "main";
  for (const auto& row : rows) {  // newest first
    if (!newest && row.commit != revision && commit_of(row) != revision && row.revision != revision) continue;
    if (!best || (row.complete && !best->complete)) best = &row;
  }
  if (!best) return std::optional<registry::ModelRecord>();
  return registry.find_exact(best->source, best->name, best->commit, best->path);
}

std::string commit_of(const registry::ModelRecord& model) {
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (model.commit.size() >= 40 && std::all_of(model.commit.begin(), model.commit.begin() + 40, hex)) {
    return model.commit.substr(0, 40);
  }
  return listing_digest(model.files);
}

int64_t created_seconds(const registry::ModelRecord& model) {
  std::tm time{};
  if (!strptime(model.created_at.c_str(), "%Y-%m-%dT%H:%M:%S", &time)) return 0;
  return timegm(&time);
}

const registry::FileRecord* find_file(const registry::ModelRecord& model, const std::string& path) {
  const auto found =
      std::find_if(model.files.begin(), model.files.end(), [&](const auto& file) { return file.path == path; });
  return found == model.files.end() ? nullptr : &*found;
}

httpd::Response json_response(int status, const Json& body) {
  httpd::Response response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "application/json; charset=utf-8");
  response.body = dump_json(body);
  return response;
}

}  // namespace mhub::hub
