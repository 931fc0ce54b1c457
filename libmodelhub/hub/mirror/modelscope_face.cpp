// SPDX-License-Identifier: Apache-2.0
// /api/v1/models/{org}/{name}[/revisions | /commits | /repo/files | /repo], /openapi/v1/models/{org}/{name}, and the
// calls that a client makes around them (login, acceleration info, users/me).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "mhub/base/json.h"
#include "mirror/catalog.h"
#include "mirror/faces.h"
#include "mirror/file_response.h"

namespace mhub::hub {
namespace {

using registry::FileRecord;
using registry::ModelRecord;

httpd::Response success(Json data) {
  return json_response(200, {{"Code", 200}, {"Success", true}, {"Message", "success"}, {"Data", std::move(data)}});
}

httpd::Response failure(int status, const std::string& message) {
  return json_response(status, {{"Code", status == 404 ? int64_t{10010205001} : status},
                                {"Success", false},
                                {"Message", message},
                                {"Data", nullptr}});
}

std::string query(const httpd::Request& request, std::string_view name) {
  const auto* value = request.query_value(name);
  return value ? *value : "";
}

bool is_true(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text == "true" || text == "1";
}

std::string leaf(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

Json entry(const ModelRecord& model, const std::string& path, const FileRecord* file) {
  return {{"Name", leaf(path)},
          {"Path", path},
          {"Type", file ? "blob" : "tree"},
          {"Size", file ? file->bytes : 0},
          {"Sha256", file ? file->sha256 : ""},
          {"Revision", commit_of(model)},
          {"IsLFS", file != nullptr},
          {"InCheck", false},
          {"Mode", file ? "33188" : "16384"},
          {"CommittedDate", created_seconds(model)},
          {"CommitMessage", "mirrored by mhub"},
          {"CommitterName", "mhub"}};
}

// Files below `root` ("" = all), and the directories on the way; only direct children unless recursive.
Json listing(const ModelRecord& model, std::string root, bool recursive) {
  while (root.ends_with('/')) root.pop_back();
  while (root.starts_with('/')) root.erase(0, 1);
  const std::string prefix = root.empty() ? "" : root + "/";
  Json files = Json::array();
  std::set<std::string> trees;
  for (const FileRecord& file : model.files) {
    if (!file.path.starts_with(prefix)) continue;
    for (size_t slash = file.path.find('/', prefix.size()); slash != std::string::npos;
         slash = recursive ? file.path.find('/', slash + 1) : std::string::npos) {
      const std::string tree = file.path.substr(0, slash);
      if (trees.insert(tree).second) files.push_back(entry(model, tree, nullptr));
    }
    if (recursive || file.path.find('/', prefix.size()) == std::string::npos)
      files.push_back(entry(model, file.path, &file));
  }
  return files;
}

Json commits(const ModelRecord& model) {
  const std::string commit = commit_of(model);
  return {{"TotalCount", 1},
          {"Commit", Json::array({{{"Id", commit},
                                   {"ShortId", commit.substr(0, 8)},
                                   {"Title", "mirrored by mhub"},
                                   {"Message", "mirrored by mhub"},
                                   {"AuthorName", "mhub"},
                                   {"AuthoredDate", created_seconds(model)},
                                   {"CommitterName", "mhub"},
                                   {"CreatedAt", created_seconds(model)}}})}};
}

Json info(const ModelRecord& model) {
  return {{"Name", leaf(model.name)},
          {"Path", model.name.substr(0, model.name.find('/'))},
          {"Revision", "master"},
          {"CreatedTime", created_seconds(model)},
          {"LastUpdatedTime", created_seconds(model)},
          {"Tags", Json::array()},
          {"Libraries", Json::array()},
          {"Downloads", 0},
          {"Visibility", 5},
          {"StorageSize", model.total_bytes()}};
}

Json openapi_info(const ModelRecord& model) {
  return {{"success", true},
          {"data",
           {{"id", model.name},
            {"display_name", leaf(model.name)},
            {"private", false},
            {"gated", false},
            {"file_size", model.total_bytes()},
            {"created_at", model.created_at},
            {"last_modified", model.created_at}}}};
}

httpd::Response answer(LibraryView& view, const httpd::Request& request, const std::vector<std::string>& segments) {
  // segments: api v1 models ORG NAME [what [what]]
  const std::string repo_id = segments[3] + "/" + segments[4];
  const std::string what =
      segments.size() > 5 ? fmt::format("{}", fmt::join(segments.begin() + 5, segments.end(), "/")) : "";
  std::string revision = query(request, "Revision");
  if (what == "commits") revision = query(request, "Ref");
  const auto model = view.find(repo_id, revision);
  if (!model) return failure(error_info(model.error().code).http_status, model.error().one_line());
  if (!*model)
    return failure(404, fmt::format("model '{}' with revision '{}' is not on this mirror", repo_id, revision));
  const ModelRecord& found = *(*model)->model;
  if ((*model)->partial && (what.empty() || what == "repo/files")) return failure(404, kOnlySomeFiles);
  if (what.empty()) return success(info(found));
  if (what == "revisions") {
    const Json branch = {{"Revision", "master"}, {"CreatedAt", created_seconds(found)}};
    return success({{"RevisionMap", {{"Branches", Json::array({branch})}, {"Tags", Json::array()}}}});
  }
  if (what == "commits") return success(commits(found));
  if (what == "repo/files") {
    return success({{"Files", listing(found, query(request, "Root"), is_true(query(request, "Recursive")))},
                    {"LatestCommitter", {{"Id", commit_of(found)}}}});
  }
  if (what == "repo") {
    const std::string path = query(request, "FilePath");
    const FileRecord* file = find_file(found, path);
    return file ? view.file(request, found, *file) : failure(404, fmt::format("file '{}' is not in {}", path, repo_id));
  }
  return failure(404, "this mirror has no such route");
}

}  // namespace

std::optional<httpd::Response> modelscope_face(LibraryView& view, const httpd::Request& request,
                                               const std::vector<std::string>& segments) {
  const auto starts_with = [&](std::initializer_list<std::string_view> prefix) {
    return segments.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), segments.begin());
  };
  if (starts_with({"api", "v1", "models"}) && segments.size() >= 5) return answer(view, request, segments);
  if (starts_with({"openapi", "v1", "models"}) && segments.size() == 5) {
    const auto model = view.find(segments[3] + "/" + segments[4], "");
    if (!model) return failure(error_info(model.error().code).http_status, model.error().one_line());
    if (!*model || (*model)->partial) {
      return json_response(
          404, {{"success", false}, {"code", "404"}, {"message", *model ? kOnlySomeFiles : "model not found"}});
    }
    return json_response(200, openapi_info(*(*model)->model));
  }
  if (starts_with({"api", "v1", "login"})) {
    return success({{"AccessToken", ""}, {"Username", "mirror"}, {"Email", ""}, {"RequestId", ""}});
  }
  if (starts_with({"openapi", "v1", "users", "me"})) {
    return json_response(200, {{"success", true}, {"data", {{"username", "mirror"}, {"email", ""}}}});
  }
  if (starts_with({"api", "v1", "repos", "internalAccelerationInfo"})) return success(Json::object());
  if (starts_with({"api", "v1"}) || starts_with({"openapi"})) return failure(404, "this mirror has no such route");
  return std::nullopt;
}

}  // namespace mhub::hub
