// SPDX-License-Identifier: Apache-2.0
#include "remote/hub_target.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/url.h"

namespace mhub::hub {
namespace {

// modelscope.cn and www.modelscope.cn are one hub.
std::string same_hub_key(const std::string& endpoint) {
  const auto parts = parse_url(endpoint);
  if (!parts) return endpoint;
  const std::string host = parts->host.starts_with("www.") ? parts->host.substr(4) : parts->host;
  return parts->scheme + "://" + host + ":" + parts->port;
}

Result<std::string> checked_endpoint(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  if (text.find("://") == std::string::npos) text = "https://" + text;
  const auto ref = ModelRef::parse(text + "/org/name");
  if (ref && ref->endpoint == text) return text;
  return Error{ErrorCode::kUsage,
               fmt::format("read endpoint '{}': not http(s)://host[:port]", printable(redact_url(text))),
               "write --endpoint http(s)://host[:port]", ""};
}

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
  const std::string asked = ref.endpoint.value_or(options.endpoint);
  if (ref.endpoint && !options.source) {
    target.source = "mirror";
  } else {
    target.dialect = chosen_source(ref, options, config, rows);
    target.source = source_name(*target.dialect);
  }
  const bool modelscope = target.dialect == Source::kModelScope;
  const std::string& configured = modelscope ? config.modelscope_endpoint : config.huggingface_endpoint;
  MHUB_TRY(target.repository.endpoint, checked_endpoint(asked.empty() ? configured : asked));
  // A stored token goes to the hub it was made for, wherever a URL or --endpoint leads.
  target.repository.token = options.token;
  if (options.token.empty() && target.dialect && same_hub_key(target.repository.endpoint) == same_hub_key(configured)) {
    target.repository.token = modelscope ? config.modelscope_token : config.huggingface_token;
  }
  return target;
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
