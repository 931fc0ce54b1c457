// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"

namespace mhub::hub {

struct MirrorOptions {
  std::string host = "127.0.0.1";
  int port = 8090;
  std::vector<std::string> allow;   // addresses or networks ("10.0.0.0/8") that may ask; empty = all
  std::vector<std::string> tokens;  // of which a request must bring one (Bearer, or ModelScope's cookie); empty = none
  std::string tls_certificate_file, tls_key_file;  // PEM; both or none
  bool serve_incomplete = false;  // list models of which only some files are here as if they were whole
  // Pull-through: what is not here is asked of this hub and kept. "" = offline: only what is here.
  std::string upstream;  // "modelscope", "huggingface" or http(s)://host[:port]
  std::string upstream_token;
  double upstream_patience_seconds = 8;  // a client waits so long for a cold file, then 503 with Retry-After
};

// Serves the registered models over the read APIs of both hubs and of the Ollama registry, and /metrics. Runs until
// destroyed.
class Mirror {
 public:
  static Result<std::unique_ptr<Mirror>> start(ModelLibrary& library, const MirrorOptions& options);
  ~Mirror();
  int port() const;

 private:
  struct State;
  explicit Mirror(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mhub::hub
