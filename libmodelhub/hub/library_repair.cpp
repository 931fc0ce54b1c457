// SPDX-License-Identifier: Apache-2.0
// repair: verify, keep the good extents of damaged files as partial files, and let the download fetch the rest.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "mhub/base/bytes.h"
#include "mhub/base/error.h"
#include "mhub/hub/store_care.h"
#include "store/extent_hash.h"
#include "store/layout.h"
#include "store/open_beneath.h"
#include "transfer/partial_file.h"
#include "transfer/work_directory.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

using registry::FileRecord;
using registry::ModelRecord;

constexpr std::string_view kDatasetPrefix = "datasets/";

struct Origin {
  ModelRef ref;
  DownloadOptions options;
};

// The download that made this row.
Result<Origin> origin_of(const ModelRecord& model) {
  if (model.endpoint.empty()) {
    return Error{ErrorCode::kIntegrity, fmt::format("repair {}: it came from no hub", model.name),
                 "import it again from a good copy", ""};
  }
  Origin origin;
  origin.ref.repo_id = model.name;
  if (model.name.starts_with(kDatasetPrefix)) {
    origin.ref.repo_id.erase(0, kDatasetPrefix.size());
    origin.options.repo_type = RepoType::kDataset;
  }
  if (const auto source = parse_source(model.source)) {
    origin.options.source = *source;
    origin.options.endpoints = {model.endpoint};
  } else {
    origin.ref.endpoint = model.endpoint;
  }
  if (!model.in_store) origin.options.local_dir = model.path;
  origin.options.force = true;
  return origin;
}

// Keeps the plan of a dry run, to see which commit the hub would give.
class PlanSink final : public ProgressSink {
 public:
  void on_plan(const DownloadPlan& the_plan) override { plan = the_plan; }
  DownloadPlan plan;
};

// Settles how to name this commit to the hub: by its id, or by the revision where the hub knows no ids.
Result<void> find_revision(ModelLibrary& library, const ModelRecord& model, Origin& origin, std::stop_token stop) {
  origin.options.dry_run = true;
  std::optional<Error> error;
  for (const std::string& revision : {model.commit, model.revision}) {
    PlanSink sink;
    origin.options.revision = revision;
    const auto plan = library.download(origin.ref, origin.options, sink, stop);
    if (plan && plan->commit == model.commit) {
      origin.options.dry_run = false;
      return {};
    }
    if (plan) {
      error = Error{ErrorCode::kIntegrity,
                    fmt::format("repair {}: {} has {} at {} now, not {}", model.name, model.endpoint, revision,
                                plan->commit, model.commit),
                    "download it anew and remove this one", ""};
    } else if (plan.error().code == ErrorCode::kHubNotFound || !error) {
      error = plan.error();
    }
    if (!plan && plan.error().code != ErrorCode::kHubNotFound && plan.error().code != ErrorCode::kUsage) break;
  }
  error->message = fmt::format("repair {}: {}", model.name, error->message);
  return *error;
}

// The extents of an open file whose hash is right.
std::vector<Extent> good_extents(int fd, const FileRecord& file, const std::string& hashes) {
  std::vector<Extent> good;
  std::vector<std::byte> buffer(kExtentBytes);
  for (uint64_t i = 0; i * 8 < hashes.size(); ++i) {
    const uint64_t begin = i * kExtentBytes;
    if (begin >= file.bytes) break;
    const size_t length = static_cast<size_t>(std::min<uint64_t>(kExtentBytes, file.bytes - begin));
    size_t have = 0;
    while (have < length) {
      const ssize_t n = pread(fd, buffer.data() + have, length - have, static_cast<off_t>(begin + have));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;  // too short, or the disk cannot read it: to be fetched again
      have += static_cast<size_t>(n);
    }
    if (have == length && xxh64(std::span(buffer).first(length)) == load_le<uint64_t>(hashes.data() + i * 8)) {
      good.push_back({begin, begin + length});
    }
  }
  return good;
}

