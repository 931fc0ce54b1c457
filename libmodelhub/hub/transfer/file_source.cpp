// SPDX-License-Identifier: Apache-2.0
#include "transfer/file_source.h"

namespace mhub::hub {
namespace {
constexpr int kMaxRenewals = 3;
constexpr int kMaxChanges = 3;
}  // namespace

HttpRequest FileSource::request(std::optional<HttpRange> range) const {
  HttpRequest request = api_->file_request(file_);
  if (!resolved_url_.empty()) request.url = resolved_url_;
  request.range = range;
  if (range && !etag_.empty()) request.headers.emplace_back("If-Range", etag_);
  return request;
}

void FileSource::learn(const HttpHead& head) {
  if (etag_.empty() && !ignore_etag_) etag_ = strong_etag(head);
  if (resolved_url_.empty() && head.url != api_->file_request(file_).url) resolved_url_ = head.url;
}

bool FileSource::renew_address() {
  if (resolved_url_.empty() || renewals_ >= kMaxRenewals) return false;
  ++renewals_;
  resolved_url_.clear();
  return true;
}

bool FileSource::note_change() {
  ++changes_;
  // Servers of one hub may disagree about validators; where a hash is known it decides alone.
  if (changes_ >= 2 && has_hash()) ignore_etag_ = true;
  return changes_ < (has_hash() ? kMaxChanges : 2);
}

void FileSource::forget() {
  etag_.clear();
  resolved_url_.clear();
}

}  // namespace mhub::hub
