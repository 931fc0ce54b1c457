// SPDX-License-Identifier: Apache-2.0
#include "structured_fields.h"

#include <fmt/format.h>

#include <vector>

namespace mhub::http {
namespace {

using constraint::Spec;

constexpr std::string_view kOutputs = "structured_outputs", kFormat = "response_format";
constexpr const char* kAnyObject = R"({"type":"object"})";

// What was asked for, by which field.
struct Wish {
  Spec::Kind kind;
  std::string text;
  std::string param;
  bool replaces_json = false;  // a response_format goes before the same key of structured_outputs
};

// One spelling of the kinds: in structured_outputs or as fields of their own.
struct Names {
  const char *json, *regex, *choice, *grammar, *json_object;
};
constexpr Names kKeys = {"json", "regex", "choice", "grammar", "json_object"};
constexpr Names kGuided = {"guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_json_object"};

Result<void> read_kinds(const JsonFields& json, const Names& names, std::string_view within, std::vector<Wish>& to) {
  const auto param = [&](const char* name) { return std::string(within.empty() ? name : within); };
  if (const OrderedJson* schema = json.find(names.json)) {
    if (!schema->is_object() && !schema->is_string()) return wrong_type(param(names.json), "must be a schema", *schema);
    to.push_back({Spec::Kind::kJsonSchema, schema->is_string() ? schema->get<std::string>() : dump_json(*schema),
                  param(names.json)});
  }
  MHUB_TRY(const auto regex, json.string(names.regex));
  if (regex) to.push_back({Spec::Kind::kRegex, *regex, param(names.regex)});
  if (const OrderedJson* choice = json.find(names.choice)) {
    if (!choice->is_array()) return wrong_type(param(names.choice), "must be a list of strings", *choice);
    to.push_back({Spec::Kind::kChoice, dump_json(*choice), param(names.choice)});
  }
  MHUB_TRY(const auto grammar, json.string(names.grammar));
  if (grammar) to.push_back({Spec::Kind::kGrammar, *grammar, param(names.grammar)});
  MHUB_TRY(const auto any_object, json.boolean(names.json_object));
  if (any_object.value_or(false)) to.push_back({Spec::Kind::kJsonSchema, kAnyObject, param(names.json_object)});
  return {};
}

Result<std::optional<Wish>> read_response_format(const JsonFields& json) {
  const OrderedJson* format = json.find(kFormat);
  if (format == nullptr) return std::optional<Wish>();
  if (!format->is_object()) return wrong_type(kFormat, "must be an object", *format);
  MHUB_TRY(const auto type, JsonFields(*format).string("type"));
  if (!type) return bad_value(kFormat, "response_format needs a type");
  if (*type == "text") return std::optional<Wish>();
  Wish wish{Spec::Kind::kJsonSchema, kAnyObject, std::string(kFormat), true};
  if (*type == "json_object") return std::optional(wish);
  if (*type == "structural_tag") return not_built(kFormat, "structural_tag");
  if (*type != "json_schema") {
    return bad_value(kFormat, fmt::format("response_format type \"{}\" is none of text, json_object and json_schema",
                                          printable(*type, 64)));
  }
  const OrderedJson* outer = JsonFields(*format).find("json_schema");
  if (outer == nullptr) return bad_value(kFormat, "response_format of type json_schema needs json_schema");
  if (!outer->is_object()) return wrong_type(kFormat, "json_schema must be an object", *outer);
  const OrderedJson* schema = JsonFields(*outer).find("schema");
  if (schema == nullptr) return bad_value(kFormat, "json_schema needs a schema");
  if (!schema->is_object()) return wrong_type(kFormat, "schema must be an object", *schema);
  wish.text = dump_json(*schema);
  return std::optional(wish);
}

Result<void> read_json_options(const JsonFields& json, Spec& to) {
  MHUB_TRY(const auto no_whitespace, json.boolean("disable_any_whitespace"));
  MHUB_TRY(const auto no_additional, json.boolean("disable_additional_properties"));
  MHUB_TRY(const auto pattern, json.string("whitespace_pattern"));
  to.any_whitespace = !no_whitespace.value_or(false);
  to.forbid_additional = no_additional.value_or(false);
  to.whitespace_pattern = pattern.value_or("");
  return {};
}

// "#/..." in a schema that becomes part of a larger one.
void move_references(OrderedJson& schema, const std::string& to) {
  if (schema.is_array()) {
    for (auto& part : schema) move_references(part, to);
  }
  if (!schema.is_object()) return;
  for (const auto& [key, part] : schema.items()) {
    if (key == "$ref" && part.is_string() && part.get_ref<const std::string&>().starts_with('#')) {
      part = to + part.get<std::string>().substr(1);
    } else {
      move_references(part, to);
    }
  }
}

OrderedJson parameters_of(const OrderedJson& tool) {
  const auto& function = tool["function"];
  const auto parameters = function.find("parameters");
  return parameters == function.end() || parameters->is_null() ? OrderedJson{{"type", "object"}} : *parameters;
}

// A list of calls, each a name with the parameters of that function.
OrderedJson calls_schema(const OrderedJson& tools, bool parallel) {
  OrderedJson each = OrderedJson::array();
  for (const OrderedJson& tool : tools) {
    OrderedJson parameters = parameters_of(tool);
    move_references(parameters, fmt::format("#/items/anyOf/{}/properties/parameters", each.size()));
    each.push_back(
        {{"type", "object"},
         {"properties", {{"name", {{"const", tool["function"]["name"]}}}, {"parameters", std::move(parameters)}}},
         {"required", OrderedJson::array({"name", "parameters"})},
         {"additionalProperties", false}});
  }
  OrderedJson out{{"type", "array"}, {"minItems", 1}, {"items", {{"anyOf", std::move(each)}}}};
  if (!parallel) out["maxItems"] = 1;
  return out;
}

}  // namespace

Result<void> read_constraint(const JsonFields& json, GenerationFields& to) {
  std::vector<Wish> wishes;
  if (const OrderedJson* outputs = json.find(kOutputs)) {
    if (!outputs->is_object()) return wrong_type(kOutputs, "must be an object", *outputs);
    const JsonFields inner(*outputs);
    if (inner.find("structural_tag") != nullptr) return not_built(kOutputs, "structural_tag");
    MHUB_CHECK_OK(read_kinds(inner, kKeys, kOutputs, wishes));
    MHUB_CHECK_OK(read_json_options(inner, to.constraint));
    if (wishes.empty()) {
      return bad_value(kOutputs, "You must use one kind of structured outputs constraint but none are specified");
    }
  }
  MHUB_CHECK_OK(read_kinds(json, kGuided, "", wishes));
  MHUB_TRY(const auto pattern, json.string("guided_whitespace_pattern"));
  if (pattern) to.constraint.whitespace_pattern = *pattern;
  MHUB_TRY(const auto format, read_response_format(json));
  if (format) {
    std::erase_if(wishes, [](const Wish& wish) { return wish.kind == Spec::Kind::kJsonSchema; });
    wishes.push_back(*format);
  }
  if (wishes.size() > 1) {
    return bad_value(wishes.back().param,
                     "You can only use one kind of structured outputs constraint but multiple are specified");
  }
  if (wishes.empty()) return {};
  to.constraint.kind = wishes.front().kind;
  to.constraint.text = wishes.front().text;
  to.constraint_param = wishes.front().param;
  return {};
}

Result<void> read_tool_choice(const JsonFields& json, const OrderedJson& tools, ChatRequest& to) {
  static constexpr std::string_view kName = "tool_choice";
  const OrderedJson* choice = json.find(kName);
  if (choice == nullptr || *choice == "none") return {};
  if (json.find("tools") == nullptr) return bad_value(kName, "tool_choice needs tools");
  if (*choice == "auto") return {};
  if (tools.is_null()) return bad_value(kName, "tool_choice needs tools");
  MHUB_TRY(const auto parallel, json.boolean("parallel_tool_calls"));
  Spec& constraint = to.fields.constraint;
  if (constraint.kind != Spec::Kind::kNone) {
    return bad_value(kName,
                     fmt::format("{} cannot be used together with a forced tool_choice", to.fields.constraint_param));
  }
  constraint.kind = Spec::Kind::kJsonSchema;
  to.fields.constraint_param = "tools";
  if (*choice == "required") {
    to.forced_call.kind = ForcedCall::Kind::kRequired;
    constraint.text = dump_json(calls_schema(tools, parallel.value_or(true)));
    return {};
  }
  if (!choice->is_object()) return bad_value(kName, "tool_choice must be none, auto, required or a function");
  const OrderedJson* function = JsonFields(*choice).find("function");
  if (function == nullptr || !function->is_object()) return bad_value(kName, "tool_choice names no function");
  MHUB_TRY(const auto name, JsonFields(*function).string("name"));
  for (const auto& tool : tools) {
    if (!name || tool["function"]["name"] != *name) continue;
    to.forced_call = {ForcedCall::Kind::kNamed, *name};
    constraint.text = dump_json(parameters_of(tool));
    return {};
  }
  return bad_value(kName, "tool_choice names a function that is not in tools");
}

}  // namespace mhub::http
