// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace mhub::model {

// docs/models.md, from the table of architectures.
std::string models_page();

}  // namespace mhub::model
