// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mhub/base/json.h"
#include "mhub/base/result.h"
#include "mhub/formats/gguf.h"
#include "mhub/text/tokenizer.h"

namespace mhub::text {

struct TemplateLimits {
  size_t max_source_bytes = 1u << 20;
  size_t max_steps = 1'000'000;
  size_t max_loop_turns = 100'000;      // in all
  size_t max_depth = 64;                // macros in macros
  size_t max_nesting = 1'000;           // expressions and blocks in each other while rendering
  std::chrono::milliseconds max_time{1'000};
  size_t max_output_bytes = 16u << 20;  // of the output and of any one string
  size_t max_text_bytes = 128u << 20;   // of all strings made on the way
};

struct RenderRequest {
  OrderedJson messages;         // array of objects, content already flattened or a list
  OrderedJson tools = nullptr;  // array or null
  OrderedJson documents = nullptr;
  bool add_generation_prompt = true;
  bool continue_final_message = false;
  OrderedJson kwargs = OrderedJson::object();  // enable_thinking and other free variables
  std::optional<std::string> bos_token, eos_token;
  std::optional<std::string> now;  // "2025-03-04T09:26:53" fixes strftime_now (tests)
};

// A rendered prompt, cut where message content begins and ends, so that special tokens typed by a user stay text.
struct RenderedPrompt {
  std::string text;
  struct Piece {
    size_t begin, end;  // byte range of text
    SpecialTokens specials;
  };
  std::vector<Piece> pieces;  // cover the text in order
};

// A compiled chat template: an own Jinja subset (values only, no attribute of the host reachable), bounded in steps,
// depth and output. Immutable and thread-safe.
class ChatTemplate {
 public:
  // Errors: kBadModel naming line and construct.
  static Result<ChatTemplate> compile(std::string source, const TemplateLimits& limits = {});
  // Errors: kInvalidRequest; raise_exception's own text is the whole message.
  Result<RenderedPrompt> render(const RenderRequest& request) const;
  const std::string& source() const;

 private:
  struct Program;
  explicit ChatTemplate(std::shared_ptr<const Program> program);
  std::shared_ptr<const Program> program_;
};

// The template sources a model ships: chat_template.jinja, chat_template.json, tokenizer_config.json (string or named
// list), or GGUF tokenizer.chat_template[.NAME]. `name` "default" is used without tools, "tool_use" with tools.
struct ChatTemplateSource {
  std::string name;
  std::string source;
};
Result<std::vector<ChatTemplateSource>> read_chat_templates(const std::filesystem::path& dir);
std::vector<ChatTemplateSource> chat_templates_from_gguf(const formats::GgufFile& gguf);

}  // namespace mhub::text
