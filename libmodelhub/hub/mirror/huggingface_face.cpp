// SPDX-License-Identifier: Apache-2.0
// /api/models/{id}[/revision/{rev} | /tree/{rev}[/{path}] | /paths-info/{rev} | /refs | /commits/{rev}], /api/whoami-v2
// and
// /{id}/resolve/{rev}/{path}. Ids have one or two segments. No Xet fields, so that clients stay on this mirror.
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

httpd::Response refuse(int status, const std::string& code, const std::string& message) {
  httpd::Response response = json_response(status, {{"error", message}});
  response.headers.emplace_back("X-Error-Code", code);
  response.headers.emplace_back("X-Error-Message", message);
  return response;
}

Json file_entry(const FileRecord& file) {
  Json entry = {{"type", "file"},
                {"path", file.path},
                {"size", file.bytes},
                {"oid", file.git_sha1.empty() ? file.sha256.substr(0, 40) : file.git_sha1}};
  // A small file that only an upstream has described is known by its git id alone.
  if (!file.sha256.empty()) entry["lfs"] = {{"oid", file.sha256}, {"size", file.bytes}, {"pointerSize", 134}};
  return entry;
}

Json tree(const ModelRecord& model, const std::string& directory, bool recursive) {
  const std::string prefix = directory.empty() ? "" : directory + "/";
  Json entries = Json::array();
  std::set<std::string> directories;
  for (const FileRecord& file : model.files) {
    if (!file.path.starts_with(prefix)) continue;
    const size_t slash = file.path.find('/', prefix.size());
    if (recursive || slash == std::string::npos) {
      entries.push_back(file_entry(file));
    } else if (directories.insert(file.path.substr(0, slash)).second) {
      entries.push_back(
          {{"type", "directory"}, {"path", file.path.substr(0, slash)}, {"size", 0}, {"oid", commit_of(model)}});
    }
  }
  return entries;
}

Json info(const ModelRecord& model, bool blobs) {
  Json siblings = Json::array();
  for (const FileRecord& file : model.files) {
    Json sibling = {{"rfilename", file.path}};
    if (blobs) {
      sibling["size"] = file.bytes;
      sibling["blobId"] = file.git_sha1.empty() ? file.sha256.substr(0, 40) : file.git_sha1;
      if (!file.sha256.empty()) sibling["lfs"] = {{"sha256", file.sha256}, {"size", file.bytes}, {"pointerSize", 134}};
    }
    siblings.push_back(std::move(sibling));
  }
  return {{"_id", commit_of(model).substr(0, 24)},
          {"id", model.name},
          {"modelId", model.name},
          {"sha", commit_of(model)},
          {"private", false},
          {"gated", false},
          {"disabled", false},
          {"downloads", 0},
          {"likes", 0},
          {"tags", Json::array()},
          {"lastModified", model.created_at},
          {"createdAt", model.created_at},
          {"usedStorage", model.total_bytes()},
          {"siblings", std::move(siblings)}};
}

std::vector<std::string> form_values(const std::string& body, std::string_view name);

// The answer about one model: `what` is the keyword after the id, `rest` what follows it.
httpd::Response answer(LibraryView& view, const httpd::Request& request, const std::string& repo_id,
                       const std::string& what, const std::vector<std::string>& rest) {
  const std::string revision = rest.empty() ? "" : rest[0];
  const auto found_model = view.find(repo_id, revision);
  if (!found_model) {
    const Error& error = found_model.error();
    return refuse(error_info(error.code).http_status, "MirrorError", error.one_line());
  }
  if (!*found_model) {
    const auto any = find_mirrored(view.registry(), repo_id, "");
    const bool known = any && any->has_value();
    return refuse(404, known ? "RevisionNotFound" : "RepoNotFound",
                  known ? fmt::format("Invalid rev id: {}", revision) : "Repository not found");
  }
  const ModelRecord& found = *(*found_model)->model;
  if ((*found_model)->partial && what != "resolve" && what != "refs" && what != "paths-info") {
    return refuse(404, "RevisionNotFound", kOnlySomeFiles);
  }
  const std::string path = rest.empty() ? "" : fmt::format("{}", fmt::join(rest.begin() + 1, rest.end(), "/"));
  if (what.empty() || what == "revision")
    return json_response(200, info(found, request.query_value("blobs") != nullptr));
  if (what == "tree") {
    const auto* recursive = request.query_value("recursive");
    return json_response(
        200, tree(found, path, recursive && (*recursive == "true" || *recursive == "True" || *recursive == "1")));
  }
  if (what == "paths-info") {
    Json entries = Json::array();
    for (const std::string& asked : form_values(request.body, "paths")) {
      if (const FileRecord* file = find_file(found, asked)) entries.push_back(file_entry(*file));
    }
    return json_response(200, entries);
  }
  if (what == "refs") {
    const Json branch = {{"name", "main"}, {"ref", "refs/heads/main"}, {"targetCommit", commit_of(found)}};
    return json_response(200,
                         {{"branches", Json::array({branch})}, {"tags", Json::array()}, {"converts", Json::array()}});
  }
  if (what == "commits") {
    return json_response(200, Json::array({{{"id", commit_of(found)},
                                            {"title", "mirrored by mhub"},
                                            {"message", ""},
                                            {"authors", Json::array()},
                                            {"date", found.created_at}}}));
  }
  if (what == "resolve") {
    const FileRecord* file = find_file(found, path);
    if (!file) return refuse(404, "EntryNotFound", fmt::format("Entry not found: {}", path));
    httpd::Response response = view.file(request, found, *file);
    response.headers.emplace_back("X-Repo-Commit", commit_of(found));
    return response;
  }
  return refuse(404, "NotFound", "this mirror has no such route");
}

