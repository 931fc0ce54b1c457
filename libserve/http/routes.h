// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "api_context.h"
#include "mhub/httpd/server.h"

namespace mhub::http {

// The routes by theme; `context` outlives the server that they are given to.
std::vector<httpd::Route> generation_routes(ApiContext& context);  // completions, chat/completions
std::vector<httpd::Route> tokenizer_routes(ApiContext& context);   // tokenize, detokenize
std::vector<httpd::Route> server_routes(ApiContext& context);      // models, health, ping, version, metrics, preflight

}  // namespace mhub::http
