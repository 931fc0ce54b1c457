// SPDX-License-Identifier: Apache-2.0
#include "store/manifest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "mhub/base/json.h"
#include "store/extent_hash.h"
#include "store/open_beneath.h"
#include "store/safe_path.h"
#include "store/sha256.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

using registry::FileRecord;
using registry::ModelRecord;

constexpr int kFormat = 1;
constexpr size_t kMaxManifestBytes = 256u << 20;  // 200,000 files
constexpr size_t kMaxManifests = 1'000'000;

fs::path manifest_file(const StoreLayout& layout, const std::string& model_path) {
  return layout.manifests() / (sha256_hex(model_path).substr(0, 40) + ".json");
}

std::string hex_of(const std::string& bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

bool is_digest(const std::string& text, size_t length) {
  return text.size() == length &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

int nibble(char c) {
  return c <= '9' ? c - '0' : c - 'a' + 10;
}

std::optional<FileRecord> parse_file(const Json& value) {
  FileRecord file;
  file.path = value.at("path").get<std::string>();
  file.bytes = value.at("bytes").get<uint64_t>();
  file.sha256 = value.at("sha256").get<std::string>();
  file.git_sha1 = value.at("git_sha1").get<std::string>();
  file.verified_at = value.at("verified_at").get<std::string>();
  file.inode = value.at("inode").get<uint64_t>();
  file.mtime_ns = value.at("mtime_ns").get<int64_t>();
  file.ctime_ns = value.at("ctime_ns").get<int64_t>();
  const std::string extents = value.at("extents").get<std::string>();
  if (!is_digest(file.sha256, 64) || (!file.git_sha1.empty() && !is_digest(file.git_sha1, 40)) ||
      !is_digest(extents, extents.size()) || extents.size() % 16 != 0 || file.bytes > INT64_MAX) {
    return std::nullopt;
  }
  for (size_t at = 0; at < extents.size(); at += 2) {
    file.extents += static_cast<char>(nibble(extents[at]) * 16 + nibble(extents[at + 1]));
  }
  return file;
}

}  // namespace

std::string manifest_text(const ModelRecord& model) {
  Json files = Json::array();
  for (const FileRecord& file : model.files) {
    files.push_back({{"path", file.path},
                     {"bytes", file.bytes},
                     {"sha256", file.sha256},
                     {"git_sha1", file.git_sha1},
                     {"verified_at", file.verified_at},
                     {"inode", file.inode},
                     {"mtime_ns", file.mtime_ns},
                     {"ctime_ns", file.ctime_ns},
                     {"extents", hex_of(file.extents)}});
  }
  return dump_json(Json{{"format", kFormat},
                        {"name", model.name},
                        {"source", model.source},
                        {"endpoint", model.endpoint},
                        {"revision", model.revision},
                        {"commit", model.commit},
                        {"path", model.path},
                        {"in_store", model.in_store},
                        {"model_format", model.format},
                        {"quantization", model.quantization},
                        {"architecture", model.architecture},
                        {"complete", model.complete},
                        {"card", model.card_json},
                        {"created_at", model.created_at},
                        {"pinned", model.pinned},
                        {"aliases", model.aliases},
                        {"files", std::move(files)}});
}

std::optional<ModelRecord> parse_manifest(std::string_view text) {
  const auto parsed = parse_json(text, {.max_bytes = kMaxManifestBytes, .max_values = 20'000'000});
  if (!parsed || !parsed->is_object()) return std::nullopt;
  try {
    const Json& value = *parsed;
    if (value.at("format").get<int>() != kFormat) return std::nullopt;
    ModelRecord model;
    const std::pair<const char*, std::string*> texts[] = {{"name", &model.name},
                                                          {"source", &model.source},
                                                          {"endpoint", &model.endpoint},
                                                          {"revision", &model.revision},
                                                          {"commit", &model.commit},
                                                          {"path", &model.path},
                                                          {"model_format", &model.format},
                                                          {"quantization", &model.quantization},
                                                          {"architecture", &model.architecture},
                                                          {"card", &model.card_json},
                                                          {"created_at", &model.created_at}};
    for (const auto& [key, to] : texts) *to = value.at(key).get<std::string>();
    model.in_store = value.at("in_store").get<bool>();
    model.complete = value.at("complete").get<bool>();
    model.pinned = value.at("pinned").get<bool>();
    model.aliases = value.at("aliases").get<std::vector<std::string>>();
    std::vector<std::string> names;
    for (const Json& entry : value.at("files")) {
      auto file = parse_file(entry);
      if (!file) return std::nullopt;
      names.push_back(file->path);
      model.files.push_back(*std::move(file));
    }
    if (model.name.empty() || model.source.empty() || !model.path.starts_with('/') || !check_listing_names(names)) {
      return std::nullopt;
    }
    return model;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

Result<void> write_manifest(const StoreLayout& layout, const ModelRecord& model) {
  MHUB_TRY(const UniqueFd directory, open_directory(layout.manifests(), true));
  const std::string leaf = manifest_file(layout, model.path).filename();
  const std::string draft = fmt::format("{}.{}", leaf, getpid());
  UniqueFd fd(openat(directory.get(), draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return disk_error("create", (layout.manifests() / draft).string(), errno);
  const std::string text = manifest_text(model);
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = write(fd.get(), text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      unlinkat(directory.get(), draft.c_str(), 0);
      return disk_error("write", (layout.manifests() / draft).string(), error);
    }
    at += static_cast<size_t>(n);
  }
  if (fdatasync(fd.get()) != 0 || renameat(directory.get(), draft.c_str(), directory.get(), leaf.c_str()) != 0) {
    const int error = errno;
    unlinkat(directory.get(), draft.c_str(), 0);
    return disk_error("write", (layout.manifests() / leaf).string(), error);
  }
  return sync_directory(directory.get(), layout.manifests().string());
}

Result<int64_t> record_model(registry::Registry& registry, const StoreLayout& layout, const ModelRecord& model,
                             const std::function<Result<void>()>& publish) {
  ModelRecord complete = model;
  for (FileRecord& file : complete.files) {  // of earlier downloads: the registry has them by content
    if (!file.extents.empty() || file.bytes <= kExtentBytes) continue;
    MHUB_TRY(file.extents, registry.extents_of(file.sha256));
  }
  return registry.put_model(complete, [&]() -> Result<void> {
    if (publish) MHUB_CHECK_OK(publish());
    return write_manifest(layout, complete);
  });
}

void remove_manifest(const StoreLayout& layout, const std::string& model_path) {
  std::error_code ignored;
  fs::remove(manifest_file(layout, model_path), ignored);
}

namespace {

std::optional<ModelRecord> read_from(const fs::path& file) {
  UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return std::nullopt;
  std::string text;
  std::vector<char> buffer(1u << 16);
  for (;;) {
    const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 || text.size() + static_cast<size_t>(n) > kMaxManifestBytes) return std::nullopt;
    if (n == 0) break;
    text.append(buffer.data(), static_cast<size_t>(n));
  }
  return parse_manifest(text);
}

}  // namespace

std::optional<ModelRecord> read_manifest(const StoreLayout& layout, const std::string& model_path) {
  auto model = read_from(manifest_file(layout, model_path));
  if (model && model->path != model_path) return std::nullopt;
  return model;
}

Result<std::vector<ModelRecord>> read_manifests(const StoreLayout& layout) {
  std::vector<ModelRecord> models;
  std::error_code error;
  for (auto it = fs::directory_iterator(layout.manifests(), error); !error && it != fs::end(it); it.increment(error)) {
    if (it->path().extension() != ".json" || models.size() == kMaxManifests) continue;
    auto model = read_from(it->path());
    if (model && manifest_file(layout, model->path) == it->path()) models.push_back(*std::move(model));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return disk_error("read directory", layout.manifests().string(), error.value());
  }
  return models;
}

}  // namespace mhub::hub
