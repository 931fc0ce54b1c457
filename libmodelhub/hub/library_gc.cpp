// SPDX-License-Identifier: Apache-2.0
// collect_garbage: what no living process works on and no row names; then models by age and size.
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <set>

#include "mhub/base/error.h"
#include "mhub/hub/store_care.h"
#include "store/file_tree.h"
#include "store/layout.h"
#include "store/lease.h"
#include "store/manifest.h"
#include "store/open_beneath.h"
#include "store/open_files.h"
#include "store/staging.h"
#include "store/store_scan.h"
#include "transfer/work_directory.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

using registry::ModelRecord;
using Item = GcReport::Item;

Error unknown_store(const std::string& what) {
  return {ErrorCode::kRegistry, fmt::format("collect garbage: {}", what),
          "run `mhub registry rebuild` first, so that no model is taken for garbage", ""};
}

uint64_t exclusive_bytes(const fs::path& path) {
  TreeSizes sizes;
  sizes.add(path);
  return sizes.exclusive();
}

class Collection {
 public:
  Collection(ModelLibrary& library, const GcOptions& options)
      : library_(library), options_(options), layout_(library.config().home) {}

  Result<GcReport> run() {
    MHUB_TRY(rows_, library_.registry().list_models(false));
    for (const ModelRecord& row : rows_) registered_.insert(row.path);
    MHUB_TRY(const std::vector<StoredDirectory> stored, scan_models(layout_, registered_));
    std::vector<StoredDirectory> leftovers;
    for (const StoredDirectory& directory : stored) {
      if (!holds_registered(directory.path)) leftovers.push_back(directory);
    }
    MHUB_CHECK_OK(check_registry_knows(leftovers));
    MHUB_CHECK_OK(remove_dead_partials());
    for (const StoredDirectory& directory : leftovers) MHUB_CHECK_OK(remove_unregistered(directory));
    for (const ModelRecord& row : rows_) MHUB_CHECK_OK(remove_extra_files(row));
    MHUB_CHECK_OK(remove_models());
    return std::move(report_);
  }

 private:
  Result<void> check_registry_knows(const std::vector<StoredDirectory>& leftovers);
  Result<void> remove_dead_partials();
  Result<bool> is_dead(const fs::path& entry, std::optional<UniqueFd>& lock);
  // Also deeper than models usually lie.
  bool holds_registered(const fs::path& directory) const {
    const std::string below = directory.string() + "/";
    const auto next = registered_.lower_bound(below);
    return registered_.contains(directory.string()) || (next != registered_.end() && next->starts_with(below));
  }
  Result<void> remove_unregistered(const StoredDirectory& directory);
  Result<void> remove_extra_files(const ModelRecord& row);
  Result<void> remove_models();
  Result<bool> remove_model(const ModelRecord& row);
  // Out of models/ by a rename, then deleted: a kill leaves it under partial/.
  Result<void> discard(const fs::path& path);

  ModelLibrary& library_;
  const GcOptions& options_;
  const StoreLayout layout_;
  std::vector<ModelRecord> rows_;
  std::set<std::string> registered_;
  GcReport report_;
};

Result<void> Collection::check_registry_knows(const std::vector<StoredDirectory>& leftovers) {
  if (leftovers.empty()) return {};
  MHUB_TRY(const auto known, library_.registry().store_knowledge());
  if (!known.has_models && !known.since.empty()) {
    return unknown_store(fmt::format("the registry is empty, but {} model directories lie in {}", leftovers.size(),
                                     layout_.models().string()));
  }
  for (const StoredDirectory& directory : leftovers) {
    struct stat info {};
    if (lstat(directory.path.c_str(), &info) != 0) continue;
    const auto written = std::chrono::system_clock::from_time_t(info.st_mtim.tv_sec) +
                         std::chrono::milliseconds(info.st_mtim.tv_nsec / 1'000'000);
    if (timestamp_of(written) < known.since) {
      return unknown_store(fmt::format("{} is older than the registry and not in it", directory.path.string()));
    }
    if (read_manifest(layout_, directory.path.string())) {
      return unknown_store(
          fmt::format("{} was registered, but the registry has no row of it", directory.path.string()));
    }
  }
  return {};
}

