// SPDX-License-Identifier: Apache-2.0
// /v2/ and /v2/{org}/{name}/manifests/{tag or digest}, /v2/{org}/{name}/blobs/sha256:{digest}: what `ollama pull` asks.
// A model that was adopted from Ollama has its own manifest; of another one in GGUF format one is made, the same each
// time, with a config that names format and weights.
#include <fmt/format.h>

#include <algorithm>

#include "mhub/base/json.h"
#include "mirror/catalog.h"
#include "mirror/faces.h"
#include "mirror/file_response.h"
#include "store/open_beneath.h"
#include "store/sha256.h"

namespace mhub::hub {
namespace {

using registry::FileRecord;
using registry::ModelRecord;

constexpr const char* kManifestType = "application/vnd.docker.distribution.manifest.v2+json";
constexpr const char* kConfigType = "application/vnd.docker.container.image.v1+json";
constexpr const char* kModelType = "application/vnd.ollama.image.model";
constexpr const char* kOwnManifest = "ollama-manifest.json";
constexpr size_t kMaxManifestBytes = 1u << 20;

httpd::Response refuse(int status, const std::string& code, const std::string& message) {
  return json_response(status, {{"errors", Json::array({{{"code", code}, {"message", message}}})}});
}

std::string config_of(const ModelRecord& model) {
  return dump_json(Json{{"model_format", "gguf"},
                        {"model_family", "llama"},
                        {"file_type", model.quantization},
                        {"architecture", "amd64"},
                        {"os", "linux"},
                        {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array()}}}});
}

// The GGUF file that a tag means: the tag is a part of its name ("q4_k_m"), or there is one only. A file in parts is
// no Ollama model.
const FileRecord* gguf_file(const ModelRecord& model, std::string tag) {
  std::vector<const FileRecord*> files;
  for (const FileRecord& file : model.files) {
    if (file.path.ends_with(".gguf")) files.push_back(&file);
  }
  if (files.size() == 1) return files[0];
  const auto lower = [](std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
  };
  tag = lower(tag);
  const FileRecord* found = nullptr;
  for (const FileRecord* file : files) {
    if (lower(file->path).find(tag) == std::string::npos) continue;
    if (found) return nullptr;
    found = file;
  }
  return found;
}

std::string made_manifest(const ModelRecord& model, const FileRecord& file) {
  const std::string config = config_of(model);
  return dump_json(Json{
      {"schemaVersion", 2},
      {"mediaType", kManifestType},
      {"config", {{"mediaType", kConfigType}, {"digest", "sha256:" + sha256_hex(config)}, {"size", config.size()}}},
      {"layers",
       Json::array({{{"mediaType", kModelType}, {"digest", "sha256:" + file.sha256}, {"size", file.bytes}}})}});
}

std::optional<std::string> own_manifest(const ModelRecord& model) {
  if (!find_file(model, kOwnManifest)) return std::nullopt;
  const auto directory = open_directory(model.path, false);
  if (!directory) return std::nullopt;
  const auto fd = open_beneath(directory->get(), kOwnManifest, O_RDONLY);
  if (!fd) return std::nullopt;
  std::string text(kMaxManifestBytes, '\0');
  const ssize_t n = pread(fd->get(), text.data(), text.size(), 0);
  if (n <= 0) return std::nullopt;
  text.resize(static_cast<size_t>(n));
  return text;
}

httpd::Response manifest(LibraryView& view, const std::string& repo_id, const std::string& tag) {
  // "latest" is Ollama's word for the default; a tag that is no revision may still choose a file of the newest one.
  auto found = view.find(repo_id, tag == "latest" ? "" : tag);
  if (found && !*found) found = view.find(repo_id, "");
  if (!found) return refuse(error_info(found.error().code).http_status, "UNKNOWN", found.error().one_line());
  if (!*found) return refuse(404, "MANIFEST_UNKNOWN", "not on this mirror");
  const ModelRecord& model = *(*found)->model;
  std::optional<std::string> text = own_manifest(model);
  if (!text) {
    const FileRecord* file = gguf_file(model, tag);
    if (!file || file->sha256.empty()) {
      return refuse(404, "MANIFEST_UNKNOWN", "no single GGUF file of this model has this tag in its name");
    }
    text = made_manifest(model, *file);
  }
  httpd::Response response;
  response.headers = {{"Content-Type", kManifestType}, {"Docker-Content-Digest", "sha256:" + sha256_hex(*text)}};
  response.body = *std::move(text);
  return response;
}

httpd::Response blob(LibraryView& view, const httpd::Request& request, const std::string& repo_id,
                     const std::string& digest) {
  const std::string sha256 = digest.starts_with("sha256:") ? digest.substr(7) : "";
  const auto rows = view.registry().models_named(repo_id);
  if (!rows) return refuse(500, "UNKNOWN", rows.error().one_line());
  for (const ModelRecord& row : *rows) {
    const auto model = view.registry().find_exact(row.source, row.name, row.commit, row.path);
    if (!model || !*model) continue;
    for (const FileRecord& file : (*model)->files) {
      if (file.sha256 != sha256) continue;
      httpd::Response response = view.file(request, **model, file);
      // Clients take ranges only from where a Location sends them.
      if (response.status < 300) response.headers.emplace_back("Location", request.raw_path);
      response.headers.emplace_back("Docker-Content-Digest", digest);
      return response;
    }
    const std::string config = config_of(**model);
    if (sha256_hex(config) == sha256) {
      httpd::Response response;
      response.headers = {{"Content-Type", "application/octet-stream"}, {"Docker-Content-Digest", digest}};
      response.body = config;
      return response;
    }
  }
  return refuse(404, "BLOB_UNKNOWN", "not on this mirror");
}

}  // namespace

std::optional<httpd::Response> ollama_face(LibraryView& view, const httpd::Request& request,
                                           const std::vector<std::string>& segments) {
  if (segments.empty() || segments[0] != "v2") return std::nullopt;
  if (segments.size() == 1) return json_response(200, Json::object());
  if (segments.size() != 5) return refuse(404, "UNSUPPORTED", "this mirror has no such route");
  const std::string repo_id = segments[1] + "/" + segments[2];
  if (segments[3] == "manifests") return manifest(view, repo_id, segments[4]);
  if (segments[3] == "blobs") return blob(view, request, repo_id, segments[4]);
  return refuse(404, "UNSUPPORTED", "this mirror has no such route");
}

}  // namespace mhub::hub
