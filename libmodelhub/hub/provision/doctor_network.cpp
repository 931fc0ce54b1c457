// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <memory>

#include "library_transport.h"
#include "mhub/base/bytes.h"
#include "mhub/hub/doctor.h"
#include "mhub/hub/remote_model.h"
#include "net/curl_library.h"
#include "net/url.h"
#include "remote/hub_target.h"
#include "remote/token_store.h"
#include "transfer/ranged_read.h"

namespace mhub::hub {
namespace {

using State = Finding::State;
using Clock = std::chrono::steady_clock;

constexpr double kMuchSkew = 300;
constexpr uint64_t kSpeedSample = 16u << 20;
constexpr uint64_t kSpeedPart = 4u << 20;
constexpr size_t kLargestAnswer = 16u << 20;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Finding name_of(const UrlParts& parts) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const auto start = Clock::now();
  const int failed = getaddrinfo(parts.host.c_str(), parts.port.c_str(), &hints, &found);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, [](addrinfo* list) {
    if (list) freeaddrinfo(list);
  });
  const std::string name = "name " + parts.host;
  if (failed != 0) {
    return {State::kFailed, name, gai_strerror(failed), "check /etc/resolv.conf, or reach the hub through a proxy",
            ErrorCode::kNetwork};
  }
  std::string list;
  for (const addrinfo* entry = addresses.get(); entry && list.size() < 100; entry = entry->ai_next) {
    char text[INET6_ADDRSTRLEN] = "";
    if (getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0) {
      list += (list.empty() ? "" : ", ") + std::string(text);
    }
  }
  return {State::kGood, name, fmt::format("{} in {:.0f} ms", list, seconds_since(start) * 1000), "",
          ErrorCode::kNetwork};
}

Finding clock_of(const HttpHead& head) {
  const std::string* date = head.header("date");
  const auto there = date ? http_date(*date) : std::nullopt;
  if (!there) return {State::kGood, "clock", "the hub's answer has no date to compare with", "", ErrorCode::kNetwork};
  const double skew = static_cast<double>(std::time(nullptr) - *there);
  if (std::abs(skew) < kMuchSkew) {
    return {State::kGood, "clock", fmt::format("{:+.0f} s against the hub's", skew), "", ErrorCode::kNetwork};
  }
  return {State::kFailed, "clock", fmt::format("{:+.0f} s against the hub's", skew),
          "certificates are judged by this clock: set it (timedatectl set-ntp true)", ErrorCode::kNetwork};
}

std::vector<Finding> examine_endpoint(const HubConfig& config, const std::string& endpoint, std::stop_token stop) {
  std::vector<Finding> findings;
  const auto parts = parse_url(endpoint);
  if (!parts)
    return {{State::kFailed, "hub " + endpoint, parts.error().message, parts.error().hint, ErrorCode::kUsage}};
  const std::string proxy = proxy_for(*parts, {config.http_proxy, config.https_proxy, config.no_proxy});
  if (proxy.empty()) findings.push_back(name_of(*parts));
  if (!findings.empty() && findings.back().state == State::kFailed) return findings;
  CurlTransport transport(curl_config(config));
  HttpRequest request;
  request.url = endpoint + "/";
  request.endpoint = parts->origin();
  const auto start = Clock::now();
  const FetchOutcome outcome = fetch(transport, std::move(request), kLargestAnswer, stop);
  const std::string via = proxy.empty() ? "" : fmt::format(", through {}", redact_url(proxy));
  const std::string name = "hub " + endpoint;
  if (!outcome.response) {
    const Error& error = outcome.response.error();
    findings.push_back({State::kFailed, name, error.message, error.hint, ErrorCode::kNetwork});
    return findings;
  }
  findings.push_back({State::kGood, name,
                      fmt::format("{}answers HTTP {} in {:.0f} ms{}", parts->scheme == "https" ? "TLS good, " : "",
                                  outcome.response->head.status, seconds_since(start) * 1000, via),
                      "", ErrorCode::kNetwork});
  findings.push_back(clock_of(outcome.response->head));
  return findings;
}

Finding certificates_of(const HubConfig& config) {
  if (config.ca_file.empty() && config.ca_directory.empty()) {
    return {State::kGood, "certificates", "the system's", "", ErrorCode::kNetwork};
  }
  for (const std::string& path : {config.ca_file, config.ca_directory}) {
    struct stat info {};
    if (!path.empty() && stat(path.c_str(), &info) != 0) {
      return {State::kFailed, "certificates", fmt::format("{} is not there", path),
              "correct SSL_CERT_FILE, CURL_CA_BUNDLE, REQUESTS_CA_BUNDLE or SSL_CERT_DIR", ErrorCode::kNetwork};
    }
  }
  return {State::kGood, "certificates",
          fmt::format("{}{}{}", config.ca_file, config.ca_file.empty() || config.ca_directory.empty() ? "" : " and ",
                      config.ca_directory),
          "", ErrorCode::kNetwork};
}

}  // namespace

