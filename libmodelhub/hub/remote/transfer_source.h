// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "remote/hub_api.h"

namespace mhub::hub {

// A further endpoint that has the same bytes of some of the wanted files: their digests agree.
struct TransferSource {
  std::string name;  // its endpoint, for messages
  std::shared_ptr<const HubApi> api;
  std::map<std::string, RemoteFile, std::less<>> files;  // by path, as this endpoint lists them
};

// Sources found since the last call; asked by the transfer loop.
using SourceSupply = std::function<std::vector<TransferSource>()>;

}  // namespace mhub::hub
