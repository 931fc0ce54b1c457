// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"
#include "mhub/registry/registry.h"

namespace mhub::hub {

struct UpstreamConfig {
  std::string endpoint;          // "" = the source's own
  std::optional<Source> source;  // nullopt: probed
  std::string token;             // the mirror's own; clients' tokens never go there
  double listing_seconds = 60;   // how long a listing is believed
  double patience_seconds = 8;   // a client waits so long for a cold file, then 503 and Retry-After
};

// The hub behind a pull-through mirror. Thread-safe. A file that many ask for is fetched once; it is served when it is
// whole and verified. A transfer goes on when its clients have gone.
class Upstream {
 public:
  Upstream(ModelLibrary& library, UpstreamConfig config);
  ~Upstream();  // interrupts transfers; what they have stays for the next time
  // The upstream's listing as a model with id 0, files not here yet. kHubNotFound, kNetwork ...
  Result<registry::ModelRecord> describe(const std::string& repo_id, const std::string& revision);
  // The registered model after `path` of a described one has been fetched. kUnavailable while it takes longer.
  Result<registry::ModelRecord> fetch(const registry::ModelRecord& described, const std::string& path);
  uint64_t transfers() const { return transfers_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Transfer {
    bool done = false;
    std::optional<Error> error;
    std::thread thread;
  };
  struct Listing {
    registry::ModelRecord model;
    Clock::time_point read_at;
  };
  Result<registry::ModelRecord> read_listing(const std::string& repo_id, const std::string& revision);
  Result<std::optional<registry::ModelRecord>> registered(const registry::ModelRecord& described,
                                                          const std::string& path);
  void run(std::shared_ptr<Transfer> transfer, registry::ModelRecord described, std::string path);
  DownloadOptions options() const;
  ModelRef ref(const std::string& repo_id) const;

  ModelLibrary& library_;
  const UpstreamConfig config_;
  std::stop_source stop_;
  std::atomic<uint64_t> transfers_{0};
  std::mutex mutex_;
  std::condition_variable ended_;
  std::map<std::string, Listing> listings_;                             // guarded by mutex_
  std::map<std::string, std::shared_ptr<Transfer>> transfers_by_file_;  // guarded by mutex_
};

}  // namespace mhub::hub
