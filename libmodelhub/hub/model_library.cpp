// SPDX-License-Identifier: Apache-2.0
#include "mhub/hub/model_library.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "library_state.h"
#include "mhub/formats/model_config.h"
#include "model_facts.h"
#include "store/layout.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

using registry::ModelRecord;

Error not_found(const std::string& model, const std::string& what) {
  return {ErrorCode::kModelNotFound, fmt::format("find model '{}': {}", printable(model), what),
          "`mhub list` shows what is here; `mhub download` gets more", ""};
}

bool matches(const ModelRecord& row, const ModelRef& ref, bool organisation_left_out) {
  if (organisation_left_out ? !row.name.ends_with("/" + ref.repo_id) : row.name != ref.repo_id) return false;
  if (ref.source && row.source != source_name(*ref.source)) return false;
  if (ref.endpoint && row.endpoint != *ref.endpoint) return false;
  if (!ref.revision || row.revision == *ref.revision || row.commit == *ref.revision) return true;
  return ref.revision->size() >= 7 && row.commit.starts_with(*ref.revision);
}

// Newest row that the reference names, a whole one before one of some files. nullopt when none, kModelNotFound when several names fit.
Result<std::optional<ModelRecord>> find_by_ref(const std::vector<ModelRecord>& rows, const ModelRef& ref,
                                               const std::string& typed) {
  for (const bool organisation_left_out : {false, true}) {
    if (organisation_left_out && ref.repo_id.find('/') != std::string::npos) break;
    const ModelRecord* newest = nullptr;
    std::set<std::string> names;
    for (const ModelRecord& row : rows) {
      if (!matches(row, ref, organisation_left_out)) continue;
      names.insert(row.name);
      const auto order = [](const ModelRecord& r) { return std::tie(r.complete, r.created_at, r.id); };
      if (!newest || order(row) > order(*newest)) newest = &row;
    }
    if (names.size() > 1) return not_found(typed, fmt::format("several match: {}", fmt::join(names, ", ")));
    if (newest) return std::optional(*newest);
  }
  return std::optional<ModelRecord>();
}

// The row whose directory `path` is, or lies in as one of its files.
Result<std::optional<ModelRecord>> find_by_path(registry::Registry& registry, const std::vector<ModelRecord>& rows,
                                                const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  for (const ModelRecord& row : rows) {
    const fs::path directory = fs::weakly_canonical(row.path, error);
    const fs::path relative = real.lexically_relative(directory);
    if (relative.empty() || *relative.begin() == "..") continue;
    MHUB_TRY(auto found, registry.find_exact(row.source, row.name, row.commit, row.path));
    const auto is_it = [&](const registry::FileRecord& file) { return file.path == relative.generic_string(); };
    if (found && (relative == "." || std::any_of(found->files.begin(), found->files.end(), is_it))) return found;
  }
  return std::optional<ModelRecord>();
}

// A model on disk that nobody registered.
Result<ModelRecord> describe_path(const fs::path& path) {
  MHUB_TRY(const formats::ModelLocation location, formats::locate_model(path));
  MHUB_TRY(const InspectedModel inspected, inspect_model(location));
  std::error_code error;
  ModelRecord model;
  model.source = "local";
  model.path = fs::absolute(location.path, error).lexically_normal().string();
  model.name = fs::path(model.path).stem().string();
  model.in_store = false;
  model.format = inspected.facts.format;
  model.quantization = inspected.facts.quantization;
  model.architecture = inspected.facts.architecture;
  return model;
}

}  // namespace

ModelLibrary::ModelLibrary(std::unique_ptr<State> state) : state_(std::move(state)) {}
ModelLibrary::~ModelLibrary() = default;

Result<std::unique_ptr<ModelLibrary>> ModelLibrary::open(const HubConfig& config) {
  auto state = std::make_unique<State>();
  state->config = config;
  MHUB_TRY(state->registry, registry::Registry::open(StoreLayout(config.home).registry_file(),
                                                     {.busy_timeout_seconds = config.registry_timeout_seconds}));
  return std::unique_ptr<ModelLibrary>(new ModelLibrary(std::move(state)));
}

Result<std::vector<ModelRecord>> ModelLibrary::list() {
  return state_->registry->list_models(true);
}

Result<ModelRecord> ModelLibrary::find(const std::string& model) {
  const auto ref = ModelRef::parse(model);
  if (!ref || (!ref->source && !ref->endpoint)) {
    auto exact = state_->registry->find_model(model);
    if (exact || exact.error().code != ErrorCode::kModelNotFound) return exact;
  }
  MHUB_TRY(const std::vector<ModelRecord> rows, state_->registry->list_models(false));
  std::optional<ModelRecord> found;
  if (ref) {
    MHUB_TRY(found, find_by_ref(rows, *ref, model));
  }
  if (found) {
    MHUB_TRY(found, state_->registry->find_exact(found->source, found->name, found->commit, found->path));
  }
  std::error_code error;
  if (!found && fs::exists(model, error)) {
    MHUB_TRY(found, find_by_path(*state_->registry, rows, model));
    if (!found) return describe_path(model);
  }
  if (found) return *std::move(found);
  const bool looks_like_path = model.starts_with('/') || model.starts_with('.') || model.ends_with(".gguf");
  return not_found(model, looks_like_path ? "no such file or directory" : "it is not registered");
}

registry::Registry& ModelLibrary::registry() {
  return *state_->registry;
}
const HubConfig& ModelLibrary::config() const {
  return state_->config;
}

}  // namespace mhub::hub
