// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"

// Looking after the store: what keeps it whole, small and known. Verbs over a ModelLibrary.
namespace mhub::hub {

struct RepairReport {
  VerifyReport found;                          // before anything was fetched
  std::vector<std::string> repaired;           // files
  uint64_t bytes_kept = 0, bytes_network = 0;  // of the damaged files: ranges that were good, and what was fetched
  std::vector<VerifyReport::Problem> left;     // what a download cannot mend (files that the model does not name)
};
// Verifies and fetches again what is damaged: of a large file only the 4 MiB extents whose hash is wrong, where the
// registry has their hashes. kIntegrity when the model came from no hub, or the hub has other bytes now.
Result<RepairReport> repair(ModelLibrary& library, const std::string& model, ProgressSink& progress,
                            std::stop_token stop);

struct GcOptions {
  bool dry_run = false;
  std::optional<double> older_than_seconds;  // models not used for longer
  std::optional<uint64_t> max_bytes;         // least recently used models until the store's models are this small
};
struct GcReport {
  struct Item {
    std::string kind;  // "partial", "unregistered", "extra", "model"
    std::string name;  // of the model, if any
    std::filesystem::path path;
    uint64_t bytes = 0;  // that the disk gets back: a file that is linked elsewhere stays
  };
  std::vector<Item> removed;
  std::vector<Item> busy;  // left because a process works on it
  uint64_t freed_bytes() const;
};
// Removes what no living process works on and no row names. kRegistry (hint: `mhub registry rebuild`) when the registry
// may not know this store: it is empty or younger than models that lie there, or a model was registered before.
Result<GcReport> collect_garbage(ModelLibrary& library, const GcOptions& options);

struct DiskUse {
  struct Model {
    registry::ModelRecord model;   // without files
    uint64_t bytes = 0;            // of its files
    uint64_t exclusive_bytes = 0;  // what the disk would get back without it
  };
  std::vector<Model> models;
  uint64_t models_bytes = 0;        // every shared file once
  uint64_t partial_bytes = 0;       // under partial/
  uint64_t unregistered_bytes = 0;  // below models/ without a row
  uint64_t free_bytes = 0;          // of the store's file system
};
Result<DiskUse> disk_use(ModelLibrary& library);

// `alias` for `model` (from whatever had it). kUsage for text that is no alias or is a model's name.
Result<registry::ModelRecord> set_alias(ModelLibrary& library, const std::string& model, const std::string& alias);
Result<void> remove_alias(ModelLibrary& library, const std::string& alias);
Result<registry::ModelRecord> set_pinned(ModelLibrary& library, const std::string& model, bool pinned);

// While it lives, rm and gc leave the model: a lock, which a killed process loses.
class ModelLease {
 public:
  ~ModelLease();
  ModelLease(ModelLease&&) noexcept;

 private:
  friend Result<ModelLease> lease_model(ModelLibrary& library, const registry::ModelRecord& model);
  struct State;
  explicit ModelLease(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};
// Also notes that the model was used now. kPolicy while the model is being removed.
Result<ModelLease> lease_model(ModelLibrary& library, const registry::ModelRecord& model);

struct RebuildReport {
  std::vector<registry::ModelRecord> models;  // without files
  size_t from_manifest = 0;                   // rows recorded when the model came, files unchanged since
  size_t hashed = 0;                          // rows made by hashing what lies there
  std::vector<std::string> skipped;           // "path: why"
  std::filesystem::path old_registry;         // where the previous file is now; "" = there was none
};
// A new registry from the models on disk, in place of a damaged, lost or wrong one, which is kept. What a readable old
// one still knows (aliases, pins, --local-dir models) is taken over. kRegistry while another process writes it.
Result<RebuildReport> rebuild_registry(const HubConfig& config, std::stop_token stop);

}  // namespace mhub::hub
