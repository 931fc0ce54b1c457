// SPDX-License-Identifier: Apache-2.0
#include "http_error.h"
#include "routes.h"

namespace mhub::http {
namespace {

OrderedJson model_card(const ApiContext& context, const std::string& name) {
  return {{"id", name},
          {"object", "model"},
          {"created", context.started},
          {"owned_by", "mhub"},
          {"root", context.model.root},
          {"parent", nullptr},
          {"max_model_len", context.max_model_len},
          {"permission", OrderedJson::array()}};
}

httpd::Response list_models(const ApiContext& context) {
  OrderedJson data = OrderedJson::array();
  for (const auto& name : context.config.served_model_names) data.push_back(model_card(context, name));
  return json_response({{"object", "list"}, {"data", std::move(data)}});
}

httpd::Response show_model(const ApiContext& context, const std::string& name) {
  if (const auto known = context.check_model(name); !known) return error_response(known.error());
  return json_response(model_card(context, name));
}

// Empty on purpose: what load balancers and vLLM's clients expect.
httpd::Response health(const ApiContext& context) {
  httpd::Response response;
  if (context.draining || !context.model.generator->ready()) {
    response.status = 503;
    response.headers = {{"Retry-After", "1"}};
  }
  return response;
}

httpd::Response metrics(const ApiContext& context) {
  httpd::Response response;
  response.headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}};
  response.body = context.metrics.text(context.model.generator->stats(), context.model.generator->info());
  return response;
}

httpd::Response preflight(const httpd::Request& request) {
  httpd::Response response;
  response.status = 204;
  const std::string* asked = request.header("access-control-request-headers");
  response.headers = {{"Allow", "GET, HEAD, POST, OPTIONS"},
                      {"Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS"},
                      {"Access-Control-Allow-Headers", asked != nullptr ? *asked : "*"},
                      {"Access-Control-Max-Age", "600"}};
  return response;
}

}  // namespace

std::vector<httpd::Route> server_routes(ApiContext& context) {
  using httpd::BodyWriter;
  using httpd::Request;
  std::vector<httpd::Route> routes;
  for (const char* prefix : {"/v1", ""}) {
    routes.push_back({"GET", std::string(prefix) + "/models", false,
                      [&](const Request&, BodyWriter&) { return list_models(context); }});
    routes.push_back({"GET", std::string(prefix) + "/models/{id...}", false, [&](const Request& request, BodyWriter&) {
                        return show_model(context, request.params.at("id"));
                      }});
  }
  const auto health_route = [&](const Request&, BodyWriter&) { return health(context); };
  routes.push_back({"GET", "/health", true, health_route});
  routes.push_back({"GET", "/ping", true, health_route});
  routes.push_back({"POST", "/ping", true, health_route});
  routes.push_back({"GET", "/version", true, [](const Request&, BodyWriter&) {
                      return json_response({{"version", MHUB_VERSION}});
                    }});
  routes.push_back({"GET", "/metrics", true, [&](const Request&, BodyWriter&) { return metrics(context); }});
  routes.push_back(
      {"OPTIONS", "/{path...}", true, [](const Request& request, BodyWriter&) { return preflight(request); }});
  return routes;
}

}  // namespace mhub::http
