// SPDX-License-Identifier: Apache-2.0
// ModelLibrary::remove.
#include <fmt/format.h>

#include <cerrno>

#include "library_state.h"
#include "mhub/base/error.h"
#include "store/layout.h"
#include "store/open_beneath.h"
#include "store/open_files.h"
#include "store/staging.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

// models/<source>/<org>/<name> without a commit left: remove the empty ones, up to models/.
void remove_empty_parents(const StoreLayout& layout, const fs::path& directory) {
  std::error_code error;
  for (fs::path parent = directory.parent_path(); layout.in_models(parent); parent = parent.parent_path()) {
    if (!fs::remove(parent, error) || error) return;  // refuses a directory that is not empty
  }
}

}  // namespace

Result<ModelLibrary::Removed> ModelLibrary::remove(const std::string& name) {
  MHUB_TRY(registry::ModelRecord model, find(name));
  if (model.id == 0) {
    return Error{ErrorCode::kModelNotFound, fmt::format("remove {}: it is not registered", printable(model.path, 1024)),
                 "delete the files yourself; mhub removes only what it keeps", ""};
  }
  const StoreLayout layout(state_->config.home);
  const fs::path directory = model.path;
  // A row may say in_store and lie elsewhere after the home directory moved: those files are not ours to delete.
  std::error_code error;
  const bool delete_files = model.in_store && layout.in_models(directory) && fs::is_directory(directory, error);
  if (!delete_files) {
    MHUB_CHECK_OK(state_->registry->remove_model(model.id));
    return Removed{std::move(model), false};
  }
  if (const auto user = find_file_user(directory)) {
    return Error{ErrorCode::kPolicy,
                 fmt::format("remove {}: process {} ({}) has it open", model.name, user->pid, printable(user->command)),
                 "stop that process first", ""};
  }
  // The row goes first: whatever a kill leaves behind then has no name.
  MHUB_CHECK_OK(state_->registry->remove_model(model.id));
  MHUB_TRY(const StagingDirectory bin, StagingDirectory::create(layout, "removed"));
  const fs::path away = bin.path() / "model";
  if (rename(directory.c_str(), away.c_str()) != 0) return disk_error("remove", directory.string(), errno);
  fs::remove_all(away, error);
  if (error) return disk_error("remove", away.string(), error.value());
  remove_empty_parents(layout, directory);
  return Removed{std::move(model), true};
}

}  // namespace mhub::hub
