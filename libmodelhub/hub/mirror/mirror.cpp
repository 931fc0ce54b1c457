// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "mhub/base/json.h"
#include "mhub/hub/mirror.h"
#include "mirror/access.h"
#include "mirror/catalog.h"
#include "mirror/faces.h"
#include "store/layout.h"

namespace mhub::hub {
namespace {

httpd::Response plain(int status, const std::string& text) {
  httpd::Response response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
  response.body = text + "\n";
  return response;
}

httpd::Response serve(LibraryView& view, const httpd::Request& request) {
  const auto segments = path_segments(request.raw_path);
  if (!segments) return plain(400, "malformed percent-encoding in the path");
  if (segments->empty()) return plain(200, "mhub mirror: read APIs of ModelScope, Hugging Face and Ollama");
  // ModelScope's paths all begin with api/v1 or openapi, Ollama's with v2; the rest is Hugging Face's.
  if (auto response = modelscope_face(view, request, *segments)) return *std::move(response);
  if (auto response = ollama_face(view, request, *segments)) return *std::move(response);
  if (auto response = huggingface_face(view, request, *segments)) return *std::move(response);
  return plain(404, "this mirror has no such route");
}

httpd::Response metrics(const MirrorCounters& counters, const Upstream* upstream) {
  std::string text;
  const auto add = [&](const char* name, const char* help, uint64_t value) {
    text += fmt::format("# HELP mhub_mirror_{0} {1}\n# TYPE mhub_mirror_{0} counter\nmhub_mirror_{0} {2}\n", name, help,
                        value);
  };
  add("requests_total", "Requests answered.", counters.requests);
  add("file_requests_total", "Requests for the bytes or head of a file.", counters.file_requests);
  add("refused_total", "Requests refused by the access list or for want of a token.", counters.refused);
  add("body_bytes_total", "Bytes of files in answers.", counters.body_bytes);
  add("cold_requests_total", "Requests for a file that had to come from upstream first.", counters.cold_requests);
  add("upstream_transfers_total", "Files fetched from upstream.", upstream ? upstream->transfers() : 0);
  httpd::Response response;
  response.headers.emplace_back("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = std::move(text);
  return response;
}

Result<UpstreamConfig> upstream_config(const MirrorOptions& config) {
  UpstreamConfig upstream;
  upstream.token = config.upstream_token;
  upstream.patience_seconds = config.upstream_patience_seconds;
  if (const auto source = parse_source(config.upstream)) {
    upstream.source = *source;
    return upstream;
  }
  MHUB_TRY(const ModelRef checked, ModelRef::parse(config.upstream + "/org/name"));
  if (!checked.endpoint) {
    return Error{ErrorCode::kUsage,
                 fmt::format("read --upstream '{}': neither a hub nor a URL", printable(config.upstream)),
                 "write modelscope, huggingface or http(s)://host[:port]", ""};
  }
  upstream.endpoint = *checked.endpoint;
  return upstream;
}

}  // namespace

struct Mirror::State {
  MirrorCounters counters;
  std::unique_ptr<Upstream> upstream;
  std::unique_ptr<LibraryView> view;
  std::unique_ptr<httpd::Server> server;  // last: its threads end before what they use
};

Mirror::Mirror(std::unique_ptr<State> state) : state_(std::move(state)) {}
Mirror::~Mirror() = default;

Result<std::unique_ptr<Mirror>> Mirror::start(ModelLibrary& library, const MirrorOptions& config) {
  if (config.tls_certificate_file.empty() != config.tls_key_file.empty()) {
    return Error{ErrorCode::kUsage, "start the mirror: only one of TLS certificate and key is given", "give both", ""};
  }
  auto state = std::make_unique<State>();
  MirrorCounters& counters = state->counters;
  if (!config.upstream.empty()) {
    MHUB_TRY(UpstreamConfig upstream, upstream_config(config));
    state->upstream = std::make_unique<Upstream>(library, std::move(upstream));
  }
  state->view = std::make_unique<LibraryView>(library.registry(), StoreLayout(library.config().home).registry_file(),
                                              state->upstream.get(), config.serve_incomplete, counters);
  MHUB_TRY(AccessList access, AccessList::make(config.allow, config.tokens));
  httpd::ServerConfig server;
  server.host = config.host;
  server.port = config.port;
  server.tls_certificate_file = config.tls_certificate_file;
  server.tls_key_file = config.tls_key_file;
  server.authorize = [access = std::move(access), &counters](const httpd::Request& request) {
    auto allowed = access.check(request);
    if (!allowed) ++counters.refused;
    return allowed;
  };
  server.error_response = [](const Error& error) {
    return json_response(error_info(error.code).http_status, {{"error", error.one_line()}});
  };
  server.access_log = [&counters](const httpd::Request& request, const httpd::Response& response, double) {
    ++counters.requests;
    if (response.file && request.method != "HEAD") counters.body_bytes += response.file->length;
  };
  std::vector<httpd::Route> routes;
  routes.push_back({.method = "GET",
                    .pattern = "/metrics",
                    .is_public = false,
                    .handler = [&counters, upstream = state->upstream.get()](
                                   const httpd::Request&, httpd::BodyWriter&) { return metrics(counters, upstream); }});
  const auto handler = [&view = *state->view](const httpd::Request& request, httpd::BodyWriter&) {
    return serve(view, request);
  };
  for (const char* method : {"GET", "HEAD", "POST"}) {
    routes.push_back({.method = method, .pattern = "/{path...}", .is_public = false, .handler = handler});
  }
  MHUB_TRY(state->server, httpd::Server::start(std::move(server), std::move(routes)));
  return std::unique_ptr<Mirror>(new Mirror(std::move(state)));
}

int Mirror::port() const {
  return state_->server->port();
}

}  // namespace mhub::hub
