// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

namespace mhub::hub {

struct FileUser {
  pid_t pid = 0;
  std::string command;
};
// A process other than this one that has a file below `directory` open or mapped, as far as /proc lets this user see.
std::optional<FileUser> find_file_user(const std::filesystem::path& directory);

}  // namespace mhub::hub
