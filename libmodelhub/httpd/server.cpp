// SPDX-License-Identifier: Apache-2.0
#include "mhub/httpd/server.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "event_loop.h"
#include "worker_pool.h"

namespace mhub::httpd {
namespace {

constexpr int kReservedWorkers = 2;

// What a handler may ask of its peer; the response itself is written after it returns.
class PeerView final : public BodyWriter {
 public:
  explicit PeerView(const ByteSink& sink) : sink_(sink) {}
  bool write(std::string_view) override { return false; }
  bool peer_gone() const override { return sink_.peer_gone(); }

 private:
  const ByteSink& sink_;
};

bool has_header(const Response& response, std::string_view name) {
  return std::any_of(response.headers.begin(), response.headers.end(),
                     [&](const auto& header) { return equals_ignoring_case(header.first, name); });
}

Response plain_error(const Error& error) {
  Response response;
  response.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
  response.body = error.one_line() + "\n";
  return response;
}

}  // namespace

const std::string* Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equals_ignoring_case(key, name)) return &value;
  }
  return nullptr;
}

const std::string* Request::query_value(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

struct Server::State {
  State(ServerConfig the_config, std::vector<Route> routes, Listener listener, std::unique_ptr<TlsContext> the_tls)
      : config(std::move(the_config)),
        tls(std::move(the_tls)),
        router(std::move(routes)),
        port(listener.port),
        loop(config, std::move(listener.fd), tls.get(), hooks()),
        workers(
            config.num_workers, [this](Exchange& e) { answer(e); }, give_back()),
        reserved(
            kReservedWorkers, [this](Exchange& e) { answer_reserved(e); }, give_back()),
        thread([this] { loop.run(); }) {}

  LoopHooks hooks() {
    return {[this](const Request& head) { return judge(head); },
            [this](Exchange&& exchange) {
              return (exchange.route->is_public ? reserved : workers).submit(std::move(exchange));
            },
            [this](const Error& error, const Request& head, const Router::Match& match) {
              Response response = error_response(error, head, match);
              if (config.access_log) config.access_log(head, response, 0);
              return response;
            }};
  }
  WorkerPool::GiveBack give_back() {
    return [this](std::unique_ptr<Connection> connection) { loop.give_back(std::move(connection)); };
  }

  Verdict judge(const Request& head) const {
    Verdict verdict{router.find(head.method, head.path), std::nullopt};
    const Route* route = verdict.match.route;
    if (route != nullptr && route->is_public) return verdict;
    if (config.authorize) {
      if (auto allowed = config.authorize(head); !allowed) verdict.refusal = std::move(allowed).error();
    }
    if (!verdict.refusal && route == nullptr) {
      verdict.refusal = verdict.match.allow.empty() ? Error{ErrorCode::kNotFound, "Not Found", "", ""}
                                                    : Error{ErrorCode::kMethodNotAllowed, "Method Not Allowed", "", ""};
    }
    return verdict;
  }

  Response error_response(const Error& error, const Request& request, const Router::Match& match) const {
    Response response = config.error_response ? config.error_response(error) : plain_error(error);
    response.status = error_info(error.code).http_status;
    if ((response.status == 429 || response.status == 503) && !has_header(response, "Retry-After")) {
      response.headers.emplace_back("Retry-After", "1");
    }
    if (response.status == 405) response.headers.emplace_back("Allow", match.allow);
    if (config.decorate) config.decorate(request, response);
    return response;
  }

  Response run_handler(const Exchange& exchange, const ByteSink& sink) const {
    try {
      PeerView peer(sink);
      Response response = exchange.route->handler(exchange.request, peer);
      if (config.decorate) config.decorate(exchange.request, response);
      return response;
    } catch (const std::exception& e) {
      spdlog::error("httpd: handler failed path={} error={}", printable(exchange.request.path), printable(e.what()));
      return error_response({ErrorCode::kInternal, "internal error", "", ""}, exchange.request, {});
    }
  }

  void answer_to(Exchange& exchange, ByteSink& sink) const {
    const auto begin = Clock::now();
    Connection& connection = *exchange.connection;
    const Response response = run_handler(exchange, sink);
    bool keep_alive = false;
    try {
      keep_alive = write_response(response, exchange.framing, sink);
    } catch (const std::exception& e) {
      spdlog::error("httpd: body failed path={} error={}", printable(exchange.request.path), printable(e.what()));
      connection.broken = true;
    }
    connection.close_after_flush = !keep_alive;
    if (config.access_log) {
      config.access_log(exchange.request, response, std::chrono::duration<double>(Clock::now() - begin).count());
    }
  }

  void answer(Exchange& exchange) const {
    SocketSink sink(*exchange.connection->channel, config.write_stall_seconds);
    answer_to(exchange, sink);
    if (sink.failed()) exchange.connection->broken = true;
  }

  // A public answer is small and never waits for its reader: the loop sends it.
  void answer_reserved(Exchange& exchange) const {
    BufferSink sink(exchange.connection->fd());
    answer_to(exchange, sink);
    exchange.connection->out = sink.take();
  }

  const ServerConfig config;
  const std::unique_ptr<TlsContext> tls;
  const Router router;
  const int port;
  EventLoop loop;
  WorkerPool workers, reserved;
  std::thread thread;
  std::once_flag stopped;
};

Result<std::unique_ptr<Server>> Server::start(ServerConfig config, std::vector<Route> routes) {
  std::unique_ptr<TlsContext> tls;
  if (!config.tls_certificate_file.empty()) {
    MHUB_TRY(tls, TlsContext::load(config.tls_certificate_file, config.tls_key_file));
  }
  MHUB_TRY(Listener listener, listen_on(config.host, config.port));
  return std::unique_ptr<Server>(
      new Server(std::make_unique<State>(std::move(config), std::move(routes), std::move(listener), std::move(tls))));
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::~Server() {
  stop(0);
}
int Server::port() const {
  return state_->port;
}

void Server::stop(double seconds) {
  std::call_once(state_->stopped, [&] {
    const auto deadline =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    state_->loop.stop();
    state_->thread.join();
    state_->workers.stop(deadline);
    state_->reserved.stop(deadline);
  });
}

}  // namespace mhub::httpd
