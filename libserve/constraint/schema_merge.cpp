// SPDX-License-Identifier: Apache-2.0
#include "schema_merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "grammar.h"
#include "mhub/base/bytes.h"

namespace mhub::constraint {
namespace {

constexpr std::string_view kAnnotations[] = {
    "title",   "description", "default",  "examples",        "example",         "$schema",
    "$id",     "id",          "$comment", "deprecated",      "readOnly",        "writeOnly",
    "$anchor", "strict",      "name",     "contentEncoding", "contentMediaType"};
constexpr std::string_view kSupported[] = {"type",
                                           "enum",
                                           "const",
                                           "$ref",
                                           "anyOf",
                                           "oneOf",
                                           "allOf",
                                           "properties",
                                           "required",
                                           "additionalProperties",
                                           "minProperties",
                                           "maxProperties",
                                           "items",
                                           "prefixItems",
                                           "minItems",
                                           "maxItems",
                                           "uniqueItems",
                                           "minLength",
                                           "maxLength",
                                           "pattern",
                                           "format",
                                           "minimum",
                                           "maximum",
                                           "exclusiveMinimum",
                                           "exclusiveMaximum",
                                           "multipleOf"};
// Each list belongs together: one of it means something only beside the others.
constexpr std::string_view kObjects[] = {"properties", "additionalProperties"};
constexpr std::string_view kArrays[] = {"items", "prefixItems"};

template <size_t N>
bool has(const std::string_view (&list)[N], std::string_view keyword) {
  return std::find(std::begin(list), std::end(list), keyword) != std::end(list);
}
template <size_t N>
bool any_of(const std::string_view (&list)[N], const OrderedJson& schema) {
  return std::any_of(std::begin(list), std::end(list),
                     [&](auto keyword) { return schema.contains(std::string(keyword)); });
}

void join_required(OrderedJson& to, const OrderedJson& more) {
  std::set<OrderedJson> known(to.begin(), to.end());
  for (const auto& name : more) {
    if (known.insert(name).second) to.push_back(name);
  }
}

}  // namespace

Keyword classify(std::string_view keyword) {
  if (has(kAnnotations, keyword) || keyword.starts_with("x-")) return Keyword::kAnnotation;
  if (keyword == "$defs" || keyword == "definitions") return Keyword::kDefinitions;
  return has(kSupported, keyword) ? Keyword::kSupported : Keyword::kUnsupported;
}

size_t copied_bytes(const OrderedJson& schema) {
  size_t sum = sizeof(OrderedJson);
  if (schema.is_string()) sum += schema.get_ref<const std::string&>().size();
  if (schema.is_array()) {
    for (const OrderedJson& item : schema) sum += copied_bytes(item);
  } else if (schema.is_object()) {
    for (const auto& [key, member] : schema.items()) sum += key.size() + copied_bytes(member);
  }
  return sum;
}

Result<OrderedJson> merge_schemas(const OrderedJson& a, const OrderedJson& b) {
  if (a.is_boolean()) return a.get<bool>() ? b : a;
  if (b.is_boolean()) return b.get<bool>() ? a : b;
  if ((any_of(kObjects, a) && any_of(kObjects, b)) || (any_of(kArrays, a) && any_of(kArrays, b))) {
    return refused("two schemas of the same object or array cannot be joined",
                   "write their properties or items in one schema");
  }
  OrderedJson out = a;
  for (const auto& [keyword, value] : b.items()) {
    if (classify(keyword) != Keyword::kSupported) continue;  // it says nothing about the answer
    if (!out.contains(keyword)) {
      out[keyword] = value;
    } else if (keyword == "required" && value.is_array() && out[keyword].is_array()) {
      join_required(out[keyword], value);
    } else if (out[keyword] != value) {
      return refused(fmt::format("two schemas that both have {} cannot be joined", printable(keyword, 64)));
    }
  }
  return out;
}

}  // namespace mhub::constraint
