// SPDX-License-Identifier: Apache-2.0
// Hugging Face: the revision is pinned by the info route, the tree is paged by Link headers.
#include <fmt/format.h>

#include <set>

#include "net/explanation.h"
#include "net/url.h"
#include "remote/api_client.h"
#include "remote/hub_api.h"
#include "store/safe_path.h"

namespace mhub::hub {
namespace {

constexpr size_t kMaxPages = 10'000;

// Target of rel="next" in a Link header; "" when there is none.
std::string next_link(const HttpHead& head) {
  const std::string* text = head.header("link");
  if (!text) return "";
  size_t at = 0;
  while ((at = text->find('<', at)) != std::string::npos) {
    const size_t end = text->find('>', at);
    if (end == std::string::npos) return "";
    const size_t next = text->find('<', end);
    const std::string_view parameters = std::string_view(*text).substr(end, next - end);
    if (parameters.find("rel=\"next\"") != std::string_view::npos ||
        parameters.find("rel=next") != std::string_view::npos) {
      return text->substr(at + 1, end - at - 1);
    }
    at = end;
  }
  return "";
}

class HuggingFaceApi final : public HubApi {
 public:
  HuggingFaceApi(HttpTransport& transport, Repository repository, RetryPolicy policy)
      : repository_(std::move(repository)),
        client_(transport, repository_, hub_credentials(Source::kHuggingFace, repository_), policy) {}

  Source source() const override { return Source::kHuggingFace; }
  std::string default_revision() const override { return "main"; }

  Result<std::string> find_commit(const std::string& revision, std::stop_token stop) override {
    const std::string url = fmt::format("{}/revision/{}", base(), percent_encode(revision, false));
    MHUB_TRY(const HttpResponse response, client_.get(url, stop));
    if (response.head.status != 200) return explain(response, revision);
    MHUB_TRY(const Json info, parse_hub_json(response));
    const std::string commit = hex_or_empty(json_string(info, "sha"), 40);
    if (commit.empty()) return bad_listing(url, "the answer has no commit ('sha')");
    return commit;
  }

  Result<Snapshot> list(const std::string&, const std::string& commit, std::stop_token stop) override {
    Snapshot snapshot;
    snapshot.commit = commit;
    std::string url = fmt::format("{}/tree/{}?recursive=true&expand=false", base(), commit);
    std::set<std::string> seen;
    while (!url.empty()) {
      if (!seen.insert(url).second) return bad_listing(url, "the pages of the listing go in a circle");
      if (seen.size() > kMaxPages) return bad_listing(url, fmt::format("more than {} pages", kMaxPages));
      MHUB_TRY(const HttpResponse response, client_.get(url, stop));
      if (response.head.status != 200) return explain(response, commit);
      MHUB_TRY(const Json page, parse_hub_json(response));
      if (!page.is_array()) return bad_listing(url, "the listing is no array");
      for (const Json& item : page) MHUB_CHECK_OK(read_entry(item, commit, url, snapshot.files));
      if (snapshot.files.size() > kMaxListingEntries) {
        return bad_listing(url, fmt::format("more than {} files", kMaxListingEntries));
      }
      const std::string next = next_link(response.head);
      if (next.empty()) break;
      MHUB_TRY(url, resolve_location(url, next));
    }
    return snapshot;
  }

  Result<RepositoryInfo> info(const std::string& revision, std::stop_token stop) override {
    MHUB_TRY(const HttpResponse response,
             client_.get(fmt::format("{}/revision/{}", base(), percent_encode(revision, false)), stop));
    if (response.head.status != 200) return explain(response, revision);
    MHUB_TRY(const Json body, parse_hub_json(response));
    RepositoryInfo info;
    info.is_private = json_flag(body, "private");
    info.gated = json_flag(body, "gated") ? "auto" : json_string(body, "gated");
    info.last_modified = json_string(body, "lastModified");
    info.task = json_string(body, "pipeline_tag");
    info.downloads = json_size(body, "downloads");
    info.likes = json_size(body, "likes");
    info.tags = json_strings(body, "tags");
    for (const std::string& tag : info.tags) {
      if (tag.starts_with("license:")) info.license = tag.substr(8);
    }
    return info;
  }

  HttpRequest file_request(const RemoteFile& file) const override {
    return client_.request(fmt::format("{}/{}{}/resolve/{}/{}", repository_.endpoint, is_dataset() ? "datasets/" : "",
                                       repository_.id, percent_encode(file.revision, false),
                                       percent_encode(file.path, true)));
  }

 private:
  bool is_dataset() const { return repository_.type == RepoType::kDataset; }
  std::string base() const {
    return repository_.endpoint + (is_dataset() ? "/api/datasets/" : "/api/models/") + repository_.id;
  }

  Error explain(const HttpResponse& response, const std::string& revision) const {
    const HttpHead& head = response.head;
    std::string said;
    for (const char* name : {"x-error-code", "x-error-message"}) {
      if (const std::string* value = head.header(name)) said += (said.empty() ? "" : ": ") + *value;
    }
    if (said.empty()) said = explanation(head, response.body);
    if (head.status == 401 || head.status == 403 || head.status == 404) {
      return repository_error(repository_, Source::kHuggingFace, revision, head.status, said);
    }
    return status_error(head, said);
  }

  static Result<void> read_entry(const Json& item, const std::string& commit, const std::string& url,
                                 std::vector<RemoteFile>& files) {
    const std::string type = json_string(item, "type");
    if (type == "directory") return {};
    RemoteFile file;
    file.path = json_string(item, "path");
    file.revision = commit;
    if (file.path.empty()) return bad_listing(url, "an entry has no path");
    if (type != "file") {
      return bad_listing(url, fmt::format("'{}' is of the unknown type '{}'", printable(file.path), printable(type)));
    }
    const auto lfs = item.find("lfs");
    const bool is_lfs = lfs != item.end() && lfs->is_object();
    const auto size = json_size(is_lfs && lfs->contains("size") ? *lfs : item, "size");
    if (!size) return bad_listing(url, fmt::format("'{}' has no valid size", printable(file.path)));
    file.bytes = *size;
    // The top-level oid of an LFS file is that of its pointer.
    if (is_lfs) {
      file.sha256 = hex_or_empty(json_string(*lfs, "oid"), 64);
      if (file.sha256.empty())
        return bad_listing(url, fmt::format("'{}' has a malformed lfs.oid", printable(file.path)));
    } else {
      file.git_sha1 = hex_or_empty(json_string(item, "oid"), 40);
    }
    files.push_back(std::move(file));
    return {};
  }

  const Repository repository_;
  ApiClient client_;
};

}  // namespace

std::unique_ptr<HubApi> make_huggingface_api(HttpTransport& transport, Repository repository, RetryPolicy policy) {
  return std::make_unique<HuggingFaceApi>(transport, std::move(repository), policy);
}

}  // namespace mhub::hub
