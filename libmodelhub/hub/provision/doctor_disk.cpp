// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <sstream>

#include "mhub/base/bytes.h"
#include "mhub/hub/doctor.h"
#include "store/unique_fd.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

using State = Finding::State;
constexpr uint64_t kLittleSpace = uint64_t{10} << 30;

std::string file_system_name(const fs::path& directory) {
  struct statfs info {};
  if (statfs(directory.c_str(), &info) != 0) return "unknown";
  struct Known {
    long magic;
    const char* name;
  };
  static constexpr std::array kKnown = {
      Known{0xef53, "ext4"},    Known{0x58465342, "xfs"},     Known{0x9123683e, "btrfs"},  Known{0x01021994, "tmpfs"},
      Known{0x6969, "nfs"},     Known{0x794c7630, "overlay"}, Known{0x0bd00bd0, "lustre"}, Known{0xff534d42, "cifs"},
      Known{0x2fc12fc1, "zfs"}, Known{0x47504653, "gpfs"},    Known{0x65735546, "fuse"},   Known{0x00c36400, "ceph"},
      Known{0x01021997, "9p"},  Known{0x4d44, "vfat"},        Known{0xf2f52010, "f2fs"}};
  for (const Known& known : kKnown) {
    if (static_cast<unsigned long>(info.f_type) == static_cast<unsigned long>(known.magic)) return known.name;
  }
  return fmt::format("type {:x}", static_cast<unsigned long>(info.f_type));
}

// A directory for trying things out, removed at the end.
class Trial {
 public:
  explicit Trial(const fs::path& home) : path_(home / fmt::format(".doctor-{}", getpid())) {
    std::error_code error;
    fs::create_directories(path_, error);
    made_ = !error;
    why_ = error.message();
  }
  ~Trial() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;
  bool made() const { return made_; }
  const std::string& why() const { return why_; }
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
  bool made_ = false;
  std::string why_;
};

UniqueFd create(const std::string& path) {
  return UniqueFd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

Finding space_of(const fs::path& home) {
  struct statvfs info {};
  if (statvfs(home.c_str(), &info) != 0) {
    return {State::kFailed, "space", std::strerror(errno), "check MHUB_HOME", ErrorCode::kDisk};
  }
  const uint64_t free = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  const std::string detail =
      fmt::format("{} free on {}, {} files more", human_bytes(free), file_system_name(home),
                  info.f_files == 0 ? std::string("any number of") : std::to_string(info.f_favail));
  if (info.f_files > 0 && info.f_favail < 1000) {
    return {State::kFailed, "space", detail, "the file system is out of inodes", ErrorCode::kDisk};
  }
  if (free < kLittleSpace) return {State::kWarning, "space", detail, "a 7 B model needs 15 GiB", ErrorCode::kDisk};
  return {State::kGood, "space", detail, "", ErrorCode::kDisk};
}

Finding locks_of(const Trial& trial) {
  const std::string path = trial.file("lock");
  const UniqueFd first = create(path), second = create(path);
  if (!first || !second || flock(first.get(), LOCK_EX | LOCK_NB) != 0) {
    return {State::kWarning, "locks", fmt::format("flock does not work here: {}", std::strerror(errno)),
            "downloads stay right, but processes at once may each fetch", ErrorCode::kDisk};
  }
  if (flock(second.get(), LOCK_EX | LOCK_NB) == 0) {
    return {State::kWarning, "locks", "flock succeeds twice: it does nothing here",
            "downloads stay right, but processes at once may each fetch; keep registry.db on a local disk",
            ErrorCode::kDisk};
  }
  return {State::kGood, "locks", "flock keeps others out", "", ErrorCode::kDisk};
}

Finding syncs_of(const Trial& trial) {
  const UniqueFd fd = create(trial.file("sync"));
  const bool good = fd && write(fd.get(), "x", 1) == 1 && fsync(fd.get()) == 0 &&
                    rename(trial.file("sync").c_str(), trial.file("renamed").c_str()) == 0;
  if (good) return {State::kGood, "write", "write, fsync and rename work", "", ErrorCode::kDisk};
  return {State::kFailed, "write", std::strerror(errno),
          "the store needs a file system that can write, sync and rename", ErrorCode::kDisk};
}

Finding sharing_of(const Trial& trial) {
  const UniqueFd fd = create(trial.file("a"));
  if (fd && write(fd.get(), "x", 1) != 1)
    return {State::kWarning, "sharing", std::strerror(errno), "", ErrorCode::kDisk};
  const bool hard = link(trial.file("a").c_str(), trial.file("b").c_str()) == 0;
  const UniqueFd copy = create(trial.file("c"));
  const bool reflink = fd && copy && ioctl(copy.get(), FICLONE, fd.get()) == 0;
  const std::string detail = fmt::format("hard links {}, reflinks {}", hard ? "yes" : "no", reflink ? "yes" : "no");
  if (hard || reflink) return {State::kGood, "sharing", detail, "", ErrorCode::kDisk};
  return {State::kWarning, "sharing", detail, "import and adopt copy here", ErrorCode::kDisk};
}

Finding reserving_of(const Trial& trial) {
  const UniqueFd fd = create(trial.file("reserve"));
  if (fd && fallocate(fd.get(), 0, 0, 1 << 16) == 0) {
    return {State::kGood, "reserve", "space can be reserved in advance", "", ErrorCode::kDisk};
  }
  return {State::kWarning, "reserve", fmt::format("fallocate: {}", std::strerror(errno)),
          "a full disk shows late, not before the first byte", ErrorCode::kDisk};
}

Finding names_of(const Trial& trial) {
  const UniqueFd lower = create(trial.file("name"));
  struct stat info {};
  const bool folds = stat(trial.file("NAME").c_str(), &info) == 0;
  if (!folds) return {State::kGood, "names", "names that differ by case are different files", "", ErrorCode::kDisk};
  return {State::kWarning, "names", "names that differ by case are the same file",
          "models that have such names are refused", ErrorCode::kDisk};
}

}  // namespace

