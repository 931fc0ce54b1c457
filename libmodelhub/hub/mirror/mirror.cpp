// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "mhub/base/json.h"
#include "mhub/hub/model_library.h"
#include "mirror/catalog.h"
#include "mirror/faces.h"

namespace mhub::hub {
namespace {

httpd::Response plain(int status, const std::string& text) {
  httpd::Response response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
  response.body = text + "\n";
  return response;
}

httpd::Response serve(registry::Registry& registry, const httpd::Request& request) {
  const auto segments = path_segments(request.raw_path);
  if (!segments) return plain(400, "malformed percent-encoding in the path");
  if (segments->empty()) return plain(200, "mhub mirror: read APIs of ModelScope and Hugging Face");
  // ModelScope's paths all begin with api/v1 or openapi; the rest is Hugging Face's.
  if (auto response = modelscope_face(registry, request, *segments)) return *std::move(response);
  if (auto response = huggingface_face(registry, request, *segments)) return *std::move(response);
  return plain(404, "this mirror has no such route");
}

}  // namespace

struct Mirror::State {
  std::unique_ptr<httpd::Server> server;
};

Mirror::Mirror(std::unique_ptr<State> state) : state_(std::move(state)) {}
Mirror::~Mirror() = default;

Result<std::unique_ptr<Mirror>> Mirror::start(ModelLibrary& library, const MirrorConfig& config) {
  httpd::ServerConfig server;
  server.host = config.host;
  server.port = config.port;
  server.error_response = [](const Error& error) {
    return json_response(error_info(error.code).http_status, {{"error", error.one_line()}});
  };
  std::vector<httpd::Route> routes;
  const auto handler = [&registry = library.registry()](const httpd::Request& request, httpd::BodyWriter&) {
    return serve(registry, request);
  };
  for (const char* method : {"GET", "HEAD", "POST"}) {
    routes.push_back({.method = method, .pattern = "/{path...}", .is_public = false, .handler = handler});
  }
  auto state = std::make_unique<State>();
  MHUB_TRY(state->server, httpd::Server::start(std::move(server), std::move(routes)));
  return std::unique_ptr<Mirror>(new Mirror(std::move(state)));
}

int Mirror::port() const {
  return state_->server->port();
}

}  // namespace mhub::hub
