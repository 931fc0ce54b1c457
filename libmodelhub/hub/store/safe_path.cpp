// SPDX-License-Identifier: Apache-2.0
#include "store/safe_path.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "store/open_beneath.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

Error refused(std::string_view path, const std::string& why) {
  return {ErrorCode::kPolicy, fmt::format("check the listing: name '{}': {}", printable(path), why),
          "nothing was written; tell the owner of the repository", ""};
}

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// The next code point of strict UTF-8 (no overlong form, no surrogate), or nullopt.
std::optional<char32_t> next_code_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  const size_t length = lead < 0x80 ? 1 : lead >= 0xC2 && lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4 || text.size() - at < length) return std::nullopt;
  char32_t value = length == 1 ? lead : lead & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return std::nullopt;
    value = value << 6 | (byte(at + i) & 0x3Fu);
  }
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || (value >= 0xD800 && value < 0xE000) || value > 0x10FFFF) return std::nullopt;
  at += length;
  return value;
}

// Code points that show nothing or change how the rest is shown: controls, formats (bidi, joiners, tags), separators,
// private use, noncharacters.
bool is_hidden(char32_t c) {
  struct Range {
    char32_t first, last;
  };
  constexpr std::array<Range, 15> kHidden = {{{0x80, 0xA0},
                                              {0xAD, 0xAD},
                                              {0x61C, 0x61C},
                                              {0x115F, 0x1160},
                                              {0x180E, 0x180E},
                                              {0x2000, 0x200F},
                                              {0x2028, 0x202F},
                                              {0x205F, 0x206F},
                                              {0x3164, 0x3164},
                                              {0xE000, 0xF8FF},
                                              {0xFDD0, 0xFDEF},
                                              {0xFEFF, 0xFEFF},
                                              {0xFFA0, 0xFFA0},
                                              {0xFFF0, 0xFFFF},
                                              {0xE0000, 0x10FFFF}}};
  if ((c & 0xFFFE) == 0xFFFE) return true;
  return std::any_of(kHidden.begin(), kHidden.end(), [&](const Range& r) { return c >= r.first && c <= r.last; });
}

// Names that an operating system, git or mhub itself gives a meaning.
bool is_reserved(std::string_view component) {
  static constexpr std::array<std::string_view, 9> kExact = {".",    "..",    ".git",  "git~1", ".hg",
                                                             ".svn", ".lock", ".part", ".mhub"};
  static constexpr std::array<std::string_view, 6> kDevices = {"con", "prn", "aux", "nul", "conin$", "conout$"};
  const std::string lower = ascii_lower(component);
  if (std::find(kExact.begin(), kExact.end(), lower) != kExact.end()) return true;
  if (lower.starts_with(".mhub") || lower.ends_with(".part")) return true;
  std::string stem = lower.substr(0, lower.find('.'));
  while (stem.ends_with(' ')) stem.pop_back();
  if (std::find(kDevices.begin(), kDevices.end(), stem) != kDevices.end()) return true;
  return stem.size() == 4 && (stem.starts_with("com") || stem.starts_with("lpt")) && stem[3] >= '0' && stem[3] <= '9';
}

Result<void> check_component(std::string_view path, std::string_view component) {
  if (component.empty()) return refused(path, "empty component");
  if (component == "." || component == "..") return refused(path, "'.' and '..' are refused");
  if (component.size() > kMaxComponentBytes) {
    return refused(
        path, fmt::format("a component of {} bytes is over the limit of {}", component.size(), kMaxComponentBytes));
  }
  for (size_t at = 0; at < component.size();) {
    const size_t begin = at;
    const auto c = next_code_point(component, at);
    if (!c) return refused(path, fmt::format("byte {} is not valid UTF-8", begin));
    if (*c < 0x20 || *c == 0x7F || is_hidden(*c))
      return refused(path, fmt::format("U+{:04X} is refused", uint32_t(*c)));
    if (*c < 0x80 && std::string_view("\\:*?\"<>|").find(static_cast<char>(*c)) != std::string_view::npos) {
      return refused(path, fmt::format("the character '{}' is refused", static_cast<char>(*c)));
    }
    if (*c == '%' && at + 1 < component.size() && is_hex(component[at]) && is_hex(component[at + 1])) {
      return refused(path, "percent-encoded bytes are refused");
    }
  }
  if (component.front() == '-' || component.front() == ' ')
    return refused(path, "a component starts with '-' or a space");
  if (component.back() == '.' || component.back() == ' ') return refused(path, "a component ends with '.' or a space");
  if (is_reserved(component)) return refused(path, fmt::format("'{}' is a reserved name", printable(component)));
  return {};
}

