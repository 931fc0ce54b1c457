// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "remote/hub_api.h"
#include "transfer/response_check.h"

namespace mhub::hub {

// One file at one endpoint: how it is asked for, and what the server was seen to do.
class FileSource {
 public:
  // `source`: its number in the transfer. The API outlives this.
  FileSource(size_t source, const HubApi& api, RemoteFile file) : source_(source), api_(&api), file_(std::move(file)) {}
  size_t source() const { return source_; }

  HttpRequest request(std::optional<HttpRange> range) const;
  ExpectedBody expected(std::optional<HttpRange> range) const { return {file_.bytes, range, etag_}; }
  // From a good answer: its validator, and where the bytes lie (further parts skip the hub).
  void learn(const HttpHead& head);
  // The signed address has run out: ask the hub again. False when that was tried too often without progress.
  bool renew_address();
  void note_progress() { renewals_ = 0; }
  // The server's file is another one now. False when it keeps changing.
  bool note_change();
  // The file is started again.
  void forget();

 private:
  bool has_hash() const { return !file_.sha256.empty() || !file_.git_sha1.empty(); }

  size_t source_;
  const HubApi* api_;
  RemoteFile file_;
  std::string etag_, resolved_url_;
  bool ignore_etag_ = false;
  int renewals_ = 0, changes_ = 0;
};

}  // namespace mhub::hub
