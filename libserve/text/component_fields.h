// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include "components_json.h"
#include "json_fields.h"
#include "pattern.h"

namespace mhub::text {

using Element = simdjson::dom::element;
inline constexpr int kMaxComponentDepth = 16;  // of Sequence in Sequence

inline Error unsupported(std::string_view kind, std::string_view what) {
  return Error{ErrorCode::kBadModel,
               fmt::format("reading tokenizer.json: {} \"{}\" is not supported", kind, printable(what, 80)),
               "use another form of this model, such as a GGUF file", ""};
}
inline Error malformed(std::string_view kind, std::string_view type) {
  return Error{ErrorCode::kBadModel,
               fmt::format("reading tokenizer.json: {} \"{}\" is malformed", kind, printable(type, 80)),
               "the tokenizer file is damaged; download it again", ""};
}

// Calls add(type, component) for the component or, with type Sequence, for its members in order.
template <typename Add>
Result<void> each_component(std::string_view kind, std::string_view members, Element component, const Add& add,
                            int depth = 0) {
  const auto type = string_field(component, "type");
  if (!type) return malformed(kind, "without a type");
  if (*type != "Sequence") return add(*type, component);
  const auto parts = array_field(component, members);
  if (!parts || depth >= kMaxComponentDepth) return malformed(kind, *type);
  for (const Element part : *parts) MHUB_CHECK_OK(each_component(kind, members, part, add, depth + 1));
  return {};
}

inline Result<std::shared_ptr<const Pattern>> read_pattern(std::string_view kind, std::string_view type,
                                                           Element component) {
  const auto pattern = object_field(component, "pattern");
  if (!pattern) return malformed(kind, type);
  if (const auto text = string_field(*pattern, "String")) return Pattern::literal(std::string(*text));
  if (const auto regex = string_field(*pattern, "Regex")) return Pattern::regex(*regex);
  return malformed(kind, type);
}

}  // namespace mhub::text
