// SPDX-License-Identifier: Apache-2.0
#include "transfer/file_transfer.h"

#include <algorithm>
#include <utility>

#include "mhub/base/check.h"

namespace mhub::hub {

Result<std::unique_ptr<FileTransfer>> FileTransfer::open(const HubApi& api, const RemoteFile& file, int work_fd,
                                                         WorkQueue& queue, std::stop_token stop) {
  MHUB_TRY(PartialFile partial, PartialFile::open(work_fd, file));
  return std::unique_ptr<FileTransfer>(new FileTransfer(api, file, std::move(partial), queue, std::move(stop)));
}

bool FileTransfer::matches(const FileDigests& digests) const {
  if (!remote_.sha256.empty() && digests.sha256 != remote_.sha256) return false;
  return remote_.git_sha1.empty() || digests.git_sha1 == remote_.git_sha1;
}

FileSource& FileTransfer::source(size_t number) {
  const auto found =
      std::find_if(sources_.begin(), sources_.end(), [&](const FileSource& s) { return s.source() == number; });
  MHUB_CHECK(found != sources_.end());
  return *found;
}

void FileTransfer::add_source(size_t number, const HubApi& api, const RemoteFile& file) {
  const bool same_bytes = !remote_.sha256.empty() && file.sha256 == remote_.sha256 && file.bytes == remote_.bytes;
  if (same_bytes && !one_source_ && !single_stream_) sources_.emplace_back(number, api, file);
}

void FileTransfer::keep_only_first_source() {
  one_source_ = true;
  sources_.erase(sources_.begin() + 1, sources_.end());
}

void FileTransfer::note_progress() {
  for (FileSource& source : sources_) source.note_progress();
}

Result<void> FileTransfer::start_over() {
  for (FileSource& source : sources_) source.forget();
  stream_high_water = 0;
  hasher_.restart();
  return partial_.discard();
}

}  // namespace mhub::hub
