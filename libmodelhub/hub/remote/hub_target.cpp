// SPDX-License-Identifier: Apache-2.0
#include "remote/hub_target.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/url.h"
#include "remote/token_store.h"

namespace mhub::hub {
namespace {

Source chosen_source(const ModelRef& ref, const DownloadOptions& options, const HubConfig& config,
                     const std::vector<registry::ModelRecord>& rows) {
  if (options.source) return *options.source;
  if (ref.source) return *ref.source;
  if (config.source_is_chosen) return config.default_source;
  for (const registry::ModelRecord& row : rows) {  // newest first
    if (row.name != ref.repo_id) continue;
    if (const auto source = parse_source(row.source)) return *source;
  }
  return config.default_source;
}

}  // namespace

Result<std::string> checked_endpoint(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  if (text.find("://") == std::string::npos) text = "https://" + text;
  const auto ref = ModelRef::parse(text + "/org/name");
  if (ref && ref->endpoint == text) return text;
  return Error{ErrorCode::kUsage,
               fmt::format("read endpoint '{}': not http(s)://host[:port]", printable(redact_url(text))),
               "write --endpoint http(s)://host[:port]", ""};
}

bool another_endpoint_may_help(const Error& error) {
  return error.code == ErrorCode::kNetwork || error.code == ErrorCode::kHubNotFound ||
         error.code == ErrorCode::kHubDenied || error.code == ErrorCode::kIntegrity;
}

Result<HubTarget> choose_target(const ModelRef& ref, const DownloadOptions& options, const HubConfig& config,
                                const std::vector<registry::ModelRecord>& rows) {
  if (options.source && ref.source && *options.source != *ref.source) {
    return Error{ErrorCode::kUsage,
                 fmt::format("download {}: the prefix says {}, --source says {}", ref.repo_id, source_name(*ref.source),
                             source_name(*options.source)),
                 "give one of them", ""};
  }
  HubTarget target;
  target.repository.id = ref.repo_id;
  target.revision = !options.revision.empty() ? options.revision : ref.revision.value_or("");
  if (!options.revision.empty()) {
    // Checked as part of a MODEL: it becomes part of URLs and messages.
    MHUB_TRY(const ModelRef checked, ModelRef::parse("org/name@" + options.revision));
    target.revision = checked.revision.value_or("");
  }
  target.repository.type = options.repo_type;
  if (ref.endpoint && !options.source) {
    target.source = "mirror";
  } else {
    target.dialect = chosen_source(ref, options, config, rows);
    target.source = source_name(*target.dialect);
  }
  const bool modelscope = target.dialect == Source::kModelScope;
  const std::string& configured = modelscope ? config.modelscope_endpoint : config.huggingface_endpoint;
  std::vector<std::string> endpoints = options.endpoints;
  if (ref.endpoint) endpoints = {*ref.endpoint};
  if (endpoints.empty()) {
    endpoints = modelscope ? config.more_modelscope_endpoints : config.more_huggingface_endpoints;
    endpoints.insert(endpoints.begin(), configured);
  }
  for (const std::string& endpoint : endpoints) {
    Repository repository = target.repository;
    MHUB_TRY(repository.endpoint, checked_endpoint(endpoint));
    // --token is for the endpoint that comes first; one from the environment goes to the hub that it was made for,
    // wherever a URL or --endpoint leads.
    if (!options.token.empty()) {
      repository.token = &endpoint == &endpoints.front() ? options.token : "";
    } else if (target.dialect && same_hub_key(repository.endpoint) == same_hub_key(configured)) {
      repository.token = modelscope ? config.modelscope_token : config.huggingface_token;
    }
    target.others.push_back(std::move(repository));
  }
  target.repository = target.others.front();
  target.others.erase(target.others.begin());
  return target;
}

std::string registry_name(const Repository& repository) {
  return (repository.type == RepoType::kDataset ? "datasets/" : "") + repository.id;
}

Result<void> add_stored_tokens(HubTarget& target, const HubConfig& config) {
  MHUB_TRY(const auto tokens, TokenStore(config.home).read());
  const auto add = [&](Repository& repository) {
    if (!repository.token.empty()) return;
    if (const auto found = tokens.find(same_hub_key(repository.endpoint)); found != tokens.end()) {
      repository.token = found->second.token;
    }
  };
  add(target.repository);
  for (Repository& other : target.others) add(other);
  return {};
}

Result<std::unique_ptr<HubApi>> open_hub(const HubTarget& target, HttpTransport& transport, RetryPolicy policy,
                                         std::stop_token stop) {
  if (target.dialect == Source::kModelScope) return make_modelscope_api(transport, target.repository, policy);
  if (target.dialect == Source::kHuggingFace) return make_huggingface_api(transport, target.repository, policy);
  auto huggingface = make_huggingface_api(transport, target.repository, policy);
  const std::string revision = target.revision.empty() ? huggingface->default_revision() : target.revision;
  const auto probed = huggingface->find_commit(revision, stop);
  if (probed) return huggingface;
  if (probed.error().code != ErrorCode::kHubNotFound && probed.error().code != ErrorCode::kPolicy) {
    // Nothing answers there, or it says no: the other dialect would hear the same.
    const bool understood = probed.error().code != ErrorCode::kNetwork;
    if (understood) return probed.error();
  }
  auto modelscope = make_modelscope_api(transport, target.repository, policy);
  const std::string other = target.revision.empty() ? modelscope->default_revision() : target.revision;
  const auto listed = modelscope->list(other, "", stop);
  if (listed) return modelscope;
  return listed.error().code == ErrorCode::kHubNotFound ? listed.error() : probed.error();
}

}  // namespace mhub::hub