// "<purpose>-<pid>-XXXXXX" of StagingDirectory; nullopt for other names.
std::optional<pid_t> staging_owner(const std::string& name) {
  const size_t last = name.rfind('-'), before = last == std::string::npos ? last : name.rfind('-', last - 1);
  if (before == std::string::npos || last - before < 2) return std::nullopt;
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(name.data() + before + 1, name.data() + last, pid);
  if (error != std::errc() || end != name.data() + last || pid <= 0) return std::nullopt;
  return pid;
}

// Nobody works in this entry of partial/. `lock` keeps it so.
Result<bool> Collection::is_dead(const fs::path& entry, std::optional<UniqueFd>& lock) {
  const std::string name = entry.filename();
  std::error_code error;
  if (name.starts_with("download-") && fs::is_directory(entry, error)) {
    MHUB_TRY(lock, try_lock(entry / "lock"));
    if (!lock) return false;
    for (const auto& writer : fs::directory_iterator(entry, error)) {
      if (is_living_writer(writer.path().filename())) return false;
    }
    return true;
  }
  if (const auto pid = staging_owner(name)) return kill(*pid, 0) != 0 && errno == ESRCH;
  return !find_file_user(entry);
}

Result<void> Collection::remove_dead_partials() {
  std::vector<fs::path> entries;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(layout_.partial(), error)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  for (const fs::path& entry : entries) {
    std::optional<UniqueFd> lock;
    MHUB_TRY(const bool dead, is_dead(entry, lock));
    Item item{"partial", "", entry, exclusive_bytes(entry)};
    if (!dead) {
      report_.busy.push_back(std::move(item));
      continue;
    }
    if (!options_.dry_run) {
      fs::remove_all(entry, error);
      if (error) return disk_error("remove", entry.string(), error.value());
    }
    report_.removed.push_back(std::move(item));
  }
  return {};
}

Result<void> Collection::discard(const fs::path& path) {
  MHUB_TRY(const StagingDirectory bin, StagingDirectory::create(layout_, "removed"));
  if (rename(path.c_str(), (bin.path() / "model").c_str()) != 0) return disk_error("remove", path.string(), errno);
  return {};
}

Result<void> Collection::remove_unregistered(const StoredDirectory& directory) {
  Item item{"unregistered", directory.name, directory.path, exclusive_bytes(directory.path)};
  const fs::path root = layout_.download_root(directory.source, directory.name, directory.commit);
  std::error_code error;
  const bool was_there = fs::exists(root, error);
  MHUB_TRY(std::optional<UniqueFd> lock, try_lock(root / "lock"));
  bool busy = !lock || find_file_user(directory.path);
  if (lock && !busy) {
    for (const auto& writer : fs::directory_iterator(root, error)) busy |= is_living_writer(writer.path().filename());
  }
  if (!busy && !options_.dry_run) {
    MHUB_TRY(const bool removed,
             library_.registry().if_unregistered(directory.path.string(), [&] { return discard(directory.path); }));
    busy = !removed;  // registered meanwhile
    remove_empty_parents(layout_, directory.path);
  }
  if (lock && !was_there) {
    fs::remove(root / "lock", error);
    fs::remove(root, error);
  }
  (busy ? report_.busy : report_.removed).push_back(std::move(item));
  return {};
}

// Files in a model's directory that its row does not name: of a download that was given up, or somebody else's.
Result<void> Collection::remove_extra_files(const ModelRecord& row) {
  if (!row.in_store || !layout_.in_models(row.path)) return {};
  const auto directory = open_directory(row.path, false);
  if (!directory) return {};
  MHUB_TRY(const std::vector<std::string> present, list_files(directory->get()));
  if (present.size() == row.num_files) return {};
  const fs::path root = layout_.download_root(row.source, row.name, row.commit);
  std::error_code error;
  std::optional<UniqueFd> lock;
  if (fs::exists(root, error)) {
    MHUB_TRY(lock, try_lock(root / "lock"));
    if (!lock) return {};
  }
  MHUB_TRY(const auto now, library_.registry().find_exact(row.source, row.name, row.commit, row.path));
  if (!now) return {};
  std::set<std::string> known;
  for (const auto& file : now->files) known.insert(file.path);
  for (const std::string& path : present) {
    if (known.contains(path)) continue;
    const fs::path full = fs::path(row.path) / path;
    report_.removed.push_back({"extra", row.name, full, exclusive_bytes(full)});
    if (options_.dry_run) continue;
    if (unlinkat(directory->get(), path.c_str(), 0) != 0 && errno != ENOENT) {
      return disk_error("remove", full.string(), errno);
    }
  }
  return {};
}

