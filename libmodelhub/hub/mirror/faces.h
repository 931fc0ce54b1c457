// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mhub/httpd/server.h"
#include "mhub/registry/registry.h"

namespace mhub::hub {

// The read API of each hub over the registered models (docs of the two clients). nullopt: not a path of that hub.
// `segments` are the decoded path segments of `request`.
std::optional<httpd::Response> modelscope_face(registry::Registry& registry, const httpd::Request& request,
                                               const std::vector<std::string>& segments);
std::optional<httpd::Response> huggingface_face(registry::Registry& registry, const httpd::Request& request,
                                                const std::vector<std::string>& segments);

}  // namespace mhub::hub
