// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace mhub::kernels {

// Why the library at `path` could not be loaded, from the loader's own words; with what to install where it is cuBLASLt
// that is missing.
std::string explain_load_error(const std::string& path, const std::string& error);

}  // namespace mhub::kernels
