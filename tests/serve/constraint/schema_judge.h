// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <regex>
#include <string>

#include "mhub/base/json.h"

namespace mhub::constraint::test {

// Judges a value by a JSON schema in the plainest way: nothing is shared with what makes the constraint.
class SchemaJudge {
 public:
  explicit SchemaJudge(Json root) : root_(std::move(root)) {}
  bool valid(const Json& value) const { return valid(value, root_); }

 private:
  static size_t characters(const std::string& text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  }
  static bool has_type(const Json& value, const std::string& type) {
    if (type == "integer") return value.is_number() && value.get<double>() == std::floor(value.get<double>());
    if (type == "number") return value.is_number();
    if (type == "null") return value.is_null();
    return value.type_name() == type;
  }
  bool valid(const Json& value, const Json& schema) const {
    if (schema.is_boolean()) return schema.get<bool>();
    for (const auto& [keyword, rule] : schema.items()) {
      if (!holds(value, keyword, rule, schema)) return false;
    }
    return true;
  }
  bool holds(const Json& value, const std::string& keyword, const Json& rule, const Json& schema) const {
    const auto each = [&](const Json& list, bool any) {
      const auto ok = [&](const Json& one) { return valid(value, one); };
      return any ? std::any_of(list.begin(), list.end(), ok) : std::all_of(list.begin(), list.end(), ok);
    };
    if (keyword == "$ref") return valid(value, root_.at(Json::json_pointer(rule.get<std::string>().substr(1))));
    if (keyword == "anyOf" || keyword == "oneOf") return each(rule, true);
    if (keyword == "allOf") return each(rule, false);
    if (keyword == "const") return value == rule;
    if (keyword == "enum") return std::find(rule.begin(), rule.end(), value) != rule.end();
    if (keyword == "type") {
      if (rule.is_string()) return has_type(value, rule);
      return std::any_of(rule.begin(), rule.end(), [&](const Json& t) { return has_type(value, t); });
    }
    if (value.is_number()) {
      const auto number = value.get<double>();
      if (keyword == "minimum") return number >= rule.get<double>();
      if (keyword == "maximum") return number <= rule.get<double>();
      if (keyword == "exclusiveMinimum") return number > rule.get<double>();
      if (keyword == "exclusiveMaximum") return number < rule.get<double>();
    }
    if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      if (keyword == "minLength") return characters(text) >= rule;
      if (keyword == "maxLength") return characters(text) <= rule;
      if (keyword == "pattern") return std::regex_search(text, std::regex(rule.get<std::string>()));
    }
    if (value.is_array()) {
      const size_t placed = schema.contains("prefixItems") ? schema["prefixItems"].size() : 0;
      if (keyword == "minItems") return value.size() >= rule;
      if (keyword == "maxItems") return value.size() <= rule;
      for (size_t i = 0; i < value.size(); ++i) {
        if (keyword == "prefixItems" && i < placed && !valid(value[i], rule[i])) return false;
        if (keyword == "items" && i >= placed && !valid(value[i], rule)) return false;
      }
    }
    if (value.is_object()) {
      if (keyword == "required") {
        return std::all_of(rule.begin(), rule.end(), [&](const Json& name) { return value.contains(name); });
      }
      if (keyword == "maxProperties") return value.size() <= rule;
      if (keyword == "minProperties") return value.size() >= rule;
      for (const auto& [name, member] : value.items()) {
        const bool declared = schema.contains("properties") && schema["properties"].contains(name);
        if (keyword == "properties" && declared && !valid(member, rule[name])) return false;
        if (keyword == "additionalProperties" && !declared && !valid(member, rule)) return false;
      }
    }
    return true;
  }

  const Json root_;
};

}  // namespace mhub::constraint::test
