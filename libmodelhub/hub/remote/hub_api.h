// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/model_ref.h"
#include "net/http_transport.h"
#include "net/retry.h"

namespace mhub::hub {

struct RemoteFile {
  std::string path;  // hostile until check_listing_names
  uint64_t bytes = 0;
  std::string sha256, git_sha1;  // lower-case hex, either may be ""
  std::string revision;          // pins this file's bytes
};

// The files of one repository at one moment.
struct Snapshot {
  std::string commit;  // "" when the hub has no commit ids
  std::vector<RemoteFile> files;
};

struct Repository {
  std::string endpoint;  // "https://host[:port]", no '/' at the end
  std::string id;        // "org/name" or one segment
  std::string token;     // for this endpoint only; "" = none
  RepoType type = RepoType::kModel;
  std::string page(Source source) const;  // for people: where licence and access are
};

// What a hub says about a repository beside its files. Absent where it says nothing.
struct RepositoryInfo {
  bool is_private = false;
  std::string gated;  // "", "auto" or "manual"
  std::string license, last_modified, task;
  std::optional<uint64_t> downloads, likes;
  std::vector<std::string> tags;
};

// The read API of one hub for one repository: all that differs between hubs. Each call retries as the policy says.
// Errors: kHubNotFound, kHubDenied, kNetwork, kPolicy (what came is no listing), kInterrupted.
class HubApi {
 public:
  virtual ~HubApi() = default;
  virtual Source source() const = 0;
  virtual std::string default_revision() const = 0;
  // What `revision` is now: one request. "" when the hub has no commit ids.
  virtual Result<std::string> find_commit(const std::string& revision, std::stop_token stop) = 0;
  // `commit` as find_commit gave it.
  virtual Result<Snapshot> list(const std::string& revision, const std::string& commit, std::stop_token stop) = 0;
  virtual Result<RepositoryInfo> info(const std::string& revision, std::stop_token stop) = 0;
  virtual HttpRequest file_request(const RemoteFile& file) const = 0;
};

std::unique_ptr<HubApi> make_modelscope_api(HttpTransport& transport, Repository repository, RetryPolicy policy);
std::unique_ptr<HubApi> make_huggingface_api(HttpTransport& transport, Repository repository, RetryPolicy policy);

}  // namespace mhub::hub
