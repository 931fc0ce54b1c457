// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "mhub/base/json.h"
#include "mhub/http/api_server.h"
#include "support/byte_tokenizer.h"
#include "support/fake_generator.h"
#include "support/raw_http.h"

namespace mhub::test {

inline constexpr const char* kTinyTemplate =
    "{%- for m in messages -%}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{%- endfor -%}"
    "{%- if tools %}T{{ tools | length }}{% endif -%}{%- if add_generation_prompt %}<|im_start|>{% endif -%}";

struct Reply {
  int status = 0;
  std::map<std::string, std::string> headers;
  std::string body;
  Json json;  // null when the body is not JSON
};

// An ApiServer over a FakeGenerator and a ByteTokenizer.
class Api {
 public:
  explicit Api(FakeGenerator::Script script, http::HttpConfig config = {}, bool with_template = true,
               bool with_tokenizer = true, formats::GenerationDefaults defaults = {})
      : generator(std::make_shared<FakeGenerator>(std::move(script))) {
    config.port = 0;
    if (config.served_model_names.empty()) config.served_model_names = {"m", "org/other"};
    http::ServedModel model;
    model.generator = generator;
    if (with_tokenizer) model.tokenizer = std::make_shared<ByteTokenizer>();
    if (with_template) {
      auto compiled = text::ChatTemplate::compile(kTinyTemplate);
      if (!compiled) throw std::runtime_error(compiled.error().one_line());
      model.templates.emplace_back("default", std::make_shared<text::ChatTemplate>(std::move(*compiled)));
    }
    model.root = "/models/m";
    model.defaults = defaults;
    model.structured_output = with_tokenizer;
    auto started = http::ApiServer::start(config, std::move(model));
    if (!started) throw std::runtime_error(started.error().one_line());
    server = std::move(*started);
  }

  RawClient client() const { return RawClient(server->port()); }
  static std::string request(const std::string& method, const std::string& path, const std::string& body,
                             const std::string& fields = "") {
    std::string out = method + " " + path + " HTTP/1.1\r\nHost: h\r\n" + fields;
    if (!body.empty()) {
      out += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    }
    return out + "\r\n" + body;
  }
  Reply send(const std::string& method, const std::string& path, const std::string& body = "",
             const std::string& fields = "") const {
    RawClient connection = client();
    connection.send(request(method, path, body, fields));
    const auto raw = connection.response(10, method == "HEAD");
    if (!raw) throw std::runtime_error("no response to " + path);
    Reply reply{raw->status, raw->headers, raw->body, nullptr};
    if (auto parsed = parse_json(reply.body)) reply.json = std::move(*parsed);
    return reply;
  }
  Reply get(const std::string& path, const std::string& fields = "") const { return send("GET", path, "", fields); }
  Reply post(const std::string& path, const Json& body, const std::string& fields = "") const {
    return send("POST", path, dump_json(body), fields);
  }

  std::shared_ptr<FakeGenerator> generator;
  std::unique_ptr<http::ApiServer> server;
};

// A script that says `text` byte by byte, whatever was asked.
inline FakeGenerator::Script say(std::string text, engine::FinishReason finish = engine::FinishReason::kLength) {
  return [text = std::move(text), finish](const engine::GenerationRequest&) {
    return FakeGenerator::tokens(ByteTokenizer::ids(text), finish);
  };
}
// Says `text` and then hangs.
inline FakeGenerator::Script say_and_hang(std::string text) {
  return [text = std::move(text)](const engine::GenerationRequest&) {
    auto deltas = FakeGenerator::tokens(ByteTokenizer::ids(text), engine::FinishReason::kStop);
    deltas.back().finish.reset();
    return deltas;
  };
}
inline Json messages(const std::string& content = "hi") {
  return Json::array({{{"role", "user"}, {"content", content}}});
}

template <typename Condition>
bool eventually(Condition condition, double seconds = 5) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace mhub::test