Result<void> copy_extent(int from, PartialFile& to, Extent extent, const std::string& path) {
  std::vector<std::byte> buffer(kExtentBytes);
  const ssize_t n = pread(from, buffer.data(), static_cast<size_t>(extent.bytes()), static_cast<off_t>(extent.begin));
  if (n != static_cast<ssize_t>(extent.bytes())) return disk_error("read", path, n < 0 ? errno : EIO);
  return to.write(extent.begin, std::span<const std::byte>(buffer).first(static_cast<size_t>(n)));
}

// A file that others may hold too (a hard link, a file of somebody else) is left as it is; a file of ours becomes the
// partial file itself, so that a large one needs neither time nor space twice.
Result<bool> move_into_place(int model_fd, const FileRecord& file, int work_fd) {
  struct stat info {};
  if (fstatat(model_fd, file.path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return disk_error("stat", file.path, errno);
  if (!S_ISREG(info.st_mode) || info.st_nlink != 1 || info.st_uid != geteuid()) return false;
  const std::string partial = partial_stem(file.path) + ".part";
  return renameat(model_fd, file.path.c_str(), work_fd, partial.c_str()) == 0;
}

// What of the damaged file is good, as a partial file with its journal: the download goes on from there.
Result<uint64_t> seed_partial(ModelLibrary& library, const ModelRecord& model, const FileRecord& file, int model_fd,
                              int work_fd) {
  MHUB_TRY(const std::string hashes, library.registry().extents_of(file.sha256));
  const auto damaged = open_beneath(model_fd, file.path, O_RDONLY);
  if (!damaged || hashes.empty()) return uint64_t{0};
  const std::vector<Extent> good = good_extents(damaged->get(), file, hashes);
  if (good.empty()) return uint64_t{0};
  MHUB_TRY(const bool moved, move_into_place(model_fd, file, work_fd));
  const RemoteFile remote{file.path, file.bytes, file.sha256, file.git_sha1, model.commit};
  MHUB_TRY(PartialFile partial, PartialFile::open(work_fd, remote));
  uint64_t kept = 0;
  for (const Extent& extent : good) {
    if (!moved) MHUB_CHECK_OK(copy_extent(damaged->get(), partial, extent, file.path));
    MHUB_CHECK_OK(partial.record(extent));
    kept += extent.bytes();
  }
  return kept;
}

}  // namespace

Result<RepairReport> repair(ModelLibrary& library, const std::string& name, ProgressSink& progress,
                            std::stop_token stop) {
  MHUB_TRY(const ModelRecord model, library.find(name));
  RepairReport report;
  MHUB_TRY(report.found, library.verify(name, stop));
  std::map<std::string, const FileRecord*> by_path;
  for (const FileRecord& file : model.files) by_path[file.path] = &file;
  const bool all_gone = report.found.problems.size() == 1 && report.found.problems[0].path == model.path;
  std::vector<const FileRecord*> damaged;
  for (const auto& problem : report.found.problems) {
    const auto file = by_path.find(problem.path);
    if (file != by_path.end()) {
      damaged.push_back(file->second);
    } else if (!all_gone) {
      report.left.push_back(problem);
    }
  }
  if (all_gone) {
    for (const FileRecord& file : model.files) damaged.push_back(&file);
  }
  if (damaged.empty()) return report;

  MHUB_TRY(Origin origin, origin_of(model));
  for (const FileRecord* file : damaged) origin.options.files.push_back(file->path);
  MHUB_CHECK_OK(find_revision(library, model, origin, stop));
  {
    const StoreLayout layout(library.config().home);
    const fs::path root =
        model.in_store ? layout.download_root(model.source, model.name, model.commit) : fs::path(model.path) / ".mhub";
    MHUB_TRY(const WorkDirectory work, WorkDirectory::acquire(root, stop, [](const std::string&) {}));
    MHUB_TRY(const UniqueFd model_fd, open_directory(model.path, true));
    for (const FileRecord* file : damaged) {
      MHUB_TRY(const uint64_t kept, seed_partial(library, model, *file, model_fd.get(), work.fd()));
      report.bytes_kept += kept;
    }
  }
  MHUB_TRY(const DownloadSummary fetched, library.download(origin.ref, origin.options, progress, stop));
  report.bytes_network = fetched.bytes_network;
  report.repaired = origin.options.files;
  return report;
}

}  // namespace mhub::hub
