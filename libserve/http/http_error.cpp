// SPDX-License-Identifier: Apache-2.0
#include "http_error.h"

namespace mhub::http {
namespace {

// Instead of the text of an internal error, which may name source files, addresses and devices.
constexpr const char* kInternalFailure =
    "the server failed to answer this request; its log says why, another try may succeed";

}  // namespace

OrderedJson error_body(const Error& error) {
  const ErrorInfo& info = error_info(error.code);
  std::string message = kInternalFailure;
  if (error.code != ErrorCode::kInternal) {
    message = error.message;
    if (!error.hint.empty()) message += "; " + error.hint;
  }
  OrderedJson param = nullptr;
  if (!error.param.empty()) param = error.param;
  return {{"error", {{"message", message}, {"type", info.openai_type}, {"param", param}, {"code", info.http_status}}}};
}

httpd::Response json_response(const OrderedJson& body) {
  httpd::Response response;
  response.headers = {{"Content-Type", "application/json"}};
  response.body = dump_json(body);
  return response;
}

httpd::Response error_response(const Error& error) {
  httpd::Response response = json_response(error_body(error));
  response.status = error_info(error.code).http_status;
  if (response.status == 429 || response.status == 503) response.headers.emplace_back("Retry-After", "1");
  if (response.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace mhub::http