// Names that some file system may treat as one: equal but for ASCII case, or with any byte beyond ASCII (whose folding
// and normalization only the file system knows).
std::vector<std::string> collision_candidates(std::span<const std::string> paths) {
  const auto ascii = [](const std::string& path) {
    return std::all_of(path.begin(), path.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  };
  if (!std::all_of(paths.begin(), paths.end(), ascii)) return {paths.begin(), paths.end()};
  // Directories take part: "A/x" and "a/y" become one directory.
  std::map<std::string, std::set<std::string>> spellings;
  for (const auto& path : paths) {
    for (size_t slash = path.find('/');; slash = path.find('/', slash + 1)) {
      const std::string prefix = path.substr(0, slash);
      spellings[ascii_lower(prefix)].insert(prefix);
      if (slash == std::string::npos) break;
    }
  }
  std::vector<std::string> candidates;
  for (const auto& path : paths) {
    for (size_t slash = path.find('/');; slash = path.find('/', slash + 1)) {
      if (spellings[ascii_lower(path.substr(0, slash))].size() > 1) {
        candidates.push_back(path);
        break;
      }
      if (slash == std::string::npos) break;
    }
  }
  return candidates;
}

using InodeKey = std::pair<dev_t, ino_t>;

// Makes every directory and an empty file for every path below `root`. Two spellings that reach one inode collide.
Result<void> probe_names(const std::vector<std::string>& paths, const std::string& root) {
  std::map<InodeKey, std::string> seen;
  const auto claim = [&](const std::string& name) -> Result<void> {
    struct stat info {};
    if (lstat((root + "/" + name).c_str(), &info) != 0) return disk_error("stat", root + "/" + name, errno);
    const auto [entry, added] = seen.emplace(InodeKey{info.st_dev, info.st_ino}, name);
    if (added || entry->second == name) return {};
    return Error{ErrorCode::kPolicy,
                 fmt::format("check the listing: names '{}' and '{}' are one name on this file system",
                             printable(entry->second), printable(name)),
                 "nothing was written; choose a directory on a file system that tells letter case and accents apart",
                 ""};
  };
  for (const auto& path : paths) {
    for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      const std::string directory = path.substr(0, slash);
      if (mkdir((root + "/" + directory).c_str(), 0700) != 0 && errno != EEXIST) {
        return disk_error("create directory", root + "/" + directory, errno);
      }
      MHUB_CHECK_OK(claim(directory));
    }
    const int fd = open((root + "/" + path).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return disk_error("create", root + "/" + path, errno);
    close(fd);
    MHUB_CHECK_OK(claim(path));
  }
  return {};
}

}  // namespace

Result<void> check_listing_name(std::string_view path) {
  if (path.empty()) return refused(path, "empty name");
  if (path.front() == '/') return refused(path, "absolute path");
  if (path.size() > kMaxPathBytes) {
    return refused(path, fmt::format("{} bytes are over the limit of {}", path.size(), kMaxPathBytes));
  }
  size_t depth = 0;
  for (size_t begin = 0;;) {
    const size_t slash = path.find('/', begin);
    if (++depth > kMaxPathDepth) return refused(path, fmt::format("more than {} levels", kMaxPathDepth));
    MHUB_CHECK_OK(check_component(path, path.substr(begin, slash == std::string_view::npos ? slash : slash - begin)));
    if (slash == std::string_view::npos) return {};
    begin = slash + 1;
  }
}

Result<void> check_listing_names(std::span<const std::string> paths) {
  if (paths.size() > kMaxListingEntries) {
    return Error{ErrorCode::kPolicy,
                 fmt::format("check the listing: {} names are over the limit of {}", paths.size(), kMaxListingEntries),
                 "nothing was written", ""};
  }
  std::set<std::string_view> files;
  for (const auto& path : paths) {
    MHUB_CHECK_OK(check_listing_name(path));
    if (!files.insert(path).second) return refused(path, "listed twice");
  }
  for (const auto& path : paths) {
    for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      const std::string_view directory = std::string_view(path).substr(0, slash);
      if (files.contains(directory)) return refused(directory, "both a file and a directory");
    }
  }
  return {};
}

Result<void> check_distinct_on_disk(std::span<const std::string> paths, const fs::path& target) {
  const std::vector<std::string> candidates = collision_candidates(paths);
  if (candidates.size() < 2) return {};
  std::error_code error;
  fs::path base = fs::absolute(target, error);
  while (!fs::is_directory(base, error) && base.has_parent_path() && base != base.parent_path())
    base = base.parent_path();
  std::string root = (base / ".mhub-names-XXXXXX").string();
  if (!mkdtemp(root.data())) return disk_error("create directory", root, errno);
  Result<void> result = probe_names(candidates, root);
  fs::remove_all(root, error);
  return result;
}

}  // namespace mhub::hub
