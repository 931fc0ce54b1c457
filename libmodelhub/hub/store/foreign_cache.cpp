// SPDX-License-Identifier: Apache-2.0
#include "store/foreign_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <set>

#include "mhub/base/json.h"
#include "store/open_beneath.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxNoteBytes = 8u << 20;  // refs, tree lists, manifests

bool is_hex_of(std::string_view text, size_t length) {
  return text.size() == length &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string read_note(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error) || fs::file_size(file, error) > kMaxNoteBytes) return "";
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string trimmed(std::string text) {
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.pop_back();
  return text;
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

std::vector<fs::path> directories_in(const fs::path& path) {
  std::vector<fs::path> found;
  std::error_code error;
  for (auto it = fs::directory_iterator(path, error); !error && it != fs::end(it); it.increment(error)) {
    std::error_code gone;
    if (it->is_directory(gone) && !it->is_symlink(gone)) found.push_back(it->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// What clients keep beside the files of a model.
bool is_bookkeeping(const std::string& leaf) {
  static constexpr std::array<std::string_view, 9> kNames = {".msc",  ".mdl",  ".mv",    ".cache",    ".git",
                                                             ".mhub", ".lock", ".locks", "._____temp"};
  return std::find(kNames.begin(), kNames.end(), leaf) != kNames.end() || leaf.ends_with(".incomplete");
}

Result<std::vector<ForeignModel::File>> files_below(const fs::path& root) {
  std::vector<ForeignModel::File> files;
  std::error_code error;
  auto it = fs::recursive_directory_iterator(root, error);
  for (; !error && it != fs::end(it); it.increment(error)) {
    if (is_bookkeeping(it->path().filename())) {
      it.disable_recursion_pending();
      continue;
    }
    std::error_code broken;
    if (it->is_regular_file(broken)) {
      files.push_back({it->path().lexically_relative(root).generic_string(), it->path(), "", ""});
    }
  }
  if (error) return disk_error("read directory", root.string(), error.value());
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

// "models--org--name" -> "org/name"; "" when it is no such name.
std::string unfold(const std::string& folded, std::string_view prefix) {
  if (!folded.starts_with(prefix)) return "";
  std::string name = folded.substr(prefix.size());
  const size_t split = name.find("--");
  if (split != std::string::npos) name.replace(split, 2, "/");
  return name;
}

// refs/<name> -> commit, the other way round; "main" wins.
std::map<std::string, std::string> refs_by_commit(const fs::path& refs) {
  std::map<std::string, std::string> names;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(refs, error); !error && it != fs::end(it); it.increment(error)) {
    const std::string commit = trimmed(read_note(it->path()));
    const std::string name = it->path().lexically_relative(refs).generic_string();
    if (is_hex_of(commit, 40) && (name == "main" || !names.contains(commit))) names[commit] = name;
  }
  return names;
}

// Whether every file of the listing that the client kept is there.
bool has_whole_tree(const fs::path& tree, const std::vector<ForeignModel::File>& files) {
  const auto parsed = parse_json(read_note(tree));
  if (!parsed || !parsed->is_object() || !parsed->contains("files") || !(*parsed)["files"].is_object()) return false;
  std::set<std::string> have;
  for (const auto& file : files) have.insert(file.path);
  const Json& listed = (*parsed)["files"];
  for (auto entry = listed.begin(); entry != listed.end(); ++entry) {
    if (!have.contains(entry.key())) return false;
  }
  return !listed.empty();
}

Result<void> scan_huggingface(const fs::path& repository, const std::string& name, std::vector<ForeignModel>& found) {
  const auto refs = refs_by_commit(repository / "refs");
  for (const fs::path& snapshot : directories_in(repository / "snapshots")) {
    const std::string commit = snapshot.filename();
    if (!is_hex_of(commit, 40)) continue;
    ForeignModel model{snapshot, "huggingface", name, "", commit, false, {}};
    MHUB_TRY(model.files, files_below(snapshot));
    std::error_code error;
    for (auto& file : model.files) {
      if (!fs::is_symlink(file.location, error)) continue;
      const std::string blob = fs::read_symlink(file.location, error).filename();
      if (is_hex_of(blob, 64)) file.sha256 = blob;
      if (is_hex_of(blob, 40)) file.git_sha1 = blob;
    }
    const auto ref = refs.find(commit);
    model.revision = ref == refs.end() ? commit : ref->second;
    model.complete = has_whole_tree(repository / "trees" / (commit + ".json"), model.files);
    if (!model.files.empty()) found.push_back(std::move(model));
  }
  return {};
}

Result<void> scan_modelscope_snapshots(const fs::path& repository, const std::string& name,
                                       std::vector<ForeignModel>& found) {
  for (const fs::path& snapshot : directories_in(repository / "snapshots")) {
    const std::string revision = snapshot.filename();
    ForeignModel model{snapshot, "modelscope", name, revision, is_hex_of(revision, 40) ? revision : "", false, {}};
    MHUB_TRY(model.files, files_below(snapshot));
    if (!model.files.empty()) found.push_back(std::move(model));
  }
  return {};
}

// "Revision:master,CreatedAt:1700000000"
std::string revision_of_mv(const std::string& text) {
  constexpr std::string_view kKey = "Revision:";
  const size_t at = text.find(kKey);
  if (at == std::string::npos) return "master";
  const std::string revision = trimmed(text.substr(at + kKey.size(), text.find(',', at) - at - kKey.size()));
  return revision.empty() ? "master" : revision;
}

// The older layout: <org>/<name with '.' as '___'>, one changing copy. A link beside it carries the true name.
Result<void> scan_modelscope_old(const fs::path& models, std::vector<ForeignModel>& found) {
  for (const fs::path& org : directories_in(models)) {
    for (const fs::path& place : directories_in(org)) {
      std::error_code error;
      if (!fs::exists(place / ".msc", error) && !fs::exists(place / ".mv", error)) continue;
      std::string leaf = place.filename();
      for (size_t at = 0; (at = leaf.find("___", at)) != std::string::npos; ++at) leaf.replace(at, 3, ".");
      ForeignModel model{place,
                         "modelscope",
                         org.filename().string() + "/" + leaf,
                         revision_of_mv(read_note(place / ".mv")),
                         "",
                         false,
                         {}};
      MHUB_TRY(model.files, files_below(place));
      if (!model.files.empty()) found.push_back(std::move(model));
    }
  }
  return {};
}

Result<void> scan_ollama(const fs::path& root, std::vector<ForeignModel>& found) {
  const fs::path manifests = root / "manifests";
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(manifests, error); !error && it != fs::end(it); it.increment(error)) {
    const fs::path relative = it->path().lexically_relative(manifests);
    std::vector<std::string> parts(relative.begin(), relative.end());
    std::error_code gone;
    if (parts.size() != 4 || !it->is_regular_file(gone)) continue;  // host/namespace/model/tag
    ForeignModel model{it->path(), "ollama", parts[1] + "/" + parts[2], parts[3], "", true, {}};
    const auto layers = parse_ollama_manifest(read_note(it->path()), parts[2], parts[3]);
    if (!layers) continue;
    for (const OllamaLayer& layer : *layers) {
      const fs::path blobs = root / "blobs";
      fs::path blob = blobs / ("sha256-" + layer.sha256);
      if (!fs::exists(blob, gone)) blob = blobs / ("sha256:" + layer.sha256);  // older versions
      model.files.push_back({layer.path, blob, layer.sha256, ""});
    }
    model.files.push_back({"ollama-manifest.json", it->path(), "", ""});
    found.push_back(std::move(model));
  }
  return {};
}

}  // namespace

Result<std::vector<OllamaLayer>> parse_ollama_manifest(std::string_view text, const std::string& model,
                                                       const std::string& tag) {
  const auto bad = [&](const std::string& why) {
    return Error{ErrorCode::kBadModel, fmt::format("read the Ollama manifest of {}:{}: {}", model, tag, why),
                 "pull it again", ""};
  };
  const auto parsed = parse_json(text, {.max_bytes = kMaxNoteBytes});
  if (!parsed) return bad(parsed.error().message);
  if (!parsed->is_object() || !parsed->contains("layers") || !(*parsed)["layers"].is_array()) return bad("no layers");
  std::vector<OllamaLayer> layers;
  std::map<std::string, int> used;
  const auto add = [&](const Json& layer, const std::string& fixed_name) -> bool {
    if (!layer.is_object() || !layer.contains("digest") || !layer["digest"].is_string()) return false;
    std::string digest = layer["digest"].get<std::string>();
    if (!digest.starts_with("sha256:") || !is_hex_of(std::string_view(digest).substr(7), 64)) return false;
    const std::string type =
        layer.contains("mediaType") && layer["mediaType"].is_string() ? layer["mediaType"].get<std::string>() : "";
    std::string kind = type.substr(type.rfind('.') + 1);
    if (kind.find_first_not_of("abcdefghijklmnopqrstuvwxyz") != std::string::npos || kind.empty()) kind = "layer";
    std::string name = kind == "model" ? fmt::format("{}-{}.gguf", model, tag) : kind;
    if (!fixed_name.empty()) name = fixed_name;
    if (const int again = used[name]++; again > 0) name = fmt::format("{}-{}", again, name);
    const uint64_t bytes =
        layer.contains("size") && layer["size"].is_number_unsigned() ? layer["size"].get<uint64_t>() : 0;
    layers.push_back({name, digest.substr(7), bytes});
    return true;
  };
  for (const Json& layer : (*parsed)["layers"]) {
    if (!add(layer, "")) return bad("a layer without a sha256 digest");
  }
  if (parsed->contains("config") && !add((*parsed)["config"], "config")) return bad("a config without a sha256 digest");
  return layers;
}

Result<std::vector<ForeignModel>> scan_foreign_cache(const fs::path& root) {
  std::vector<ForeignModel> found;
  const std::string own_name = (root / "").parent_path().filename();
  if (const std::string name = unfold(own_name, "models--"); !name.empty() && is_folder(root / "snapshots")) {
    MHUB_CHECK_OK(scan_huggingface(root, name, found));
    return found;
  }
  for (const fs::path& base : {root, root / "hub"}) {  // also given the directory above
    for (const fs::path& entry : directories_in(base)) {
      const std::string name = unfold(entry.filename(), "models--");
      if (!name.empty()) MHUB_CHECK_OK(scan_huggingface(entry, name, found));
    }
    for (const fs::path& entry : directories_in(base / "models")) {
      const std::string name = unfold(entry.filename(), "");
      if (name.find('/') != std::string::npos) MHUB_CHECK_OK(scan_modelscope_snapshots(entry, name, found));
    }
    MHUB_CHECK_OK(scan_modelscope_old(base / "models", found));
    MHUB_CHECK_OK(scan_modelscope_old(base, found));
  }
  for (const fs::path& base : {root, root / "models"}) {
    if (is_folder(base / "manifests") && is_folder(base / "blobs")) MHUB_CHECK_OK(scan_ollama(base, found));
  }
  return found;
}

}  // namespace mhub::hub