Result<void> Collection::remove_models() {
  if (!options_.older_than_seconds && !options_.max_bytes) return {};
  registry::ListFilter oldest_first;
  oldest_first.order = registry::ListFilter::Order::kUsed;
  oldest_first.in_store = true;
  MHUB_TRY(const std::vector<ModelRecord> rows, library_.registry().list_models(oldest_first));
  const auto age = std::chrono::duration_cast<std::chrono::system_clock::duration>(
      std::chrono::duration<double>(options_.older_than_seconds.value_or(0)));
  const std::string oldest_kept =
      options_.older_than_seconds ? timestamp_of(std::chrono::system_clock::now() - age) : "";
  std::vector<const ModelRecord*> candidates, gone;
  for (const ModelRecord& row : rows) {
    if (!row.pinned && layout_.in_models(row.path)) candidates.push_back(&row);
  }
  const auto evict = [&](const ModelRecord* row) -> Result<void> {
    MHUB_TRY(const bool removed, remove_model(*row));
    if (removed) gone.push_back(row);
    return {};
  };
  if (options_.older_than_seconds) {
    for (const ModelRecord* row : candidates) {
      if (std::max(row->used_at, row->created_at) < oldest_kept) MHUB_CHECK_OK(evict(row));
    }
    std::erase_if(candidates,
                  [&](const ModelRecord* row) { return std::max(row->used_at, row->created_at) < oldest_kept; });
  }
  if (!options_.max_bytes) return {};
  const auto is_gone = [&](const ModelRecord* row) { return std::find(gone.begin(), gone.end(), row) != gone.end(); };
  const auto remaining = [&] {
    TreeSizes sizes;
    for (const ModelRecord& row : rows) {
      if (!is_gone(&row)) sizes.add(row.path);
    }
    return sizes.total();
  };
  // What the disk gets back when `row` goes too. Files that models share only go with the last of them: such models are
  // taken after those that free something alone, and never for nothing.
  const auto frees = [&](const ModelRecord* row, const std::vector<const ModelRecord*>& others) {
    TreeSizes sizes;
    for (const ModelRecord* other : others) {
      if (other != row) sizes.add(other->path);
    }
    const uint64_t before = sizes.exclusive();
    sizes.add(row->path);
    return sizes.exclusive() > before;
  };
  uint64_t total = remaining();
  for (const bool alone : {true, false}) {
    for (const ModelRecord* row : std::vector(candidates)) {
      if (total <= *options_.max_bytes) return {};
      if (is_gone(row) || !frees(row, alone ? gone : candidates)) continue;
      MHUB_CHECK_OK(evict(row));
      total = remaining();
      if (!is_gone(row)) std::erase(candidates, row);  // in use: what it holds stays
    }
  }
  return {};
}

Result<bool> Collection::remove_model(const ModelRecord& row) {
  Item item{"model", row.name, row.path, exclusive_bytes(row.path)};
  if (options_.dry_run) {
    std::string holder;
    MHUB_TRY(const auto claim, Lease::claim(layout_, row.path, holder));
    const bool free = claim && !find_file_user(row.path);
    (free ? report_.removed : report_.busy).push_back(std::move(item));
    return free;
  }
  const auto removed = library_.remove_row(row);
  if (!removed && removed.error().code != ErrorCode::kPolicy) return removed.error();
  (removed ? report_.removed : report_.busy).push_back(std::move(item));
  return removed.has_value();
}

}  // namespace

uint64_t GcReport::freed_bytes() const {
  uint64_t total = 0;
  for (const Item& item : removed) total += item.bytes;
  return total;
}

Result<GcReport> collect_garbage(ModelLibrary& library, const GcOptions& options) {
  return Collection(library, options).run();
}

}  // namespace mhub::hub
