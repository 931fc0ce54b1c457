// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "mhub/base/result.h"
#include "mhub/httpd/server.h"
#include "mhub/registry/registry.h"
#include "mirror/row_cache.h"
#include "mirror/upstream.h"

namespace mhub::hub {

struct MirrorCounters {
  std::atomic<uint64_t> requests{0}, file_requests{0}, refused{0}, body_bytes{0};
  std::atomic<uint64_t> cold_requests{0}, upstream_transfers{0};  // asked for what was not here; fetched for it
};

// What a mirror shows: registered models, and with an upstream also what it can get.
class LibraryView {
 public:
  // `registry_file`: where the registry lies. `upstream` may be nullptr.
  LibraryView(registry::Registry& registry, const std::filesystem::path& registry_file, Upstream* upstream,
              bool serve_incomplete, MirrorCounters& counters)
      : registry_(registry),
        rows_(registry_file),
        upstream_(upstream),
        serve_incomplete_(serve_incomplete),
        counters_(counters) {}

  // The model that a client means by repository id and revision; nullopt when there is none. A model of which only some
  // files are here is `partial`: its listing must not be shown as if it were whole.
  struct Found {
    std::shared_ptr<const registry::ModelRecord> model;
    bool partial = false;
  };
  Result<std::optional<Found>> find(const std::string& repo_id, const std::string& revision);
  // The bytes of one of its files; a cold one is fetched first, once for all who wait.
  httpd::Response file(const httpd::Request& request, const registry::ModelRecord& model,
                       const registry::FileRecord& file);
  registry::Registry& registry() { return registry_; }

 private:
  Result<std::shared_ptr<const registry::ModelRecord>> registered(const std::string& repo_id,
                                                                  const std::string& revision);

  registry::Registry& registry_;
  RowCache rows_;
  Upstream* upstream_;
  const bool serve_incomplete_;
  MirrorCounters& counters_;
};

}  // namespace mhub::hub
