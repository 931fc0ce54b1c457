// SPDX-License-Identifier: Apache-2.0
#include "store/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <vector>

#include "store/sha256.h"

namespace mhub::hub {
namespace fs = std::filesystem;

fs::path StoreLayout::model_directory(const std::string& source, const std::string& name,
                                      const std::string& commit) const {
  return models() / source / name / commit;
}

bool StoreLayout::in_models(const fs::path& path) const {
  const fs::path root = models().lexically_normal();
  const fs::path relative = path.lexically_normal().lexically_relative(root);
  return !relative.empty() && relative != "." && *relative.begin() != "..";
}

void remove_empty_parents(const StoreLayout& layout, const fs::path& directory) {
  std::error_code error;
  for (fs::path parent = directory.parent_path(); layout.in_models(parent); parent = parent.parent_path()) {
    if (!fs::remove(parent, error) || error) return;  // refuses a directory that is not empty
  }
}

std::string listing_digest(std::span<const registry::FileRecord> files) {
  std::vector<const registry::FileRecord*> sorted;
  for (const auto& file : files) sorted.push_back(&file);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->path < b->path; });
  Sha256 hash;
  for (const auto* file : sorted) hash.update(fmt::format("{} {} {}\n", file->sha256, file->bytes, file->path));
  return hash.finish().substr(0, 40);
}

fs::path StoreLayout::download_root(const std::string& source, const std::string& name,
                                    const std::string& commit) const {
  const std::string key = fmt::format("{}\n{}\n{}", source, name, commit);
  return partial() / ("download-" + sha256_hex(key).substr(0, 24));
}

std::string timestamp_now() {
  return timestamp_of(std::chrono::system_clock::now());
}

std::string timestamp_of(std::chrono::system_clock::time_point time) {
  using namespace std::chrono;
  const auto now = time_point_cast<milliseconds>(time);
  const std::time_t seconds = system_clock::to_time_t(now);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, now.time_since_epoch().count() % 1000);
}

}  // namespace mhub::hub
