// SPDX-License-Identifier: Apache-2.0
// rebuild_registry: rows from manifests where the files are still those, from hashing elsewhere.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "mhub/base/error.h"
#include "mhub/hub/store_care.h"
#include "model_facts.h"
#include "store/file_tree.h"
#include "store/layout.h"
#include "store/manifest.h"
#include "store/open_beneath.h"
#include "store/safe_path.h"
#include "store/store_scan.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

using registry::FileRecord;
using registry::ModelRecord;

bool all_unchanged(const ModelRecord& model) {
  const auto directory = open_directory(model.path, false);
  return directory && !model.files.empty() &&
         std::all_of(model.files.begin(), model.files.end(),
                     [&](const FileRecord& file) { return looks_unchanged(file, directory->get()); });
}

// Every file hashed; rows of files that are as recorded keep what the hub said about them.
Result<ModelRecord> hash_directory(const StoredDirectory& stored, const std::optional<ModelRecord>& recorded,
                                   std::stop_token stop) {
  MHUB_TRY(const UniqueFd directory, open_directory(stored.path, false));
  MHUB_TRY(const std::vector<std::string> names, list_files(directory.get()));
  if (names.empty()) return Error{ErrorCode::kBadModel, "no files", "", ""};
  MHUB_CHECK_OK(check_listing_names(names));
  ModelRecord model = recorded.value_or(ModelRecord());
  MHUB_TRY(std::vector<FileRecord> files, hash_files(directory.get(), names, false, stop));
  if (recorded) {
    for (const FileRecord& was : recorded->files) {
      const auto now =
          std::find_if(files.begin(), files.end(), [&](const auto& file) { return file.path == was.path; });
      if (now == files.end() || now->sha256 != was.sha256) {
        return Error{ErrorCode::kIntegrity,
                     fmt::format("{} is {}", was.path, now == files.end() ? "missing" : "not what was recorded"), "",
                     ""};
      }
      now->git_sha1 = was.git_sha1;
    }
    std::erase_if(files, [&](const FileRecord& file) {
      return std::none_of(recorded->files.begin(), recorded->files.end(),
                          [&](const auto& was) { return was.path == file.path; });
    });
  } else {
    const ModelFacts facts = describe_directory(stored.path);
    model.source = stored.source;
    model.name = stored.name;
    model.commit = model.revision = stored.commit;
    model.path = stored.path.string();
    model.format = facts.format;
    model.quantization = facts.quantization;
    model.architecture = facts.architecture;
    model.created_at = timestamp_now();
    // Nothing says what the hub's listing had: `mhub download` completes it, or finds it complete, without fetching
    // what is here. What was imported is what it is.
    model.complete = stored.source == "local";
  }
  model.files = std::move(files);
  return model;
}

class Rebuild {
 public:
  Rebuild(const HubConfig& config, std::stop_token stop) : layout_(config.home), stop_(std::move(stop)) {}

  Result<RebuildReport> run() {
    MHUB_CHECK_OK(take_over_readable_rows());
    MHUB_TRY(const std::vector<ModelRecord> manifests, read_manifests(layout_));
    for (const ModelRecord& model : manifests) recorded_.try_emplace(model.path, model);
    std::set<std::string> known;
    for (const auto& [path, model] : recorded_) known.insert(path);
    MHUB_TRY(const std::vector<StoredDirectory> stored, scan_models(layout_, known));
    std::set<std::string> in_store;
    for (const StoredDirectory& directory : stored) {
      in_store.insert(directory.path.string());
      MHUB_CHECK_OK(add(directory));
    }
    for (const auto& [path, model] : recorded_) {  // --local-dir
      if (in_store.contains(path)) continue;
      if (model.in_store || !all_unchanged(model)) {
        report_.skipped.push_back(fmt::format("{}: {}", path, model.in_store ? "no longer there" : "changed or gone"));
      } else {
        ++report_.from_manifest;
        rows_.push_back(model);
      }
    }
    drop_repeated_aliases();
    MHUB_TRY(report_.old_registry, registry::Registry::replace(layout_.registry_file(), rows_));
    for (const ModelRecord& row : rows_) MHUB_CHECK_OK(write_manifest(layout_, row));
    for (ModelRecord& row : rows_) {
      row.num_bytes = row.total_bytes();
      row.num_files = row.files.size();
      row.files.clear();
    }
    report_.models = std::move(rows_);
    return std::move(report_);
  }

 private:
  // A registry that still opens is only too small or too old: its rows count more than manifests.
  Result<void> take_over_readable_rows() {
    std::error_code error;
    if (!fs::exists(layout_.registry_file(), error)) return {};
    const auto old = registry::Registry::open(layout_.registry_file());
    if (!old) {
      const bool newer = old.error().message.find("schema version") != std::string::npos;
      if (newer) return old.error();
      return {};
    }
    auto rows = (*old)->list_models(true);
    if (!rows) return {};
    for (ModelRecord& row : *rows) {
      for (FileRecord& file : row.files) {
        if (auto extents = (*old)->extents_of(file.sha256)) file.extents = *std::move(extents);
      }
      recorded_.try_emplace(row.path, std::move(row));
    }
    return {};
  }

  Result<void> add(const StoredDirectory& directory) {
    std::optional<ModelRecord> recorded;
    if (const auto found = recorded_.find(directory.path.string()); found != recorded_.end()) recorded = found->second;
    if (recorded && all_unchanged(*recorded)) {
      ++report_.from_manifest;
      rows_.push_back(*std::move(recorded));
      return {};
    }
    auto model = hash_directory(directory, recorded, stop_);
    if (!model && model.error().code == ErrorCode::kInterrupted) return model.error();
    if (!model) {
      report_.skipped.push_back(fmt::format("{}: {}", directory.path.string(), model.error().message));
      return {};
    }
    ++report_.hashed;
    rows_.push_back(*std::move(model));
    return {};
  }

  // Manifests are written one by one: after an alias moved, an old one may still claim it. The newest model keeps it.
  void drop_repeated_aliases() {
    std::sort(rows_.begin(), rows_.end(), [](const auto& a, const auto& b) { return a.created_at > b.created_at; });
    std::set<std::string> taken;
    for (ModelRecord& row : rows_) {
      std::erase_if(row.aliases, [&](const std::string& alias) { return !taken.insert(alias).second; });
    }
  }

  const StoreLayout layout_;
  const std::stop_token stop_;
  std::map<std::string, ModelRecord> recorded_;  // by path
  std::vector<ModelRecord> rows_;
  RebuildReport report_;
};

}  // namespace

Result<RebuildReport> rebuild_registry(const HubConfig& config, std::stop_token stop) {
  return Rebuild(config, std::move(stop)).run();
}

}  // namespace mhub::hub
