// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mhub/hub/model_library.h"
#include "net/curl_transport.h"
#include "remote/hub_target.h"
#include "remote/transfer_source.h"

namespace mhub::hub {

// Looks, beside the transfer from the first endpoint, which of the others list the same digests. One that does not
// answer costs nothing but its absence. Outlives the transfer that uses what it found.
class SourceFinder {
 public:
  // `on_found` is called from the finder's thread. Ends with this object.
  SourceFinder(const HubConfig& config, const HubTarget& target, std::vector<Repository> others, std::string revision,
               std::vector<RemoteFile> wanted, std::function<void()> on_found);
  std::vector<TransferSource> take();  // what was found since the last call

 private:
  void look(std::stop_token stop);
  Result<Snapshot> list(HubApi& api, std::stop_token stop) const;

  const HubConfig config_;
  const HubTarget target_;
  const std::vector<Repository> others_;
  const std::string revision_;
  const std::vector<RemoteFile> wanted_;
  const std::function<void()> on_found_;
  CurlTransport transport_;  // the thread's; what it found only builds requests
  std::mutex mutex_;
  std::vector<TransferSource> found_;  // guarded by mutex_
  std::jthread thread_;                // last: ends before what it uses
};

}  // namespace mhub::hub
