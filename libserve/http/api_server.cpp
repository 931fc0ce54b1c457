// SPDX-License-Identifier: Apache-2.0
#include "mhub/http/api_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "api_context.h"
#include "http_error.h"
#include "routes.h"

namespace mhub::http {
namespace {

constexpr int kSpareWorkers = 32;       // for refusals, models, tokenizing beside full generation
constexpr int kSpareConnections = 512;  // idle ones beside those that generate
constexpr double kEndOfStreamSeconds = 0.5;

bool is_loopback(const std::string& host) {
  if (host == "localhost" || host == "::1") return true;
  in_addr address{};  // a name may begin with "127.", too
  return inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

// CORS and request id, on every response.
void decorate(const HttpConfig& config, const httpd::Request& request, httpd::Response& response) {
  const auto& allowed = config.allowed_origins;
  const std::string* origin = request.header("origin");
  if (std::find(allowed.begin(), allowed.end(), "*") != allowed.end()) {
    response.headers.emplace_back("Access-Control-Allow-Origin", "*");
  } else if (origin != nullptr && std::find(allowed.begin(), allowed.end(), *origin) != allowed.end()) {
    response.headers.emplace_back("Access-Control-Allow-Origin", *origin);
    response.headers.emplace_back("Vary", "Origin");
  }
  if (const std::string* id = valid_request_id(request)) response.headers.emplace_back("X-Request-Id", *id);
}

void log_access(const httpd::Request& request, const httpd::Response& response, double seconds) {
  const auto level =
      request.path == "/health" || request.path == "/metrics" ? spdlog::level::debug : spdlog::level::info;
  spdlog::log(level, "http: answered method={} path={} status={} seconds={:.3f} peer={}", printable(request.method),
              printable(request.path), response.status, seconds, request.remote_address);
}

}  // namespace

struct ApiServer::State {
  State(const HttpConfig& config, ServedModel model, ApiKeys the_keys)
      : context(config, std::move(model), std::move(the_keys)) {}

  httpd::ServerConfig transport() {
    httpd::ServerConfig transport;
    transport.host = context.config.host;
    transport.port = context.config.port;
    transport.num_workers = context.config.max_concurrent_requests + kSpareWorkers;
    transport.max_connections = std::max(1024, context.config.max_concurrent_requests + kSpareConnections);
    if (!context.keys.empty()) {
      transport.authorize = [this](const httpd::Request& request) { return context.keys.authorize(request); };
    }
    transport.error_response = [](const Error& error) { return error_response(error); };
    transport.decorate = [this](const httpd::Request& request, httpd::Response& response) {
      decorate(context.config, request, response);
    };
    transport.access_log = log_access;
    return transport;
  }

  ApiContext context;
  std::unique_ptr<httpd::Server> server;  // last: its threads use the members above
};

Result<void> ApiServer::check(const HttpConfig& config) {
  if (config.api_keys.empty() && !config.insecure && !is_loopback(config.host)) {
    return Error{ErrorCode::kPolicy, fmt::format("serving on {} without an API key: refused", printable(config.host)),
                 "give --api-key (or MHUB_API_KEY), keep --host 127.0.0.1, or say --insecure", ""};
  }
  if (config.served_model_names.empty()) {
    return Error{ErrorCode::kUsage, "no name to serve the model under", "give --served-model-name", ""};
  }
  MHUB_CHECK_OK(ApiKeys::create(config.api_keys));
  return {};
}

Result<std::unique_ptr<ApiServer>> ApiServer::start(const HttpConfig& config, ServedModel model) {
  MHUB_CHECK_OK(check(config));
  MHUB_TRY(ApiKeys keys, ApiKeys::create(config.api_keys));
  auto state = std::make_unique<State>(config, std::move(model), std::move(keys));
  std::vector<httpd::Route> routes;
  for (auto* group : {&generation_routes, &tokenizer_routes, &server_routes}) {
    auto added = (*group)(state->context);
    routes.insert(routes.end(), std::make_move_iterator(added.begin()), std::make_move_iterator(added.end()));
  }
  MHUB_TRY(state->server, httpd::Server::start(state->transport(), std::move(routes)));
  return std::unique_ptr<ApiServer>(new ApiServer(std::move(state)));
}

ApiServer::ApiServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
ApiServer::~ApiServer() {
  state_->context.draining = true;
  state_->context.cut = true;
  state_->server->stop(kEndOfStreamSeconds);
}
int ApiServer::port() const {
  return state_->server->port();
}

void ApiServer::drain() {
  using Clock = std::chrono::steady_clock;
  ApiContext& context = state_->context;
  context.draining = true;
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                           std::chrono::duration<double>(context.config.shutdown_timeout_seconds));
  while (context.in_flight > 0 && Clock::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  context.cut = true;
  state_->server->stop(kEndOfStreamSeconds);
}

}  // namespace mhub::http
