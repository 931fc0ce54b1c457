// SPDX-License-Identifier: Apache-2.0
#include "mhub/text/chat_template.h"

#include <fmt/format.h>

#include "jinja/evaluator.h"
#include "jinja/parser.h"
#include "mhub/base/check.h"
#include "utf8.h"

namespace mhub::text {
namespace {

using jinja::TemplateError;

// Appended to the last message for continue_final_message; the output is cut where it appears.
constexpr std::string_view kContinueMark = "CONTINUE_FINAL_MESSAGE_TAG";

Error render_error(const TemplateError& error) {
  if (error.kind == jinja::ErrorKind::kRaise) return Error{ErrorCode::kInvalidRequest, error.message, "", "messages"};
  return Error{ErrorCode::kInvalidRequest,
               fmt::format("rendering the chat template, line {}: {}", error.line, error.message),
               "check that the messages have the form that the model's template expects", "messages"};
}

// The text of the last message that the template is to continue; null when there is none.
std::string* final_text(OrderedJson& messages) {
  if (!messages.is_array() || messages.empty() || !messages.back().is_object()) return nullptr;
  const auto content = messages.back().find("content");
  if (content == messages.back().end()) return nullptr;
  if (content->is_string()) return content->get_ptr<std::string*>();
  if (!content->is_array()) return nullptr;
  for (auto part = content->rbegin(); part != content->rend(); ++part) {
    if (part->is_object() && part->contains("text") && (*part)["text"].is_string())
      return (*part)["text"].get_ptr<std::string*>();
  }
  return nullptr;
}

std::optional<jinja::Text> cut_at_mark(const jinja::Text& rendered, const std::string& final_message) {
  const jinja::Text trimmed = jinja::Text(final_message).strip(nullptr, true, true);
  const size_t mark = rendered.view().rfind(kContinueMark);
  if (mark == std::string_view::npos || rendered.view().find(trimmed.view()) == std::string_view::npos)
    return std::nullopt;
  const jinja::Text before = rendered.slice(0, mark);
  const bool spacing_kept = rendered.view().substr(mark + kContinueMark.size()).starts_with(' ');
  return spacing_kept ? before : before.strip(nullptr, false, true);
}

RenderedPrompt with_pieces(const jinja::Text& rendered) {
  RenderedPrompt out;
  out.text = rendered.bytes();
  size_t done = 0;
  const auto add = [&](size_t end, SpecialTokens specials) {
    if (end > done) out.pieces.push_back({done, end, specials});
    done = std::max(done, end);
  };
  for (const auto& range : rendered.user_ranges()) {
    add(range.begin, SpecialTokens::kParse);
    add(range.end, SpecialTokens::kAsText);
  }
  add(out.text.size(), SpecialTokens::kParse);
  return out;
}

}  // namespace

struct ChatTemplate::Program {
  std::string source;
  TemplateLimits limits;
  jinja::Body body;
};

ChatTemplate::ChatTemplate(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

const std::string& ChatTemplate::source() const {
  return program_->source;
}

Result<ChatTemplate> ChatTemplate::compile(std::string source, const TemplateLimits& limits) {
  const auto bad = [](std::string what) {
    return Error{ErrorCode::kBadModel, "compiling the chat template: " + std::move(what),
                 "give a working template with --chat-template", ""};
  };
  if (source.size() > limits.max_source_bytes) {
    return bad(fmt::format("{} bytes are over the limit of {}", source.size(), limits.max_source_bytes));
  }
  if (!is_valid_utf8(source)) return bad("it is not UTF-8");
  auto program = std::make_shared<Program>();
  program->limits = limits;
  try {
    program->body = jinja::parse_template(source);
  } catch (const TemplateError& error) {
    return bad(fmt::format("line {}: {}", error.line, error.message));
  }
  program->source = std::move(source);
  return ChatTemplate(std::move(program));
}

Result<RenderedPrompt> ChatTemplate::render(const RenderRequest& request) const {
  const TemplateLimits& limits = program_->limits;
  OrderedJson messages = request.messages;
  std::string final_message;
  if (request.continue_final_message) {
    std::string* text = final_text(messages);
    if (!text) {
      return Error{ErrorCode::kInvalidRequest, "continue_final_message: the last message has no text to continue", "",
                   "continue_final_message"};
    }
    final_message = *text;
    text->append(kContinueMark).append(" ");
  }
  jinja::Budget budget({limits.max_steps, limits.max_loop_turns, limits.max_nesting, limits.max_depth,
                        limits.max_text_bytes, limits.max_output_bytes, limits.max_time});
  try {
    jinja::Runtime runtime(budget, request.now);
    jinja::Scope top(nullptr);
    top.set("messages", jinja::Value::from_json(messages, true));
    top.set("tools", jinja::Value::from_json(request.tools, true));
    top.set("documents", jinja::Value::from_json(request.documents, true));
    top.set("add_generation_prompt", jinja::Value(request.add_generation_prompt));
    if (request.bos_token) top.set("bos_token", jinja::Value::text(*request.bos_token));
    if (request.eos_token) top.set("eos_token", jinja::Value::text(*request.eos_token));
    for (const auto& [name, value] : request.kwargs.items()) top.set(name, jinja::Value::from_json(value, true));
    jinja::Text out;
    jinja::Evaluator(runtime, top).run(program_->body, out);
    if (!request.continue_final_message) return with_pieces(out);
    if (const auto cut = cut_at_mark(out, final_message)) return with_pieces(*cut);
    return Error{ErrorCode::kInvalidRequest,
                 "continue_final_message: the chat template does not print the last message, or changes it", "",
                 "continue_final_message"};
  } catch (const TemplateError& error) {
    return render_error(error);
  }
}

}  // namespace mhub::text
