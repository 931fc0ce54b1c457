// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "mhub/hub/model_library.h"

namespace mhub::hub {

struct ModelLibrary::State {
  HubConfig config;
  std::unique_ptr<registry::Registry> registry;
};

}  // namespace mhub::hub
