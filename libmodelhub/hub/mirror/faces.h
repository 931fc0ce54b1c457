// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mhub/httpd/server.h"
#include "mirror/library_view.h"

namespace mhub::hub {

// The read API of each hub over the registered models (docs of the two clients). nullopt: not a path of that hub.
// `segments` are the decoded path segments of `request`.
std::optional<httpd::Response> modelscope_face(LibraryView& view, const httpd::Request& request,
                                               const std::vector<std::string>& segments);
std::optional<httpd::Response> huggingface_face(LibraryView& view, const httpd::Request& request,
                                                const std::vector<std::string>& segments);

// Under /v2/: manifests and blobs of models in GGUF format, for `ollama pull HOST:PORT/org/name`.
std::optional<httpd::Response> ollama_face(LibraryView& view, const httpd::Request& request,
                                           const std::vector<std::string>& segments);

}  // namespace mhub::hub
