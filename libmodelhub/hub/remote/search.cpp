// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "library_transport.h"
#include "mhub/hub/remote_model.h"
#include "net/curl_library.h"
#include "net/explanation.h"
#include "net/url.h"
#include "remote/api_client.h"
#include "remote/hub_target.h"

namespace mhub::hub {
namespace {

constexpr size_t kModelScopePage = 50;

std::string huggingface_url(const std::string& endpoint, const SearchQuery& query) {
  const std::string sort = query.sort == "modified" ? "lastModified" : query.sort;
  return fmt::format("{}/api/{}?search={}&limit={}&sort={}&direction=-1", endpoint,
                     query.repo_type == RepoType::kDataset ? "datasets" : "models", percent_encode(query.text, false),
                     query.limit, sort);
}

std::string modelscope_url(const std::string& endpoint, const SearchQuery& query, size_t page) {
  const std::string sort = query.sort == "modified" ? "last_modified" : query.sort;
  return fmt::format("{}/openapi/v1/{}?search={}&sort={}&page_number={}&page_size={}", endpoint,
                     query.repo_type == RepoType::kDataset ? "datasets" : "models", percent_encode(query.text, false),
                     sort, page, std::min(query.limit, kModelScopePage));
}

SearchHit read_hit(const Json& item, Source source) {
  SearchHit hit;
  hit.source = source_name(source);
  hit.name = json_string(item, "id");
  hit.license = json_string(item, "license");
  for (const std::string& tag : json_strings(item, "tags")) {
    if (tag.starts_with("license:")) hit.license = tag.substr(8);
  }
  hit.last_modified = json_string(item, source == Source::kHuggingFace ? "lastModified" : "last_modified");
  hit.task = json_string(item, "pipeline_tag");
  if (hit.task.empty()) {
    if (const auto tasks = json_strings(item, "tasks"); !tasks.empty()) hit.task = tasks.front();
  }
  hit.is_private = json_flag(item, "private");
  hit.gated = json_flag(item, "gated") ? "auto" : json_string(item, "gated");
  hit.downloads = json_size(item, "downloads");
  hit.likes = json_size(item, "likes");
  hit.bytes = json_size(item, source == Source::kHuggingFace ? "usedStorage" : "file_size");
  hit.parameters = json_size(item, "params");
  return hit;
}

// The list inside the answer, wherever the hub puts it; nullptr when there is none.
const Json* items_of(const Json& body) {
  if (body.is_array()) return &body;
  if (!body.is_object()) return nullptr;
  for (const char* key : {"models", "datasets", "items", "list"}) {
    if (const auto found = body.find(key); found != body.end() && found->is_array()) return &*found;
  }
  const auto data = body.find("data");
  return data == body.end() ? nullptr : items_of(*data);
}

}  // namespace

Result<std::vector<SearchHit>> search_hub(const HubConfig& config, const SearchQuery& query, std::stop_token stop) {
  const bool modelscope = query.source == Source::kModelScope;
  DownloadOptions options;
  options.source = query.source;
  options.token = query.token;
  if (!query.endpoint.empty()) options.endpoints = {query.endpoint};
  MHUB_TRY(HubTarget target, choose_target(*ModelRef::parse("any/any"), options, config, {}));
  MHUB_CHECK_OK(add_stored_tokens(target, config));
  MHUB_CHECK_OK(load_curl());
  CurlTransport transport(curl_config(config));
  ApiClient client(transport, target.repository, hub_credentials(query.source, target.repository),
                   retry_policy(config));
  std::vector<SearchHit> hits;
  for (size_t page = 1; hits.size() < query.limit; ++page) {
    const std::string url = modelscope ? modelscope_url(target.repository.endpoint, query, page)
                                       : huggingface_url(target.repository.endpoint, query);
    MHUB_TRY(const HttpResponse response, client.get(url, stop));
    if (response.head.status == 404 || response.head.status == 405 || response.head.status == 501) {
      return Error{
          ErrorCode::kHubNotFound,
          fmt::format("search {}: HTTP {}, it has no search", target.repository.endpoint, response.head.status),
          "a plain mirror cannot be searched; name a hub with --endpoint", ""};
    }
    if (response.head.status != 200) return status_error(response.head, explanation(response.head, response.body));
    MHUB_TRY(const Json body, parse_hub_json(response));
    const Json* items = items_of(body);
    if (!items) return bad_listing(url, "the answer holds no list");
    for (const Json& item : *items) {
      SearchHit hit = read_hit(item, query.source);
      if (!hit.name.empty() && hits.size() < query.limit) hits.push_back(std::move(hit));
    }
    if (!modelscope || items->size() < kModelScopePage) break;
  }
  return hits;
}

}  // namespace mhub::hub
