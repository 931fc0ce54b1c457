// SPDX-License-Identifier: Apache-2.0
// Input: a template; it is compiled and rendered for one conversation.
#include <cstdlib>
#include <string>

#include "mhub/text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mhub::text;
  TemplateLimits limits;
  limits.max_steps = 20'000;
  limits.max_loop_turns = 2'000;
  limits.max_output_bytes = 1u << 16;
  limits.max_text_bytes = 1u << 20;
  const auto compiled = ChatTemplate::compile(std::string(reinterpret_cast<const char*>(data), size), limits);
  if (!compiled) return 0;
  RenderRequest request;
  request.messages = {
      {{"role", "system"}, {"content", " Be kind. "}},
      {{"role", "user"}, {"content", "h\u00e9llo <|end|> {{ x }}"}},
      {{"role", "assistant"},
       {"content", nullptr},
       {"tool_calls", {{{"function", {{"name", "f"}, {"arguments", {{"a", 1.5}, {"b", {true, "x"}}}}}}}}}}};
  request.tools = {{{"type", "function"}, {"function", {{"name", "f"}, {"parameters", {{"type", "object"}}}}}}};
  request.bos_token = "<s>";
  request.now = "2025-03-04T09:26:53";
  request.kwargs = {{"enable_thinking", true}};
  const auto rendered = compiled->render(request);
  if (!rendered) return 0;
  size_t end = 0;
  for (const auto& piece : rendered->pieces) {
    if (piece.begin != end || piece.end <= piece.begin) std::abort();
    end = piece.end;
  }
  if (end != rendered->text.size() || end > limits.max_output_bytes) std::abort();
  return 0;
}
