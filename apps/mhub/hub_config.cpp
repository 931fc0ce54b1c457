// SPDX-License-Identifier: Apache-2.0
#include "hub_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cli.h"

namespace mhub::apps {
namespace {

constexpr OptionRange<double> kWaitSeconds{0, 3600};

Error bad_value(const char* name, const std::string& value, const std::string& what) {
  return {ErrorCode::kUsage, fmt::format("read {}='{}': {}", name, printable(value), what), "correct or unset it", ""};
}

template <typename T>
Result<T> number(const Environment& environment, const char* name, T absent, const OptionRange<T>& range) {
  const std::string text = environment(name);
  if (text.empty()) return absent;
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(value >= range.smallest && value <= range.largest)) {
    return bad_value(name, text, fmt::format("not a number from {} to {}", range.smallest, range.largest));
  }
  return value;
}

// Scheme added where missing, trailing '/' removed.
Result<std::string> endpoint(const char* name, std::string text) {
  while (text.ends_with('/')) text.pop_back();
  if (text.find("://") == std::string::npos) text = "https://" + text;
  const auto ref = hub::ModelRef::parse(text + "/org/name");
  if (!ref || !ref->endpoint || *ref->endpoint != text) return bad_value(name, text, "not http(s)://host[:port]");
  return text;
}

// One or several, separated by commas: the first and the rest. Unset: as they were.
Result<void> endpoints(const Environment& environment, const char* name, std::string& first,
                       std::vector<std::string>& more) {
  const std::string text = environment(name);
  if (text.empty()) return {};
  more.clear();
  size_t at = 0;
  for (bool is_first = true; at <= text.size(); is_first = false) {
    const size_t end = std::min(text.find(',', at), text.size());
    MHUB_TRY(std::string one, endpoint(name, text.substr(at, end - at)));
    if (is_first) {
      first = std::move(one);
    } else {
      more.push_back(std::move(one));
    }
    at = end + 1;
  }
  return {};
}

Result<std::filesystem::path> home_directory(const Environment& environment) {
  if (const std::string home = environment("MHUB_HOME"); !home.empty()) return std::filesystem::absolute(home);
  if (const std::string data = environment("XDG_DATA_HOME"); data.starts_with('/')) {
    return std::filesystem::path(data) / "mhub";
  }
  const std::string home = environment("HOME");
  if (home.empty()) {
    return Error{ErrorCode::kUsage, "find the model store: neither MHUB_HOME nor XDG_DATA_HOME nor HOME is set",
                 "set MHUB_HOME", ""};
  }
  return std::filesystem::path(home) / ".local" / "share" / "mhub";
}

}  // namespace

Result<hub::HubConfig> hub_config_from(const Environment& environment) {
  hub::HubConfig config;
  MHUB_TRY(config.home, home_directory(environment));
  if (const std::string source = environment("MHUB_SOURCE"); !source.empty()) {
    const auto parsed = hub::parse_source(source);
    if (!parsed) return bad_value("MHUB_SOURCE", source, "not modelscope or huggingface");
    config.default_source = *parsed;
    config.source_is_chosen = true;
  }
  config.more_modelscope_endpoints = {"https://www.modelscope.ai"};
  if (environment("MODELSCOPE_PREFER_AI_SITE") == "true" || environment("MODELSCOPE_PREFER_AI_SITE") == "1") {
    std::swap(config.modelscope_endpoint, config.more_modelscope_endpoints.front());
  }
  for (const char* name : {"MODELSCOPE_DOMAIN", "MODELSCOPE_ENDPOINT"}) {
    MHUB_CHECK_OK(endpoints(environment, name, config.modelscope_endpoint, config.more_modelscope_endpoints));
  }
  MHUB_CHECK_OK(endpoints(environment, "HF_ENDPOINT", config.huggingface_endpoint, config.more_huggingface_endpoints));
  config.modelscope_token = environment("MODELSCOPE_API_TOKEN");
  config.huggingface_token = environment("HF_TOKEN");
  MHUB_TRY(config.max_workers, number(environment, "MHUB_MAX_WORKERS", config.max_workers, kMaxWorkers));
  MHUB_TRY(config.connect_timeout_seconds,
           number(environment, "MHUB_TIMEOUT", config.connect_timeout_seconds, kPatienceSeconds));
  MHUB_TRY(config.stall_timeout_seconds,
           number(environment, "MHUB_STALL_TIMEOUT", config.stall_timeout_seconds, kPatienceSeconds));
  MHUB_TRY(config.retries, number(environment, "MHUB_RETRIES", config.retries, kRetries));
  MHUB_TRY(config.retry_delay_seconds,
           number(environment, "MHUB_RETRY_DELAY", config.retry_delay_seconds, kWaitSeconds));
  for (const char* name : {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    if (const std::string file = environment(name); !file.empty()) config.ca_file = file;
  }
  config.ca_directory = environment("SSL_CERT_DIR");
  const auto first_of = [&](std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (std::string text = environment(name); !text.empty()) return text;
    }
    return std::string();
  };
  config.http_proxy = first_of({"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"});
  config.https_proxy = first_of({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"});
  config.no_proxy = first_of({"no_proxy", "NO_PROXY"});
  MHUB_TRY(config.registry_timeout_seconds,
           number(environment, "MHUB_REGISTRY_TIMEOUT", config.registry_timeout_seconds, kWaitSeconds));
  return config;
}

Result<hub::HubConfig> hub_config_from_environment() {
  return hub_config_from(env);
}

Result<std::unique_ptr<hub::ModelLibrary>> open_library() {
  MHUB_TRY(const hub::HubConfig config, hub_config_from_environment());
  return hub::ModelLibrary::open(config);
}

}  // namespace mhub::apps