std::string form_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) {
      return text[at] >= 'a' ? text[at] - 'a' + 10 : text[at] >= 'A' ? text[at] - 'A' + 10 : text[at] - '0';
    };
    if (text[i] == '%' && i + 2 < text.size() && std::isxdigit(static_cast<unsigned char>(text[i + 1])) &&
        std::isxdigit(static_cast<unsigned char>(text[i + 2]))) {
      out += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

// `paths` of a POST body, as a form (paths=a&paths=b) or as JSON ({"paths": [...]}).
std::vector<std::string> form_values(const std::string& body, std::string_view name) {
  std::vector<std::string> values;
  if (body.starts_with('{')) {
    const auto json = parse_json(body);
    if (!json || !json->contains(name)) return values;
    const Json& field = (*json)[std::string(name)];
    if (field.is_string()) values.push_back(field.get<std::string>());
    for (const auto& item : field.is_array() ? field : Json::array()) {
      if (item.is_string()) values.push_back(item.get<std::string>());
    }
    return values;
  }
  std::string_view rest = body;
  while (!rest.empty()) {
    const size_t end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name)
      values.push_back(form_decode(pair.substr(equals + 1)));
    rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
  }
  return values;
}

bool is_keyword(const std::string& segment, bool api) {
  static const std::set<std::string> kApi = {"revision", "tree", "paths-info", "refs", "commits"};
  return api ? kApi.contains(segment) : segment == "resolve";
}

}  // namespace

std::optional<httpd::Response> huggingface_face(LibraryView& view, const httpd::Request& request,
                                                const std::vector<std::string>& segments) {
  if (segments.size() == 2 && segments[0] == "api" && segments[1].starts_with("whoami")) {
    return json_response(
        200, {{"type", "user"}, {"id", "mirror"}, {"name", "mirror"}, {"fullname", "mirror"}, {"orgs", Json::array()}});
  }
  const bool api = segments.size() >= 3 && segments[0] == "api" && segments[1] == "models";
  const size_t id_begin = api ? 2 : 0;
  // The id has two segments, or one where the keyword comes right after it.
  for (const size_t id_length : {size_t{2}, size_t{1}}) {
    const size_t keyword = id_begin + id_length;
    if (segments.size() < keyword) continue;
    const bool bare = api && segments.size() == keyword;
    if (!bare && (segments.size() <= keyword || !is_keyword(segments[keyword], api))) continue;
    const std::string repo_id =
        fmt::format("{}", fmt::join(segments.begin() + id_begin, segments.begin() + keyword, "/"));
    const std::string what = bare ? "" : segments[keyword];
    const std::vector<std::string> rest(segments.begin() + std::min(keyword + 1, segments.size()), segments.end());
    const bool needs_revision = what == "resolve" || what == "tree" || what == "paths-info" || what == "revision";
    if (needs_revision && rest.empty()) return refuse(404, "RevisionNotFound", "no revision in the path");
    return answer(view, request, repo_id, what, rest);
  }
  if (!segments.empty() && segments[0] == "api") return refuse(404, "NotFound", "this mirror has no such route");
  return std::nullopt;
}

}  // namespace mhub::hub
