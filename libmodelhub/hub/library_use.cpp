// SPDX-License-Identifier: Apache-2.0
// disk_use, aliases, pins and leases.
#include <fmt/format.h>
#include <sys/statvfs.h>

#include <set>

#include "mhub/base/error.h"
#include "mhub/hub/store_care.h"
#include "store/layout.h"
#include "store/lease.h"
#include "store/manifest.h"
#include "store/store_scan.h"

namespace mhub::hub {
namespace {

using registry::ModelRecord;

Result<ModelRecord> find_registered(ModelLibrary& library, const std::string& model, const std::string& verb) {
  MHUB_TRY(ModelRecord found, library.find(model));
  if (found.id != 0) return found;
  return Error{ErrorCode::kModelNotFound, fmt::format("{} {}: it is not registered", verb, printable(found.path, 1024)),
               "register it with `mhub import` or `mhub adopt`", ""};
}

bool is_alias_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' ||
         c == '-' || c == ':';
}

// What the row says now, for the manifest beside it.
Result<ModelRecord> after_change(ModelLibrary& library, const ModelRecord& before) {
  MHUB_TRY(auto row, library.registry().find_exact(before.source, before.name, before.commit, before.path));
  if (!row) return Error{ErrorCode::kModelNotFound, fmt::format("change {}: it is gone", before.name), "", ""};
  for (auto& file : row->files) {
    MHUB_TRY(file.extents, library.registry().extents_of(file.sha256));
  }
  MHUB_CHECK_OK(write_manifest(StoreLayout(library.config().home), *row));
  return *std::move(row);
}

}  // namespace

Result<DiskUse> disk_use(ModelLibrary& library) {
  const StoreLayout layout(library.config().home);
  DiskUse use;
  MHUB_TRY(const std::vector<ModelRecord> rows, library.registry().list_models(false));
  std::set<std::string> registered;
  TreeSizes all;
  for (const ModelRecord& row : rows) {
    registered.insert(row.path);
    TreeSizes sizes;
    const uint64_t bytes = sizes.add(row.path);
    all.add(row.path);
    use.models.push_back({row, bytes, sizes.exclusive()});
  }
  use.models_bytes = all.total();
  TreeSizes partial, unregistered;
  partial.add(layout.partial());
  use.partial_bytes = partial.total();
  MHUB_TRY(const std::vector<StoredDirectory> stored, scan_models(layout, registered));
  for (const StoredDirectory& directory : stored) {
    if (!registered.contains(directory.path.string())) unregistered.add(directory.path);
  }
  use.unregistered_bytes = unregistered.total();
  struct statvfs space {};
  if (statvfs(layout.home().c_str(), &space) == 0) {
    use.free_bytes = static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
  }
  return use;
}

Result<ModelRecord> set_alias(ModelLibrary& library, const std::string& model, const std::string& alias) {
  const auto bad = [&](const std::string& why) {
    return Error{ErrorCode::kUsage, fmt::format("tag {} as '{}': {}", model, printable(alias), why),
                 "an alias is 1 to 96 letters, digits, '.', '_', '-' and ':', beginning with a letter or digit", ""};
  };
  const bool well_formed = !alias.empty() && alias.size() <= 96 &&
                           std::all_of(alias.begin(), alias.end(), is_alias_character) && alias[0] != '.' &&
                           alias[0] != '-' && alias[0] != '_' && alias[0] != ':';
  if (!well_formed) return bad("not an alias");
  // "ms:name" and "hf:name" would be read as a source and a name.
  const auto ref = ModelRef::parse(alias);
  if (ref && (ref->source || ref->endpoint)) return bad("it reads as a model of a hub");
  MHUB_TRY(const auto named, library.registry().models_named(alias));
  if (!named.empty()) return bad("a model has this name");
  MHUB_TRY(const ModelRecord found, find_registered(library, model, "tag"));
  MHUB_CHECK_OK(library.registry().set_alias(alias, found.id));
  return after_change(library, found);
}

Result<void> remove_alias(ModelLibrary& library, const std::string& alias) {
  const auto model = library.registry().find_model(alias);
  MHUB_TRY(const bool removed, library.registry().remove_alias(alias));
  if (!removed) {
    return Error{ErrorCode::kModelNotFound, fmt::format("remove alias '{}': there is none", printable(alias)),
                 "`mhub list` shows aliases in brackets", ""};
  }
  if (model) MHUB_CHECK_OK(after_change(library, *model));
  return {};
}

Result<ModelRecord> set_pinned(ModelLibrary& library, const std::string& model, bool pinned) {
  MHUB_TRY(const ModelRecord found, find_registered(library, model, pinned ? "pin" : "unpin"));
  MHUB_CHECK_OK(library.registry().set_pinned(found.id, pinned));
  return after_change(library, found);
}

struct ModelLease::State {
  Lease lease;
};

ModelLease::ModelLease(std::unique_ptr<State> state) : state_(std::move(state)) {}
ModelLease::~ModelLease() = default;
ModelLease::ModelLease(ModelLease&&) noexcept = default;

Result<ModelLease> lease_model(ModelLibrary& library, const ModelRecord& model) {
  MHUB_TRY(Lease lease, Lease::share(StoreLayout(library.config().home), model.path));
  // A home that may only be read still serves.
  const auto touched = library.registry().touch_model(model.id);
  if (!touched && touched.error().code != ErrorCode::kDisk) return touched.error();
  return ModelLease(std::make_unique<ModelLease::State>(ModelLease::State{std::move(lease)}));
}

}  // namespace mhub::hub
