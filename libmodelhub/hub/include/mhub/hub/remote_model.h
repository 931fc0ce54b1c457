// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"

namespace mhub::hub {

struct RemoteFileInfo {
  std::string path;
  uint64_t bytes = 0;
  std::string sha256, git_sha1;  // "" where the hub gives none
};

struct RemoteModelInfo {
  std::string name, source, endpoint, page, revision, commit;
  bool is_private = false;
  std::string gated, license, last_modified, task;  // "" where the hub does not say
  std::optional<uint64_t> downloads, likes;
  std::vector<std::string> tags;
};

struct ListedTensor {
  std::string name, dtype, file;
  std::vector<int64_t> shape;
  uint64_t bytes = 0;
};
struct TensorListing {
  std::string format;  // "safetensors" or "gguf"
  std::vector<ListedTensor> tensors;
  std::map<std::string, std::string> metadata;  // scalars of the (first) file; arrays as their length
  size_t files = 0;
  uint64_t bytes_total = 0, bytes_read = 0;  // of those files; over the network
  uint64_t parameters() const;
};

// A repository looked at without downloading it. The listing is checked as for a download (names, sizes): kPolicy.
class RemoteModel {
 public:
  // Of `options`: source, endpoints, revision, token, repo_type. Endpoints are tried in order.
  static Result<std::unique_ptr<RemoteModel>> open(ModelLibrary& library, const ModelRef& ref,
                                                   const DownloadOptions& options, std::stop_token stop);
  ~RemoteModel();
  const std::string& name() const;
  const std::string& source() const;
  const std::string& endpoint() const;
  const std::string& revision() const;
  const std::string& commit() const;
  const std::vector<RemoteFileInfo>& files() const;
  const RemoteFileInfo* find_file(const std::string& path) const;

  Result<RemoteModelInfo> info();
  // A whole small file. kHubNotFound when the listing lacks it, kPolicy over max_bytes.
  Result<std::string> read_file(const std::string& path, uint64_t max_bytes);
  // The headers of `path` (a safetensors or GGUF file), of what an index file names, or with "" of the repository's
  // model. kBadModel.
  Result<TensorListing> tensors(const std::string& path);

 private:
  struct State;
  explicit RemoteModel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct SearchHit {
  std::string name, source, license, last_modified, task;
  bool is_private = false;
  std::string gated;
  std::optional<uint64_t> downloads, likes, bytes, parameters;
};
struct SearchQuery {
  std::string text;
  Source source = Source::kModelScope;
  std::string endpoint, token, sort = "downloads";  // downloads | likes | modified
  size_t limit = 20;
  RepoType repo_type = RepoType::kModel;
};
Result<std::vector<SearchHit>> search_hub(const HubConfig& config, const SearchQuery& query, std::stop_token stop);

// The same table of what lies on this disk: a directory or GGUF file, as formats::locate_model finds it.
Result<TensorListing> list_local_tensors(const std::string& path);

}  // namespace mhub::hub
