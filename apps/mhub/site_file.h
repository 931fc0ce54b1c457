// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "mhub/base/result.h"
#include "mhub/hub/site.h"

namespace mhub::apps {

// The site.yaml of `apply` and `lock`. kUsage when it is absent or wrong.
Result<hub::Site> read_site_file(const std::string& path);
// mhub.lock beside it.
std::filesystem::path lock_file_of(const std::string& site);

}  // namespace mhub::apps
