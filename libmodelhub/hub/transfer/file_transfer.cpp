// SPDX-License-Identifier: Apache-2.0
#include "transfer/file_transfer.h"

#include <utility>

namespace mhub::hub {
namespace {
constexpr int kMaxRenewals = 3;
constexpr int kMaxChanges = 3;
}  // namespace

Result<std::unique_ptr<FileTransfer>> FileTransfer::open(const HubApi& api, const RemoteFile& file, int work_fd,
                                                         WorkQueue& queue, std::stop_token stop) {
  MHUB_TRY(PartialFile partial, PartialFile::open(work_fd, file));
  return std::unique_ptr<FileTransfer>(new FileTransfer(api, file, std::move(partial), queue, std::move(stop)));
}

bool FileTransfer::matches(const FileDigests& digests) const {
  if (!remote_.sha256.empty() && digests.sha256 != remote_.sha256) return false;
  return remote_.git_sha1.empty() || digests.git_sha1 == remote_.git_sha1;
}

HttpRequest FileTransfer::request(std::optional<HttpRange> range) const {
  HttpRequest request = api_.file_request(remote_);
  if (!resolved_url_.empty()) request.url = resolved_url_;
  request.range = range;
  if (range && !etag_.empty()) request.headers.emplace_back("If-Range", etag_);
  return request;
}

ExpectedBody FileTransfer::expected(std::optional<HttpRange> range) const {
  return {remote_.bytes, range, etag_};
}

void FileTransfer::learn(const HttpHead& head) {
  if (etag_.empty() && !ignore_etag_) etag_ = strong_etag(head);
  if (resolved_url_.empty() && head.url != api_.file_request(remote_).url) resolved_url_ = head.url;
}

bool FileTransfer::renew_address() {
  if (resolved_url_.empty() || renewals_ >= kMaxRenewals) return false;
  ++renewals_;
  resolved_url_.clear();
  return true;
}

Result<void> FileTransfer::start_over() {
  etag_.clear();
  resolved_url_.clear();
  stream_high_water = 0;
  hasher_.restart();
  return partial_.discard();
}

bool FileTransfer::note_change() {
  ++changes_;
  // Servers of one hub may disagree about validators; where a hash is known it decides alone.
  if (changes_ >= 2 && has_hash()) ignore_etag_ = true;
  return changes_ < (has_hash() ? kMaxChanges : 2);
}

}  // namespace mhub::hub
