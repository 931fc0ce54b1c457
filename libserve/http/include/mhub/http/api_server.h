// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mhub/engine/generator.h"
#include "mhub/formats/model_config.h"
#include "mhub/text/chat_template.h"
#include "mhub/text/tokenizer.h"

namespace mhub::http {

struct HttpConfig {
  std::string host = "127.0.0.1";
  int port = 8000;
  std::vector<std::string> api_keys;  // empty = open
  bool insecure = false;              // allow a non-loopback host without a key
  std::vector<std::string> served_model_names;
  double shutdown_timeout_seconds = 30;
  int max_concurrent_requests = 768;  // more are refused with 429; one thread each
  bool priorities = false;            // the engine schedules by priority: requests may have one
  int64_t max_logprobs = 20;          // log-probabilities of a position that a request may ask for; -1 = any number
  bool enable_prefix_caching = true;  // only shown in /metrics
  std::vector<std::string> allowed_origins = {"*"};
};

// What the routes answer from. All members outlive the server.
struct ServedModel {
  std::shared_ptr<engine::Generator> generator;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::vector<std::pair<std::string, std::shared_ptr<const text::ChatTemplate>>> templates;  // name, template
  formats::GenerationDefaults defaults;
  std::string root;                // path shown in /v1/models
  bool structured_output = false;  // the generator knows the texts of the tokens
};

// The OpenAI-compatible API over one Generator.
class ApiServer {
 public:
  // What can be refused before a model is loaded: kPolicy (open bind without key), kUsage.
  static Result<void> check(const HttpConfig& config);
  // Errors: those of check(), kAddressInUse.
  static Result<std::unique_ptr<ApiServer>> start(const HttpConfig& config, ServedModel model);
  ~ApiServer();
  int port() const;
  // Draining: /health turns 503 and new work is refused at once; returns when running streams have ended or the
  // shutdown timeout has passed (then they get an error event).
  void drain();

 private:
  struct State;
  explicit ApiServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mhub::http
