// SPDX-License-Identifier: Apache-2.0
#include "store/store_scan.h"

#include <sys/stat.h>

#include <algorithm>

#include "store/open_beneath.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

constexpr int kMaxDepth = 4;  // <source>/<org>/<name>/<commit>; of a dataset <source>/datasets/<org>/<name>/<commit>

bool is_commit(const std::string& name) {
  return name.size() == 40 &&
         std::all_of(name.begin(), name.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

class Scan {
 public:
  Scan(const fs::path& root, const std::set<std::string>& registered) : root_(root), registered_(registered) {}

  Result<void> below(const fs::path& directory, int depth, int max_depth = kMaxDepth) {
    std::error_code error;
    for (auto it = fs::directory_iterator(directory, error); !error && it != fs::end(it); it.increment(error)) {
      std::error_code gone;
      if (!it->is_directory(gone) || it->is_symlink(gone)) continue;
      const fs::path& path = it->path();
      const bool holds_datasets = depth == 1 && path.filename() == "datasets";
      if (depth >= 2 && is_model(path, depth == max_depth - 1)) {
        add(path);
      } else if (depth < max_depth - 1) {
        MHUB_CHECK_OK(below(path, depth + 1, max_depth + (holds_datasets ? 1 : 0)));
      }
    }
    if (error && error != std::errc::no_such_file_or_directory) {
      return disk_error("read directory", directory.string(), error.value());
    }
    return {};
  }

  std::vector<StoredDirectory> found;

 private:
  bool is_model(const fs::path& path, bool deepest) const {
    if (deepest || registered_.contains(path.string()) || is_commit(path.filename())) return true;
    std::error_code error;
    for (auto it = fs::directory_iterator(path, error); !error && it != fs::end(it); it.increment(error)) {
      std::error_code gone;
      if (!it->is_directory(gone)) return true;
    }
    return false;
  }

  void add(const fs::path& path) {
    const fs::path relative = path.lexically_relative(root_);
    found.push_back({path, relative.begin()->string(),
                     relative.parent_path().lexically_relative(*relative.begin()).generic_string(),
                     path.filename().string()});
  }

  const fs::path root_;
  const std::set<std::string>& registered_;
};

}  // namespace

Result<std::vector<StoredDirectory>> scan_models(const StoreLayout& layout, const std::set<std::string>& registered) {
  const fs::path root = layout.models().lexically_normal();
  Scan scan(root, registered);
  MHUB_CHECK_OK(scan.below(root, 0));
  std::sort(scan.found.begin(), scan.found.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return std::move(scan.found);
}

uint64_t TreeSizes::add(const fs::path& root) {
  uint64_t bytes = 0;
  const auto add_file = [&](const fs::path& file) {
    struct stat info {};
    if (lstat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return;
    bytes += static_cast<uint64_t>(info.st_size);
    Inode& inode = inodes_[{info.st_dev, info.st_ino}];
    if (inode.seen++ > 0) return;
    inode.bytes = static_cast<uint64_t>(info.st_size);
    inode.links = info.st_nlink;
    total_ += inode.bytes;
  };
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(root, error))) {
    add_file(root);
    return bytes;
  }
  for (auto it = fs::recursive_directory_iterator(root, error); !error && it != fs::end(it); it.increment(error)) {
    add_file(it->path());
  }
  return bytes;
}

uint64_t TreeSizes::exclusive() const {
  uint64_t bytes = 0;
  for (const auto& [id, inode] : inodes_) {
    if (inode.seen >= inode.links) bytes += inode.bytes;
  }
  return bytes;
}

}  // namespace mhub::hub
