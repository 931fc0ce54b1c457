// SPDX-License-Identifier: Apache-2.0
#include "store/open_files.h"

#include <unistd.h>

#include <charconv>
#include <fstream>

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

bool maps_below(const fs::path& process, const std::string& prefix) {
  std::ifstream maps(process / "maps");
  std::string line;
  while (std::getline(maps, line)) {
    const size_t path = line.find('/');
    if (path != std::string::npos && line.compare(path, prefix.size(), prefix) == 0) return true;
  }
  return false;
}

bool opened_below(const fs::path& process, const std::string& prefix) {
  std::error_code error;
  for (auto it = fs::directory_iterator(process / "fd", error); !error && it != fs::end(it); it.increment(error)) {
    std::error_code unreadable;
    if (fs::read_symlink(it->path(), unreadable).string().starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace

std::optional<FileUser> find_file_user(const fs::path& directory) {
  std::error_code error;
  const std::string prefix = fs::weakly_canonical(directory, error).string() + "/";
  if (error) return std::nullopt;
  for (auto it = fs::directory_iterator("/proc", error); !error && it != fs::end(it); it.increment(error)) {
    const std::string name = it->path().filename().string();
    pid_t pid = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || end != name.data() + name.size() || pid == getpid()) continue;
    if (!maps_below(it->path(), prefix) && !opened_below(it->path(), prefix)) continue;
    FileUser user{pid, ""};
    std::getline(std::ifstream(it->path() / "comm"), user.command);
    return user;
  }
  return std::nullopt;
}

}  // namespace mhub::hub