std::vector<Finding> examine_network(const HubConfig& config, std::stop_token stop) {
  std::vector<Finding> findings;
  findings.push_back(certificates_of(config));
  const bool proxied = !config.http_proxy.empty() || !config.https_proxy.empty();
  findings.push_back({State::kGood, "proxy",
                      proxied
                          ? fmt::format("http {}, https {}, not for {}", redact_url(config.http_proxy),
                                        redact_url(config.https_proxy), config.no_proxy.empty() ? "-" : config.no_proxy)
                          : "none",
                      "", ErrorCode::kNetwork});
  const auto tokens = TokenStore(config.home).read();
  if (tokens) {
    findings.push_back({State::kGood, "tokens", fmt::format("{} stored", tokens->size()), "", ErrorCode::kPolicy});
  } else {
    findings.push_back({State::kFailed, "tokens", tokens.error().message, tokens.error().hint, ErrorCode::kPolicy});
  }
  std::vector<std::string> endpoints = {config.modelscope_endpoint};
  endpoints.insert(endpoints.end(), config.more_modelscope_endpoints.begin(), config.more_modelscope_endpoints.end());
  endpoints.push_back(config.huggingface_endpoint);
  endpoints.insert(endpoints.end(), config.more_huggingface_endpoints.begin(), config.more_huggingface_endpoints.end());
  for (size_t i = 0; i < endpoints.size() && !stop.stop_requested(); ++i) {
    if (std::find(endpoints.begin(), endpoints.begin() + static_cast<ptrdiff_t>(i), endpoints[i]) !=
        endpoints.begin() + static_cast<ptrdiff_t>(i)) {
      continue;
    }
    for (Finding& finding : examine_endpoint(config, endpoints[i], stop)) findings.push_back(std::move(finding));
  }
  return findings;
}

Result<std::vector<Finding>> measure_sources(ModelLibrary& library, const ModelRef& model, std::stop_token stop) {
  const HubConfig& config = library.config();
  MHUB_TRY(const auto rows, library.registry().list_models(false));
  MHUB_TRY(HubTarget target, choose_target(model, {}, config, rows));
  MHUB_CHECK_OK(add_stored_tokens(target, config));
  MHUB_CHECK_OK(load_curl());
  std::vector<Repository> repositories = std::exchange(target.others, {});
  repositories.insert(repositories.begin(), target.repository);
  std::vector<Finding> findings;
  for (const Repository& repository : repositories) {
    target.repository = repository;
    CurlTransport transport(curl_config(config));
    const std::string name = "speed " + repository.endpoint;
    const auto measure = [&]() -> Result<std::string> {
      MHUB_TRY(const auto api, open_hub(target, transport, retry_policy(config), stop));
      const std::string revision = target.revision.empty() ? api->default_revision() : target.revision;
      MHUB_TRY(const std::string commit, api->find_commit(revision, stop));
      MHUB_TRY(const Snapshot snapshot, api->list(revision, commit, stop));
      const auto largest = std::max_element(snapshot.files.begin(), snapshot.files.end(),
                                            [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
      if (largest == snapshot.files.end() || largest->bytes == 0) return std::string("it has no bytes to measure with");
      std::vector<RangedRead> reads;
      const uint64_t end = std::min(largest->bytes, kSpeedSample);
      for (uint64_t at = 0; at < end; at += kSpeedPart)
        reads.push_back({&*largest, at, std::min(kSpeedPart, end - at)});
      const auto start = Clock::now();
      MHUB_TRY(const auto bodies, read_ranges(transport, *api, reads, retry_policy(config), stop));
      const double seconds = std::max(seconds_since(start), 1e-6);
      return fmt::format("{}/s over {}", human_bytes(static_cast<uint64_t>(static_cast<double>(end) / seconds)),
                         human_bytes(end));
    };
    const auto measured = measure();
    if (measured) {
      findings.push_back({State::kGood, name, *measured, "", ErrorCode::kNetwork});
    } else {
      findings.push_back({State::kFailed, name, measured.error().message, measured.error().hint, ErrorCode::kNetwork});
    }
  }
  return findings;
}

}  // namespace mhub::hub
