// SPDX-License-Identifier: Apache-2.0
#include "site_file.h"

#include <fmt/format.h>

#include "mhub/formats/mapped_file.h"

namespace mhub::apps {
namespace fs = std::filesystem;

Result<hub::Site> read_site_file(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    return Error{ErrorCode::kUsage, fmt::format("read {}: there is no such file", printable(path, 1024)),
                 "docs/provisioning.md has an example", ""};
  }
  MHUB_TRY(const std::string text, formats::read_text_file(path, 2u << 20));
  return hub::parse_site(text, path);
}

fs::path lock_file_of(const std::string& site) {
  return fs::absolute(site).parent_path() / "mhub.lock";
}

}  // namespace mhub::apps
