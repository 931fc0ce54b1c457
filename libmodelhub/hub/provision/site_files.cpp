// SPDX-License-Identifier: Apache-2.0
// mhub.lock and what apply remembers: JSON files, replaced by rename.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "mhub/base/json.h"
#include "mhub/formats/mapped_file.h"
#include "mhub/hub/remote_model.h"
#include "mhub/hub/site.h"
#include "remote/api_client.h"
#include "store/open_beneath.h"
#include "store/sha256.h"
#include "store/unique_fd.h"
#include "transfer/name_filter.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLargestFile = 256u << 20;
constexpr int kLockVersion = 1;

Result<void> replace_file(const fs::path& file, const std::string& text) {
  std::error_code error;
  if (file.has_parent_path()) fs::create_directories(file.parent_path(), error);
  const std::string temporary = fmt::format("{}.{}", file.string(), getpid());
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) return disk_error("create", temporary, errno);
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(fd.get(), text.data() + written, text.size() - written);
    if (n <= 0) break;
    written += static_cast<size_t>(n);
  }
  if (written == text.size() && fsync(fd.get()) == 0 && rename(temporary.c_str(), file.c_str()) == 0) return {};
  const int number = errno;
  unlink(temporary.c_str());
  return disk_error("write", file.string(), number);
}

Result<Json> parse_file(std::string_view text) {
  JsonLimits limits;
  limits.max_bytes = kLargestFile;
  limits.max_values = 4'000'000;
  return parse_json(text, limits);
}

fs::path state_file(const fs::path& home, const fs::path& site) {
  std::error_code error;
  const fs::path known = fs::weakly_canonical(site, error);
  return home / "sites" / (sha256_hex(error ? site.string() : known.string()).substr(0, 24) + ".json");
}

// Entries of a lock are found by all that decides what is fetched.
std::string key_of(const SiteModel& model) {
  std::string key = model.model;
  const auto add = [&](const char* what, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) key += fmt::format(" {} {}", what, text);
  };
  add("include", model.include);
  add("exclude", model.exclude);
  if (model.repo_type == RepoType::kDataset) key += " dataset";
  return key;
}

}  // namespace

const SiteLock::Entry* SiteLock::find(const SiteModel& model) const {
  const std::string key = key_of(model);
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.model == key; });
  return found == entries.end() ? nullptr : &*found;
}

Result<SiteLock> read_lock(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) {
    return Error{ErrorCode::kUsage, fmt::format("read {}: it is not there", file.string()), "make it with `mhub lock`",
                 ""};
  }
  MHUB_TRY(const std::string text, formats::read_text_file(file, kLargestFile));
  return parse_lock(text, file);
}

Result<SiteLock> parse_lock(std::string_view text, const fs::path& file) {
  const auto damaged = [&](const std::string& what) {
    return Error{ErrorCode::kPolicy, fmt::format("read {}: {}", file.string(), what), "make it anew with `mhub lock`",
                 ""};
  };
  const auto document = parse_file(text);
  if (!document) return damaged(document.error().message);
  if (json_size(*document, "version") != kLockVersion)
    return damaged(fmt::format("its version is not {}", kLockVersion));
  const auto models = document->find("models");
  if (models == document->end() || !models->is_array()) return damaged("it has no 'models'");
  SiteLock lock;
  for (const Json& item : *models) {
    SiteLock::Entry entry{json_string(item, "model"),
                          json_string(item, "source"),
                          json_string(item, "name"),
                          json_string(item, "revision"),
                          {}};
    entry.locked.commit = hex_or_empty(json_string(item, "commit"), 40);
    const auto files = item.is_object() ? item.find("files") : item.end();
    if (entry.model.empty() || entry.locked.commit.empty() || files == item.end() || !files->is_array()) {
      return damaged("an entry is malformed");
    }
    for (const Json& file_item : *files) {
      const auto bytes = json_size(file_item, "bytes");
      LockedFile locked{json_string(file_item, "path"), bytes.value_or(0), json_string(file_item, "sha256"),
                        json_string(file_item, "git_sha1")};
      if (locked.path.empty() || !bytes) return damaged("a file of an entry is malformed");
      entry.locked.files.push_back(std::move(locked));
    }
    lock.entries.push_back(std::move(entry));
  }
  return lock;
}

std::string lock_text(const SiteLock& lock) {
  OrderedJson models = OrderedJson::array();
  for (const SiteLock::Entry& entry : lock.entries) {
    OrderedJson files = OrderedJson::array();
    for (const LockedFile& locked : entry.locked.files) {
      OrderedJson item = {{"path", locked.path}, {"bytes", locked.bytes}};
      if (!locked.sha256.empty()) item["sha256"] = locked.sha256;
      if (!locked.git_sha1.empty()) item["git_sha1"] = locked.git_sha1;
      files.push_back(std::move(item));
    }
    models.push_back({{"model", entry.model},
                      {"source", entry.source},
                      {"name", entry.name},
                      {"revision", entry.revision},
                      {"commit", entry.locked.commit},
                      {"files", std::move(files)}});
  }
  return dump_json(OrderedJson{{"version", kLockVersion}, {"models", std::move(models)}}, 2) + "\n";
}

Result<void> write_lock(const SiteLock& lock, const fs::path& file) {
  return replace_file(file, lock_text(lock));
}

Result<SiteLock> resolve_lock(ModelLibrary& library, const Site& site, std::stop_token stop) {
  SiteLock lock;
  for (const SiteModel& wanted : site.models) {
    MHUB_TRY(const auto model, RemoteModel::open(library, wanted.ref, download_options(wanted), stop));
    SiteLock::Entry entry{key_of(wanted), model->source(), model->name(), model->revision(), {}};
    entry.locked.commit = model->commit();
    const NameFilter filter{wanted.include, wanted.exclude};
    for (const RemoteFileInfo& file : model->files()) {
      if (filter.wants(file.path)) entry.locked.files.push_back({file.path, file.bytes, file.sha256, file.git_sha1});
    }
    std::sort(entry.locked.files.begin(), entry.locked.files.end(),
              [](const LockedFile& a, const LockedFile& b) { return a.path < b.path; });
    lock.entries.push_back(std::move(entry));
  }
  return lock;
}

Result<SiteState> read_site_state(const fs::path& home, const fs::path& site) {
  SiteState state;
  const fs::path file = state_file(home, site);
  std::error_code error;
  if (!fs::exists(file, error)) return state;
  MHUB_TRY(const std::string text, formats::read_text_file(file, kLargestFile));
  MHUB_TRY(const Json document, parse_file(text));
  state.models = json_strings(document, "models");
  state.units = json_strings(document, "units");
  state.aliases = json_strings(document, "aliases");
  if (const auto list = document.find("quantized"); list != document.end() && list->is_array()) {
    for (const Json& item : *list) {
      state.quantized.push_back(
          {json_string(item, "name"), json_string(item, "made_of"), json_string(item, "settings")});
    }
  }
  return state;
}

Result<void> write_site_state(const fs::path& home, const fs::path& site, const SiteState& state) {
  Json quantized = Json::array();
  for (const auto& made : state.quantized) {
    quantized.push_back({{"name", made.name}, {"made_of", made.made_of}, {"settings", made.settings}});
  }
  const Json document = {{"site", site.string()},
                         {"models", state.models},
                         {"quantized", std::move(quantized)},
                         {"units", state.units},
                         {"aliases", state.aliases}};
  return replace_file(state_file(home, site), dump_json(document, 2) + "\n");
}

}  // namespace mhub::hub