std::vector<Finding> examine_disk(const fs::path& home) {
  const Trial trial(home);
  if (!trial.made()) {
    return {{State::kFailed, "store", fmt::format("{}: {}", home.string(), trial.why()),
             "set MHUB_HOME to a place that may be written", ErrorCode::kDisk}};
  }
  return {{State::kGood, "store", home.string(), "", ErrorCode::kDisk},
          space_of(home),
          syncs_of(trial),
          locks_of(trial),
          sharing_of(trial),
          reserving_of(trial),
          names_of(trial)};
}

Finding examine_processor(const std::string& cpuinfo) {
  std::set<std::string> flags;
  std::string model;
  int threads = 0;
  std::istringstream lines(cpuinfo);
  for (std::string line; std::getline(lines, line);) {
    const std::string value = line.substr(std::min(line.find(':'), line.size() - 1) + 1);
    if (line.starts_with("processor")) ++threads;
    if (line.starts_with("model name") && model.empty())
      model = value.substr(value.find_first_not_of(' ') % (value.size() + 1));
    if (!line.starts_with("flags") || !flags.empty()) continue;
    std::istringstream words(value);
    for (std::string word; words >> word;) flags.insert(word);
  }
  std::string have;
  for (const char* flag :
       {"avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16"}) {
    if (flags.contains(flag)) have += (have.empty() ? "" : " ") + std::string(flag);
  }
  const std::string detail = fmt::format("{}, {} threads: {}", model.empty() ? "unknown" : printable(model), threads,
                                         have.empty() ? "none of the features that are used" : have);
  const bool enough = flags.contains("avx2") && flags.contains("fma") && flags.contains("f16c");
  if (enough) return {State::kGood, "processor", detail, "", ErrorCode::kDevice};
  return {State::kWarning, "processor", detail, "the fast CPU path needs AVX2, FMA and F16C", ErrorCode::kDevice};
}

}  // namespace mhub::hub
