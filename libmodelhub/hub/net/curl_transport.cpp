// SPDX-License-Identifier: Apache-2.0
#include "net/curl_transport.h"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "mhub/base/check.h"
#include "net/curl_exchange.h"

namespace mhub::hub {
namespace {

constexpr long kIdleConnections = 64;
constexpr auto kPauseTick = std::chrono::milliseconds(10);

CURLM* make_multi() {
  return curl_library().multi_init();
}

}  // namespace

struct CurlTransport::State {
  explicit State(const CurlConfig& the_config) : config(the_config) {
    curl_library().multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, kIdleConnections);
  }
  ~State() {
    for (auto& [id, exchange] : exchanges) detach(*exchange);
  }

  void attach(Id id, CurlExchange& exchange) {
    if (CURL* easy = exchange.begin_hop()) {
      attached[easy] = id;
      curl_library().multi_add_handle(multi.get(), easy);
    } else {
      ended.push_back(id);
    }
  }
  void detach(CurlExchange& exchange) {
    if (attached.erase(exchange.easy()) != 0) curl_library().multi_remove_handle(multi.get(), exchange.easy());
  }

  // libcurl must not be entered from its own callbacks: starts and cancels made there wait in these lists.
  void apply_deferred() {
    while (!to_start.empty() || !to_cancel.empty()) {
      for (const Id id : std::exchange(to_cancel, {})) drop(id);
      for (const Id id : std::exchange(to_start, {})) {
        if (const auto found = exchanges.find(id); found != exchanges.end()) attach(id, *found->second);
      }
    }
  }
  void drop(Id id) {
    const auto found = exchanges.find(id);
    if (found == exchanges.end()) return;
    detach(*found->second);
    exchanges.erase(found);
  }

  void collect_finished() {
    int left = 0;
    while (const CURLMsg* message = curl_library().multi_info_read(multi.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      const Id id = attached.at(message->easy_handle);
      CurlExchange& exchange = *exchanges.at(id);
      detach(exchange);
      if (exchange.end_hop(code)) {
        attach(id, exchange);
      } else {
        ended.push_back(id);
      }
    }
  }
  void collect_stalled() {
    const auto now = CurlExchange::Clock::now();
    for (auto& [id, exchange] : exchanges) {
      if (!attached.contains(exchange->easy())) continue;
      exchange->check_stall(now);
      if (!exchange->stalled()) continue;
      detach(*exchange);
      ended.push_back(id);
    }
  }
  // In the order of their ids, beginning after the one that was served last: none starves under a rate limit.
  void resume_paused() {
    const auto now = CurlExchange::Clock::now();
    auto next = exchanges.upper_bound(last_resumed);
    for (size_t i = 0; i < exchanges.size(); ++i) {
      if (next == exchanges.end()) next = exchanges.begin();
      const auto [id, exchange] = std::pair(next->first, next->second.get());
      ++next;
      if (!exchange->paused() || !attached.contains(exchange->easy())) continue;
      if (!rate_limit.may_read(now)) return;
      last_resumed = id;
      exchange->resume(now);
    }
  }
  bool any_paused() const {
    return std::any_of(exchanges.begin(), exchanges.end(), [](const auto& entry) { return entry.second->paused(); });
  }
  void tell_ended() {
    for (const Id id : std::exchange(ended, {})) {
      const auto found = exchanges.find(id);
      if (found == exchanges.end()) continue;
      const std::unique_ptr<CurlExchange> exchange = std::move(found->second);
      exchanges.erase(found);
      if (!exchange->cancelled()) exchange->tell_done();
    }
  }

  const CurlConfig config;
  std::unique_ptr<CURLM, CURLMcode (*)(CURLM*)> multi{make_multi(), curl_library().multi_cleanup};
  EndpointAddresses addresses;
  RateLimit rate_limit{config.bytes_per_second};
  Id last_resumed = 0;
  std::map<Id, std::unique_ptr<CurlExchange>> exchanges;
  std::map<CURL*, Id> attached;  // to the multi handle
  std::vector<Id> to_start, to_cancel, ended;
  Id next_id = 1;
};

CurlTransport::CurlTransport(const CurlConfig& config) : state_(std::make_unique<State>(config)) {}
CurlTransport::~CurlTransport() = default;

HttpTransport::Id CurlTransport::start(HttpRequest request, HttpSink& sink) {
  const Id id = state_->next_id++;
  state_->exchanges[id] =
      std::make_unique<CurlExchange>(std::move(request), sink, state_->config, state_->addresses, state_->rate_limit);
  state_->to_start.push_back(id);
  return id;
}

void CurlTransport::cancel(Id id) {
  const auto found = state_->exchanges.find(id);
  if (found == state_->exchanges.end()) return;
  found->second->cancel();
  state_->to_cancel.push_back(id);
}

void CurlTransport::poll(std::chrono::milliseconds longest_wait) {
  state_->apply_deferred();
  if (state_->rate_limit.active() && state_->any_paused()) longest_wait = std::min(longest_wait, kPauseTick);
  if (state_->ended.empty()) {
    curl_library().multi_poll(state_->multi.get(), nullptr, 0, static_cast<int>(longest_wait.count()), nullptr);
  }
  if (state_->rate_limit.active()) state_->resume_paused();
  int running = 0;
  curl_library().multi_perform(state_->multi.get(), &running);
  state_->collect_finished();
  state_->collect_stalled();
  state_->tell_ended();
  state_->apply_deferred();
}

void CurlTransport::wake() {
  curl_library().multi_wakeup(state_->multi.get());
}

}  // namespace mhub::hub
