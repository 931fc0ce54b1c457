// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "mhub/base/error.h"

namespace mhub::formats {

// kBadModel: "reading FILE: what". `what` carries the byte offset or JSON pointer, the value seen and the limit.
inline Error bad_model(const std::filesystem::path& file, const std::string& what, std::string hint = "") {
  if (hint.empty()) hint = "get a good copy of the model, or one that this build supports";
  return {ErrorCode::kBadModel, "reading " + printable(file.string(), 1024) + ": " + what, std::move(hint), ""};
}

}  // namespace mhub::formats
