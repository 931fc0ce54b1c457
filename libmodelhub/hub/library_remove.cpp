// SPDX-License-Identifier: Apache-2.0
// ModelLibrary::remove.
#include <fmt/format.h>

#include <cerrno>

#include "library_state.h"
#include "mhub/base/error.h"
#include "store/layout.h"
#include "store/lease.h"
#include "store/manifest.h"
#include "store/open_beneath.h"
#include "store/open_files.h"
#include "store/staging.h"

namespace mhub::hub {
namespace fs = std::filesystem;
Result<ModelLibrary::Removed> ModelLibrary::remove(const std::string& name) {
  MHUB_TRY(const registry::ModelRecord model, find(name));
  if (model.id == 0) {
    return Error{ErrorCode::kModelNotFound, fmt::format("remove {}: it is not registered", printable(model.path, 1024)),
                 "delete the files yourself; mhub removes only what it keeps", ""};
  }
  return remove_row(model);
}

Result<ModelLibrary::Removed> ModelLibrary::remove_row(const registry::ModelRecord& model) {
  const StoreLayout layout(state_->config.home);
  const fs::path directory = model.path;
  const auto in_use = [&](const std::string& who) {
    return Error{ErrorCode::kPolicy, fmt::format("remove {}: {} has it open", model.name, who),
                 "stop that process first", ""};
  };
  std::string holder;
  MHUB_TRY(const std::optional<Lease> lease, Lease::claim(layout, model.path, holder));
  if (!lease) return in_use(holder);
  // A row may say in_store and lie elsewhere after the home directory moved: those files are not ours to delete.
  std::error_code error;
  const bool delete_files = model.in_store && layout.in_models(directory) && fs::is_directory(directory, error);
  if (!delete_files) {
    remove_manifest(layout, model.path);
    MHUB_CHECK_OK(state_->registry->remove_model(model.id));
    return Removed{model, false};
  }
  if (const auto user = find_file_user(directory)) {
    return in_use(fmt::format("process {} ({})", user->pid, printable(user->command)));
  }
  // The names go first: what a kill leaves behind then is garbage, which gc knows by the manifest that is not there.
  remove_manifest(layout, model.path);
  MHUB_CHECK_OK(state_->registry->remove_model(model.id));
  MHUB_TRY(const StagingDirectory bin, StagingDirectory::create(layout, "removed"));
  const fs::path away = bin.path() / "model";
  if (rename(directory.c_str(), away.c_str()) != 0) return disk_error("remove", directory.string(), errno);
  fs::remove_all(away, error);
  if (error) return disk_error("remove", away.string(), error.value());
  remove_empty_parents(layout, directory);
  return Removed{model, true};
}

}  // namespace mhub::hub
