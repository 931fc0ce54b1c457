// SPDX-License-Identifier: Apache-2.0
// ModelScope's legacy API (/api/v1): PascalCase, one envelope, no commit in the listing.
#include <fmt/format.h>

#include <ctime>
#include <set>

#include "net/explanation.h"
#include "net/url.h"
#include "remote/api_client.h"
#include "remote/hub_api.h"
#include "store/safe_path.h"

namespace mhub::hub {
namespace {

// The hub cuts longer listings here without a word.
constexpr size_t kSilentListingLimit = 3'000;
constexpr size_t kDatasetPage = 200;
constexpr int kSymlinkMode = 40960;

struct Entry {
  RemoteFile file;
  bool is_directory = false;
};

// The envelope's Code: an int or a string. 0 when absent.
int64_t code_of(const Json& body) {
  const auto found = body.find("Code");
  if (found == body.end()) return 0;
  if (found->is_number_integer()) return found->get<int64_t>();
  return found->is_string() && *found != "200" ? -1 : 200;
}

// Of epoch seconds, or milliseconds.
std::string rfc3339(uint64_t when) {
  const auto seconds = static_cast<time_t>(when > 1'000'000'000'000 ? when / 1000 : when);
  struct tm parts {};
  if (!gmtime_r(&seconds, &parts)) return "";
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

class ModelScopeApi final : public HubApi {
 public:
  ModelScopeApi(HttpTransport& transport, Repository repository, RetryPolicy policy)
      : repository_(std::move(repository)),
        client_(transport, repository_, hub_credentials(Source::kModelScope, repository_), policy) {}

  Source source() const override { return Source::kModelScope; }
  std::string default_revision() const override { return "master"; }

  Result<std::string> find_commit(const std::string& revision, std::stop_token stop) override {
    const std::string url =
        fmt::format("{}/commits?Ref={}&PageNumber=1&PageSize=1", base(), percent_encode(revision, false));
    MHUB_TRY(const HttpResponse response, client_.get(url, stop));
    if (response.head.status == 404 || response.head.status == 405 || response.head.status == 501) {
      return std::string();  // a plain mirror; a missing repository shows in the listing
    }
    const auto data = open_envelope(response, revision);
    if (!data) {
      // Only the listing decides about the repository: a hub may know the model and not this route.
      if (data.error().code == ErrorCode::kHubNotFound) return std::string();
      return data.error();
    }
    const auto commits = data->is_object() ? data->find("Commit") : data->end();
    if (commits == data->end() || !commits->is_array() || commits->empty()) return std::string();
    return hex_or_empty(json_string(commits->front(), "Id"), 40);
  }

  Result<Snapshot> list(const std::string& revision, const std::string& commit, std::stop_token stop) override {
    Snapshot snapshot;
    snapshot.commit = commit;
    if (is_dataset()) {
      MHUB_TRY(std::vector<Entry> entries, list_pages(revision, "/", true, kDatasetPage, stop));
      for (Entry& entry : entries) {
        if (!entry.is_directory) snapshot.files.push_back(std::move(entry.file));
      }
      MHUB_CHECK_OK(check_count(snapshot.files));
      return snapshot;
    }
    MHUB_CHECK_OK(list_tree(revision, "", snapshot.files, 0, stop));
    return snapshot;
  }

  Result<RepositoryInfo> info(const std::string& revision, std::stop_token stop) override {
    MHUB_TRY(const HttpResponse response,
             client_.get(fmt::format("{}?Revision={}", base(), percent_encode(revision, false)), stop));
    RepositoryInfo info;
    if (response.head.status == 404 || response.head.status == 405 || response.head.status == 501) return info;
    MHUB_TRY(const Json data, open_envelope(response, revision));
    const auto visibility = json_size(data, "Visibility");  // 1 private, 3 internal, 5 public
    info.is_private = visibility && *visibility != 5;
    info.gated = json_flag(data, "ApprovalMode") || json_flag(data, "IsGated") ? "auto" : "";
    info.license = json_string(data, "License");
    if (const auto when = json_size(data, "LastUpdatedTime")) info.last_modified = rfc3339(*when);
    info.downloads = json_size(data, "Downloads");
    info.likes = json_size(data, "Stars");
    info.tags = json_strings(data, "Tags");
    return info;
  }

  HttpRequest file_request(const RemoteFile& file) const override {
    return client_.request(fmt::format("{}/repo?Revision={}&FilePath={}", base(), percent_encode(file.revision, false),
                                       percent_encode(file.path, false)));
  }

 private:
  bool is_dataset() const { return repository_.type == RepoType::kDataset; }
  std::string base() const {
    return repository_.endpoint + (is_dataset() ? "/api/v1/datasets/" : "/api/v1/models/") + repository_.id;
  }

  // Data of the envelope: failure may come as a status or inside a 200.
  Result<Json> open_envelope(const HttpResponse& response, const std::string& revision) const {
    const int status = response.head.status;
    if (status == 401 || status == 403 || status == 404) {
      return repository_error(repository_, Source::kModelScope, revision, status,
                              explanation(response.head, response.body));
    }
    if (status != 200) return status_error(response.head, explanation(response.head, response.body));
    auto body = parse_hub_json(response);
    if (!body) return body.error();
    if (!body->is_object()) return std::move(*body);
    const auto success = body->find("Success");
    const int64_t code = code_of(*body);
    const bool failed = (success != body->end() && *success == false) || (code != 0 && code != 200);
    if (failed) {
      const std::string said = explanation(response.head, response.body);
      const int meant = code == 401 || code == 403 || code == 404 ? static_cast<int>(code) : 0;
      // Codes of their own (10010205001 ...) come with what the repository or revision lacks.
      if (meant != 0 || code > 1'000'000) {
        return repository_error(repository_, Source::kModelScope, revision, meant == 0 ? 404 : meant, said);
      }
      return status_error(response.head, fmt::format("code {}: {}", code, said));
    }
    const auto data = body->find("Data");
    return data == body->end() ? std::move(*body) : Json(std::move(*data));
  }

  // `page` 0: the whole listing, as hubs give it for models.
  Result<std::vector<Entry>> list_once(const std::string& revision, const std::string& root, bool recursive,
                                       size_t page, size_t page_size, std::stop_token stop) {
    std::string url = fmt::format("{}/repo/{}?Revision={}&Recursive={}", base(), is_dataset() ? "tree" : "files",
                                  percent_encode(revision, false), recursive ? "True" : "False");
    if (!root.empty()) url += "&Root=" + percent_encode(root, false);
    if (page > 0) url += fmt::format("&PageNumber={}&PageSize={}", page, page_size);
    MHUB_TRY(const HttpResponse response, client_.get(url, stop));
    MHUB_TRY(const Json data, open_envelope(response, revision));
    const Json* files = &data;
    for (const char* key : {"Files", "files"}) {
      if (data.is_object() && data.contains(key)) files = &data.at(key);
    }
    if (files->is_null()) return std::vector<Entry>();
    if (!files->is_array()) return bad_listing(url, "the listing holds no array of files");
    std::vector<Entry> entries;
    for (const Json& item : *files) {
      MHUB_TRY(Entry entry, read_entry(item, revision, url));
      entries.push_back(std::move(entry));
    }
    return entries;
  }

  // Page after page until one is short. A hub that does not page sends the first one again: kPolicy.
  Result<std::vector<Entry>> list_pages(const std::string& revision, const std::string& root, bool recursive,
                                        size_t page_size, std::stop_token stop) {
    std::vector<Entry> all;
    std::set<std::string> seen;
    for (size_t page = 1;; ++page) {
      MHUB_TRY(std::vector<Entry> entries, list_once(revision, root, recursive, page, page_size, stop));
      for (Entry& entry : entries) {
        if (!seen.insert(entry.file.path).second) {
          return bad_listing(base(),
                             fmt::format("page {} of the listing of '{}' names '{}' again: the hub does not page", page,
                                         printable(root), printable(entry.file.path)));
        }
        all.push_back(std::move(entry));
      }
      if (entries.size() < page_size) return all;
      if (all.size() > kMaxListingEntries)
        return bad_listing(base(), fmt::format("more than {} files", kMaxListingEntries));
    }
  }

  static Result<Entry> read_entry(const Json& item, const std::string& revision, const std::string& url) {
    Entry entry;
    entry.file.path = json_string(item, "Path");
    const std::string type = json_string(item, "Type");
    entry.is_directory = type == "tree";
    if (entry.file.path.empty()) return bad_listing(url, "an entry has no Path");
    if (entry.is_directory) return entry;
    const std::string mode = json_string(item, "Mode");
    if (mode == std::to_string(kSymlinkMode)) {
      return bad_listing(url, fmt::format("'{}' is a symbolic link", printable(entry.file.path)));
    }
    const auto size = json_size(item, "Size");
    if (!size) return bad_listing(url, fmt::format("'{}' has no valid Size", printable(entry.file.path)));
    entry.file.bytes = *size;
    const std::string digest = json_string(item, "Sha256");
    entry.file.sha256 = hex_or_empty(digest, 64);
    if (!digest.empty() && entry.file.sha256.empty()) {
      return bad_listing(url, fmt::format("'{}' has a malformed Sha256", printable(entry.file.path)));
    }
    // The commit that last touched the file pins its bytes, the branch does not.
    entry.file.revision = hex_or_empty(json_string(item, "Revision"), 40);
    if (entry.file.revision.empty()) entry.file.revision = revision;
    return entry;
  }

  Result<void> list_tree(const std::string& revision, const std::string& root, std::vector<RemoteFile>& files,
                         size_t depth, std::stop_token stop) {
    if (depth > kMaxPathDepth) {
      return bad_listing(base(), fmt::format("more than {} levels of directories", kMaxPathDepth));
    }
    MHUB_TRY(std::vector<Entry> entries, list_once(revision, root, true, 0, 0, stop));
    if (entries.size() != kSilentListingLimit) {
      for (Entry& entry : entries) {
        if (!entry.is_directory) files.push_back(std::move(entry.file));
      }
      return check_count(files);
    }
    MHUB_TRY(entries, list_once(revision, root, false, 0, 0, stop));
    if (entries.size() == kSilentListingLimit) {
      MHUB_TRY(entries, list_pages(revision, root, false, kSilentListingLimit, stop));
    }
    for (Entry& entry : entries) {
      if (!entry.is_directory) {
        files.push_back(std::move(entry.file));
      } else if (entry.file.path.size() > root.size() && entry.file.path.starts_with(root)) {
        MHUB_CHECK_OK(list_tree(revision, entry.file.path, files, depth + 1, stop));
      } else {
        return bad_listing(base(), fmt::format("'{}' is not below '{}'", printable(entry.file.path), printable(root)));
      }
    }
    return check_count(files);
  }

  Result<void> check_count(const std::vector<RemoteFile>& files) const {
    if (files.size() <= kMaxListingEntries) return {};
    return bad_listing(base(), fmt::format("more than {} files", kMaxListingEntries));
  }

  const Repository repository_;
  ApiClient client_;
};

}  // namespace

std::unique_ptr<HubApi> make_modelscope_api(HttpTransport& transport, Repository repository, RetryPolicy policy) {
  return std::make_unique<ModelScopeApi>(transport, std::move(repository), policy);
}

}  // namespace mhub::hub
