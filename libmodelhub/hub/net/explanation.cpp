// SPDX-License-Identifier: Apache-2.0
#include "net/explanation.h"

#include "mhub/base/json.h"

namespace mhub::hub {
namespace {

std::string field_of(const Json& object) {
  for (const char* key : {"message", "Message", "msg", "Msg", "error", "Error", "detail", "Detail"}) {
    const auto found = object.find(key);
    if (found == object.end()) continue;
    if (found->is_string()) return found->get<std::string>();
    if (found->is_object()) return field_of(*found);  // parse_json has bounded the depth
  }
  return "";
}

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (!blank) line += c;
    if (blank && !line.empty() && line.back() != ' ') line += ' ';
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

}  // namespace

std::string explanation(const HttpHead& head, std::string_view body) {
  body = body.substr(0, kMaxExplanationBytes);
  const std::string* type = head.header("content-type");
  if (const auto json = parse_json(body); json && json->is_object()) return one_line(field_of(*json));
  return type && type->starts_with("text/plain") ? one_line(body) : "";
}

}  // namespace mhub::hub
