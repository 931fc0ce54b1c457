// SPDX-License-Identifier: Apache-2.0
#include "tool_calls.h"

#include <fmt/format.h>

#include <random>

namespace mhub::http {
namespace {

std::string call_id() {
  std::random_device device;
  return fmt::format("chatcmpl-tool-{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

std::string unquoted(const std::string& quoted) {
  const auto parsed = parse_json(quoted);
  return parsed && parsed->is_string() ? parsed->get<std::string>() : std::string();
}

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

}  // namespace

std::vector<ToolCallReader::Piece> ToolCallReader::push(std::string_view text) {
  std::vector<Piece> out;
  if (forced_.kind == ForcedCall::Kind::kNamed) {
    if (text.empty()) return out;
    out.push_back({0, calls_ == 0 ? std::optional(forced_.name) : std::nullopt, std::string(text)});
    calls_ = 1;
    return out;
  }
  for (const char c : text) read(c, out);
  return out;
}

ToolCallReader::Piece& ToolCallReader::piece(std::vector<Piece>& out) const {
  if (out.empty() || out.back().index != calls_ - 1) out.push_back({calls_ - 1, std::nullopt, ""});
  return out.back();
}

void ToolCallReader::read(char c, std::vector<Piece>& out) {
  if (at_ == At::kArguments && read_arguments(c, out)) return;
  if (at_ == At::kName && quoted_.empty() && c != '"') return;
  if (at_ == At::kKey || at_ == At::kName) {
    quoted_ += c;
    const bool ends = c == '"' && !escaped_ && quoted_.size() > 1;
    escaped_ = c == '\\' && !escaped_;
    if (!ends) return;
    if (at_ == At::kKey) {
      key_ = unquoted(quoted_);
      at_ = At::kBehindKey;
    } else {
      piece(out).name = unquoted(quoted_);
      at_ = At::kMembers;
    }
    return;
  }
  if (is_space(c) || c == ',' || c == '[' || c == ']') return;
  switch (at_) {
    case At::kBetweenCalls:
      if (c != '{') return;
      ++calls_;
      at_ = At::kMembers;
      return;
    case At::kMembers:
      if (c == '}') at_ = At::kBetweenCalls;
      if (c != '"') return;
      quoted_ = "\"";
      escaped_ = false;
      at_ = At::kKey;
      return;
    case At::kBehindKey:
      if (c != ':') return;
      quoted_.clear();
      depth_ = 0;
      in_string_ = escaped_ = begun_ = false;
      at_ = key_ == "name" ? At::kName : At::kArguments;
      return;
    default:
      return;
  }
}

bool ToolCallReader::read_arguments(char c, std::vector<Piece>& out) {
  if (!begun_ && is_space(c)) return true;
  if (!in_string_ && depth_ == 0 && begun_ && (c == ',' || c == '}' || is_space(c))) {
    at_ = At::kMembers;
    return false;
  }
  begun_ = true;
  if (in_string_) {
    in_string_ = c != '"' || escaped_;
    escaped_ = c == '\\' && !escaped_;
  } else {
    in_string_ = c == '"';
    escaped_ = false;
    if (c == '{' || c == '[') ++depth_;
    if (c == '}' || c == ']') --depth_;
  }
  piece(out).arguments += c;
  return true;
}

void ToolCallsJson::collect(const std::vector<ToolCallReader::Piece>& pieces) {
  for (const auto& piece : pieces) {
    if (calls_.size() <= piece.index) calls_.resize(piece.index + 1);
    if (piece.name) calls_[piece.index].first = *piece.name;
    calls_[piece.index].second += piece.arguments;
  }
}

OrderedJson ToolCallsJson::whole() const {
  OrderedJson out = OrderedJson::array();
  for (const auto& [name, arguments] : calls_) {
    if (name.empty()) continue;  // cut off inside its name
    out.push_back({{"id", call_id()}, {"type", "function"}, {"function", {{"name", name}, {"arguments", arguments}}}});
  }
  return out;
}

OrderedJson ToolCallsJson::delta(const std::vector<ToolCallReader::Piece>& pieces) {
  OrderedJson out = OrderedJson::array();
  for (const auto& piece : pieces) {
    if (piece.name) {
      out.push_back({{"index", piece.index},
                     {"id", call_id()},
                     {"type", "function"},
                     {"function", {{"name", *piece.name}, {"arguments", ""}}}});
    }
    if (!piece.arguments.empty()) {
      out.push_back({{"index", piece.index}, {"function", {{"arguments", piece.arguments}}}});
    }
  }
  return out;
}

}  // namespace mhub::http
