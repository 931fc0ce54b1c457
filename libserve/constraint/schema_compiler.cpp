// SPDX-License-Identifier: Apache-2.0
#include "schema_compiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <set>

#include "json_text.h"
#include "mhub/base/bytes.h"
#include "mhub/base/json_members.h"
#include "number_range.h"
#include "schema_merge.h"
#include "string_formats.h"

namespace mhub::constraint {
namespace {

constexpr int kMaxDepth = 64;          // schemas in schemas, and references to references
constexpr double kMaxCount = 100'000;  // of items and characters
constexpr size_t kMaxReferences = 10'000;
constexpr int kMaxJoins = 1000;
constexpr size_t kMaxJoinedBytes = 4u << 20;  // copied in all joins together
constexpr size_t kMaxSchemaBytes = 256u << 10;
constexpr size_t kMaxMembers = 5000;  // of one object: looking one up is a search
constexpr size_t kMaxTypes = 7;       // there are no more

const OrderedJson* find(const OrderedJson& schema, const char* keyword) {
  const auto found = schema.find(keyword);
  return found == schema.end() ? nullptr : &*found;
}

class SchemaCompiler {
 public:
  SchemaCompiler(const Spec& spec, const OrderedJson& root, Grammar& to)
      : spec_(spec), root_(root), to_(to), text_(to) {}

  Result<void> compile() {
    MHUB_CHECK_OK(text_.set_whitespace(spec_));
    const RuleId root = reference_rule("#", root_);
    while (!pending_.empty()) {
      const Pending next = pending_.front();
      pending_.pop_front();
      auto body = value(*next.schema, next.pointer, 0);
      if (!body) return refused(fmt::format("JSON schema: {}", body.error().message), body.error().hint);
      to_.define(next.rule, *body);
    }
    to_.set_root(root);
    return {};
  }

 private:
  struct Pending {
    RuleId rule;
    const OrderedJson* schema;
    std::string pointer;
  };

  static Error at(const std::string& where, std::string what, std::string hint = "") {
    return refused(fmt::format("{} at {}", what, printable(where, 200)), std::move(hint));
  }

  RuleId reference_rule(const std::string& pointer, const OrderedJson& schema) {
    const auto [known, is_new] = by_pointer_.emplace(pointer, 0);
    if (is_new) {
      known->second = to_.add_rule(pointer);
      pending_.push_back({known->second, &schema, pointer});
    }
    return known->second;
  }

  Result<const OrderedJson*> resolve(const OrderedJson& ref, const std::string& where) {
    if (!ref.is_string()) return at(where, "$ref is no text");
    const std::string& pointer = ref.get_ref<const std::string&>();
    if (!pointer.starts_with('#')) {
      return at(where, fmt::format("$ref \"{}\" leads out of the schema", printable(pointer, 100)));
    }
    try {
      return &root_.at(OrderedJson::json_pointer(pointer.substr(1)));
    } catch (const std::exception&) {
      return at(where, fmt::format("$ref \"{}\" leads nowhere", printable(pointer, 100)));
    }
  }

  Result<void> check_keywords(const OrderedJson& schema, const std::string& where) {
    for (const auto& [keyword, _] : schema.items()) {
      if (classify(keyword) != Keyword::kUnsupported) continue;
      return at(where, fmt::format("the keyword {} is not supported", printable(keyword, 64)),
                "docs/structured-output.md lists what is");
    }
    return {};
  }

  Result<ExprId> value(const OrderedJson& schema, const std::string& where, int depth) {
    if (depth > kMaxDepth) return at(where, fmt::format("schemas are nested deeper than {}", kMaxDepth));
    if (to_.overflowed()) return to_.empty();
    if (schema.is_boolean()) return schema.get<bool>() ? text_.any() : to_.choice({});
    if (!schema.is_object()) return at(where, "a schema is neither an object nor true or false");
    MHUB_CHECK_OK(check_keywords(schema, where));
    if (const OrderedJson* ref = find(schema, "$ref")) return reference(schema, *ref, where, depth);
    for (const char* keyword : {"allOf", "anyOf", "oneOf"}) {
      if (const OrderedJson* list = find(schema, keyword)) return combined(schema, keyword, *list, where, depth);
    }
    if (find(schema, "enum") != nullptr || find(schema, "const") != nullptr) return listed(schema, where);
    MHUB_TRY(const std::vector<std::string> types, types_of(schema, where));
    if (types.empty()) return text_.any();
    std::vector<ExprId> out;
    for (const std::string& type : types) {
      MHUB_TRY(const ExprId one, typed(type, schema, where, depth));
      out.push_back(one);
    }
    return to_.choice(std::move(out));
  }

  Result<ExprId> reference(const OrderedJson& schema, const OrderedJson& ref, const std::string& where, int depth) {
    MHUB_TRY(const OrderedJson* target, resolve(ref, where));
    OrderedJson siblings = OrderedJson::object();
    for (const auto& [keyword, sibling] : schema.items()) {
      if (keyword != "$ref" && classify(keyword) == Keyword::kSupported) siblings[keyword] = sibling;
    }
    if (siblings.empty()) {
      if (by_pointer_.size() > kMaxReferences) return at(where, "there are too many references");
      return to_.call(reference_rule(ref.get<std::string>(), *target));
    }
    MHUB_TRY(const OrderedJson merged, join(*target, siblings, where));
    return value(merged, where, depth + 1);
  }

  // Bounds what all joins of a schema cost together.
  Result<OrderedJson> join(const OrderedJson& base, const OrderedJson& more, const std::string& where) {
    if (++joins_ > kMaxJoins) return at(where, fmt::format("more than {} schemas are to be joined", kMaxJoins));
    joined_bytes_ += copied_bytes(base) + copied_bytes(more);
    if (joined_bytes_ > kMaxJoinedBytes) {
      return at(where, fmt::format("more than {} bytes of schemas are to be joined", kMaxJoinedBytes),
                "write less beside $ref, allOf, anyOf and oneOf: it is copied into each of their schemas");
    }
    if (more.is_object()) {
      MHUB_CHECK_OK(check_keywords(more, where));
    }
    auto joined = merge_schemas(base, more);
    if (!joined) return at(where, joined.error().message, joined.error().hint);
    return joined;
  }

  // What stands beside allOf, anyOf and oneOf holds for each of their schemas too.
  Result<ExprId> combined(const OrderedJson& schema, const char* keyword, const OrderedJson& list,
                          const std::string& where, int depth) {
    if (!list.is_array() || list.empty()) return at(where, fmt::format("{} is no list of schemas", keyword));
    OrderedJson beside = OrderedJson::object();
    for (const auto& [key, sibling] : schema.items()) {
      if (key != keyword && classify(key) == Keyword::kSupported) beside[key] = sibling;
    }
    const auto with = [&](const OrderedJson& base, const OrderedJson& more) -> Result<OrderedJson> {
      const OrderedJson* part = &more;
      for (int hops = 0; part->is_object() && part->contains("$ref") && !base.empty(); ++hops) {
        if (hops > kMaxDepth || part->size() > 1)
          return at(where, fmt::format("a $ref inside {} cannot be joined", keyword));
        MHUB_TRY(part, resolve((*part)["$ref"], where));
      }
      return join(base, *part, where);
    };
    if (std::string_view(keyword) == "allOf") {
      OrderedJson all = std::move(beside);
      for (const OrderedJson& part : list) {
        MHUB_TRY(all, with(all, part));
      }
      return value(all, where, depth + 1);
    }
    std::vector<ExprId> out;
    for (size_t i = 0; i < list.size(); ++i) {
      const std::string place = fmt::format("{}/{}/{}", where, keyword, i);
      if (beside.empty()) {
        MHUB_TRY(const ExprId expr, value(list[i], place, depth + 1));
        out.push_back(expr);
        continue;
      }
      MHUB_TRY(const OrderedJson one, with(beside, list[i]));
      MHUB_TRY(const ExprId expr, value(one, place, depth + 1));
      out.push_back(expr);
    }
    return to_.choice(std::move(out));
  }

  static bool has_type(const OrderedJson& value, const OrderedJson& type) {
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    return type == (value.is_null() ? "null" : value.type_name());
  }

  // enum and const: texts of the values, without those that the type rules out.
  Result<ExprId> listed(const OrderedJson& schema, const std::string& where) {
    for (const auto& [keyword, _] : schema.items()) {
      if (classify(keyword) == Keyword::kSupported && keyword != "enum" && keyword != "const" && keyword != "type") {
        return at(where, fmt::format("{} beside enum or const is not supported", printable(keyword, 64)));
      }
    }
    const OrderedJson* values = find(schema, "enum");
    const OrderedJson* constant = find(schema, "const");
    const OrderedJson* type = find(schema, "type");
    if (values != nullptr && !values->is_array()) return at(where, "enum is no list");
    if (type != nullptr && type->is_array() && type->size() > kMaxTypes) {
      return at(where, fmt::format("type names more than {} types", kMaxTypes));
    }
    const OrderedJson only = OrderedJson::array({constant != nullptr ? *constant : OrderedJson()});
    std::vector<ExprId> out;
    for (const OrderedJson& one : constant != nullptr ? only : *values) {
      if (constant != nullptr && values != nullptr && std::find(values->begin(), values->end(), one) == values->end()) {
        continue;
      }
      const bool fits =
          type == nullptr ||
          (type->is_array() ? std::any_of(type->begin(), type->end(), [&](const auto& t) { return has_type(one, t); })
                            : has_type(one, *type));
      if (fits) out.push_back(text_.literal(one));
    }
    if (out.empty()) return at(where, "no value is left in enum or const");
    return to_.choice(std::move(out));
  }

  // The types that a schema names, or that its keywords speak of; none: it says nothing.
  Result<std::vector<std::string>> types_of(const OrderedJson& schema, const std::string& where) {
    static constexpr std::string_view kTypes[] = {"object", "array", "string", "number", "integer", "boolean", "null"};
    std::vector<std::string> out;
    if (const OrderedJson* type = find(schema, "type")) {
      const OrderedJson list = type->is_array() ? *type : OrderedJson::array({*type});
      for (const OrderedJson& one : list) {
        const bool known = one.is_string() && std::find(std::begin(kTypes), std::end(kTypes),
                                                        one.get_ref<const std::string&>()) != std::end(kTypes);
        if (!known) return at(where, fmt::format("type {} is unknown", printable(dump_json(one), 64)));
        if (std::find(out.begin(), out.end(), one) == out.end()) out.push_back(one.get<std::string>());
      }
      if (out.empty()) return at(where, "type is an empty list");
      return out;
    }
    static constexpr std::pair<const char*, const char*> kSpeaksOf[] = {
        {"properties", "object"},    {"required", "object"},         {"additionalProperties", "object"},
        {"minProperties", "object"}, {"maxProperties", "object"},    {"items", "array"},
        {"prefixItems", "array"},    {"minItems", "array"},          {"maxItems", "array"},
        {"uniqueItems", "array"},    {"minLength", "string"},        {"maxLength", "string"},
        {"pattern", "string"},       {"format", "string"},           {"minimum", "number"},
        {"maximum", "number"},       {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"},
        {"multipleOf", "number"}};
    for (const auto& [keyword, type] : kSpeaksOf) {
      if (schema.contains(keyword) && std::find(out.begin(), out.end(), type) == out.end()) out.emplace_back(type);
    }
    return out;
  }

  Result<ExprId> typed(const std::string& type, const OrderedJson& schema, const std::string& where, int depth) {
    if (type == "object") return object(schema, where, depth);
    if (type == "array") return array(schema, where, depth);
    if (type == "string") return string(schema, where);
    if (type == "number" || type == "integer") return number(schema, type == "integer", where);
    if (type == "boolean") return to_.choice({to_.bytes("true"), to_.bytes("false")});
    return to_.bytes("null");
  }

  Result<std::optional<uint32_t>> count(const OrderedJson& schema, const char* keyword, const std::string& where) {
    const OrderedJson* value = find(schema, keyword);
    if (value == nullptr) return std::optional<uint32_t>();
    const double number = value->is_number() ? value->get<double>() : -1;
    if (number < 0 || number > kMaxCount || number != std::floor(number)) {
      return at(where, fmt::format("{} is no whole number from 0 to {}", keyword, kMaxCount));
    }
    return std::optional(static_cast<uint32_t>(number));
  }
  struct Bounds {
    uint32_t min = 0, max = Grammar::kNoMax;
  };
  Result<Bounds> bounds(const OrderedJson& schema, const char* min, const char* max, const std::string& where) {
    MHUB_TRY(const auto low, count(schema, min, where));
    MHUB_TRY(const auto high, count(schema, max, where));
    const Bounds out{low.value_or(0), high.value_or(Grammar::kNoMax)};
    if (out.max < out.min) return at(where, fmt::format("{} is below {}", max, min));
    return out;
  }

  Result<ExprId> string(const OrderedJson& schema, const std::string& where) {
    MHUB_TRY(const Bounds length, bounds(schema, "minLength", "maxLength", where));
    const OrderedJson* pattern = find(schema, "pattern");
    const OrderedJson* format = find(schema, "format");
    const bool bounded = length.min > 0 || length.max != Grammar::kNoMax;
    if (int{pattern != nullptr} + int{format != nullptr} + int{bounded} > 1) {
      return at(where, "only one of pattern, format and a length can be kept together");
    }
    if (pattern == nullptr && format == nullptr) return text_.string(length.min, length.max);
    const OrderedJson& given = pattern != nullptr ? *pattern : *format;
    if (!given.is_string()) return at(where, pattern != nullptr ? "pattern is no text" : "format is no text");
    const auto& name = given.get_ref<const std::string&>();
    auto inner = pattern != nullptr ? string_pattern(name, to_) : string_format(name, to_);
    if (!inner) return at(where, inner.error().message, inner.error().hint);
    return text_.quoted(*inner);
  }

  Result<ExprId> number(const OrderedJson& schema, bool integer, const std::string& where) {
    std::optional<NumberBound> low, high;
    const auto take = [&](const char* keyword, bool exclusive, bool lower) -> Result<void> {
      const OrderedJson* value = find(schema, keyword);
      if (value == nullptr) return {};
      if (!value->is_number()) return at(where, fmt::format("{} is no number", keyword));
      const NumberBound bound{value->get<double>(), exclusive};
      auto& to = lower ? low : high;
      const bool tighter =
          !to || (lower ? bound.value > to->value : bound.value < to->value) || (bound.value == to->value && exclusive);
      if (tighter) to = bound;
      return {};
    };
    MHUB_CHECK_OK(take("minimum", false, true));
    MHUB_CHECK_OK(take("exclusiveMinimum", true, true));
    MHUB_CHECK_OK(take("maximum", false, false));
    MHUB_CHECK_OK(take("exclusiveMaximum", true, false));
    if (const OrderedJson* step = find(schema, "multipleOf")) {
      if (*step != 1) return at(where, "multipleOf other than 1 is not supported");
      integer = true;
    }
    auto out = number_in(low, high, integer, to_);
    if (!out) return at(where, out.error().message, out.error().hint);
    return out;
  }

  Result<ExprId> array(const OrderedJson& schema, const std::string& where, int depth) {
    MHUB_TRY(const Bounds length, bounds(schema, "minItems", "maxItems", where));
    if (const OrderedJson* unique = find(schema, "uniqueItems"); unique != nullptr && *unique != false) {
      return at(where, "uniqueItems is not supported");
    }
    const OrderedJson* items = find(schema, "items");
    if (items != nullptr && items->is_array()) return at(where, "items as a list is not supported", "use prefixItems");
    std::vector<ExprId> first;
    if (const OrderedJson* prefix = find(schema, "prefixItems")) {
      if (!prefix->is_array()) return at(where, "prefixItems is no list");
      for (size_t i = 0; i < prefix->size() && i < length.max; ++i) {
        MHUB_TRY(const ExprId one, in_rule((*prefix)[i], fmt::format("{}/prefixItems/{}", where, i), depth));
        first.push_back(one);
      }
    }
    // Behind prefixItems nothing is added unless `items` says what.
    const bool closed = items == nullptr ? !first.empty() : *items == false;
    ExprId rest = 0;
    if (!closed) {
      static const OrderedJson kAnything = true;
      MHUB_TRY(rest, in_rule(items != nullptr ? *items : kAnything, where + "/items", depth));
    }
    if (closed && length.min > first.size()) return at(where, "minItems is more than there can be");
    if (first.empty()) return text_.brackets(closed ? to_.empty() : text_.list(rest, length.min, length.max));
    return text_.brackets(tuple(first, closed ? std::nullopt : std::optional(rest), length));
  }

  // The given items in their places, then `rest`; it may end early where the length allows it.
  ExprId tuple(const std::vector<ExprId>& first, std::optional<ExprId> rest, Bounds length) {
    const auto placed = static_cast<uint32_t>(first.size());
    std::optional<ExprId> behind;
    if (rest && length.max > placed) {
      const uint32_t most = length.max == Grammar::kNoMax ? length.max : length.max - placed;
      behind = to_.repeat(to_.sequence({text_.comma(), *rest}), length.min > placed ? length.min - placed : 0, most);
    }
    for (size_t i = first.size(); i-- > 0;) {
      std::vector<ExprId> parts;
      if (i > 0) parts.push_back(text_.comma());
      parts.push_back(first[i]);
      if (behind) parts.push_back(*behind);
      const ExprId from_here = to_.sequence(std::move(parts));
      behind = length.min > i ? from_here : to_.optional(from_here);
    }
    return *behind;
  }

  // A value that stands in more than one place is one rule.
  Result<ExprId> in_rule(const OrderedJson& schema, const std::string& where, int depth) {
    MHUB_TRY(const ExprId body, value(schema, where, depth + 1));
    const RuleId rule = to_.add_rule(where);
    to_.define(rule, body);
    return to_.call(rule);
  }

  struct Property {
    ExprId pair;
    bool required;
  };

  Result<ExprId> object(const OrderedJson& schema, const std::string& where, int depth) {
    MHUB_TRY(const Bounds size, bounds(schema, "minProperties", "maxProperties", where));
    static const OrderedJson kNone = OrderedJson::object(), kNoNames = OrderedJson::array();
    const OrderedJson* given = find(schema, "properties");
    const OrderedJson& properties = given != nullptr ? *given : kNone;
    const OrderedJson* names = find(schema, "required");
    const OrderedJson& required = names != nullptr ? *names : kNoNames;
    if (!properties.is_object()) return at(where, "properties is no object");
    if (!required.is_array()) return at(where, "required is no list");
    const OrderedJson* more = find(schema, "additionalProperties");
    // Absent means no others where some are declared: a model would go on for ever.
    const bool open = more != nullptr ? *more != false : properties.empty() && required.empty();
    const bool free = properties.empty() && required.empty();
    if ((size.min > 0 || size.max != Grammar::kNoMax) && !free) {
      return at(where, "minProperties and maxProperties beside properties are not supported");
    }
    if (size.min > 1) return at(where, "minProperties above 1 is not supported");
    for (const OrderedJson& name : required) {
      if (!name.is_string()) return at(where, "required holds something that is no text");
    }
    const std::set<std::string> required_names(required.begin(), required.end());
    std::vector<std::string> declared;
    std::vector<Property> pairs;
    const auto add = [&](const std::string& name, const OrderedJson& property, bool is_required) -> Result<void> {
      MHUB_TRY(const ExprId inner, value(property, fmt::format("{}/properties/{}", where, name), depth + 1));
      declared.push_back(name);
      pairs.push_back({to_.sequence({text_.literal(name), text_.colon(), inner}), is_required});
      return {};
    };
    for (const auto& [name, property] : properties.items()) {
      MHUB_CHECK_OK(add(name, property, required_names.contains(name)));
    }
    static const OrderedJson kAnything = true;
    const bool forbidden = spec_.forbid_additional && !free;
    const std::set<std::string> declared_names(declared.begin(), declared.end());
    for (const std::string& name : required_names) {
      if (declared_names.contains(name)) continue;
      // A required property that is not declared is one of the additional ones.
      if (more != nullptr && *more == false) {
        return at(where, fmt::format("required names {}, which additionalProperties forbids", printable(name, 64)));
      }
      MHUB_CHECK_OK(add(name, more != nullptr ? *more : kAnything, true));
    }
    std::optional<ExprId> additional;
    if (open && !forbidden) {
      const ExprId key = declared.empty() ? text_.string(0, Grammar::kNoMax) : text_.string_other_than(declared);
      MHUB_TRY(const ExprId inner,
               value(more != nullptr ? *more : kAnything, where + "/additionalProperties", depth + 1));
      const RuleId rule = to_.add_rule(where + "/additionalProperties");
      to_.define(rule, to_.sequence({key, text_.colon(), inner}));
      additional = to_.call(rule);
    }
    if (free) return text_.braces(additional ? text_.list(*additional, size.min, size.max) : to_.empty());
    return text_.braces(members(pairs, additional, where));
  }

  // Declared properties in their order, the optional ones or not, then additional ones. With none optional it is a
  // plain sequence; else there are two rules per property: what comes from it on, with and without something in front.
  ExprId members(const std::vector<Property>& pairs, std::optional<ExprId> additional, const std::string& where) {
    const auto others = [&] { return to_.repeat(to_.sequence({text_.comma(), *additional}), 0, Grammar::kNoMax); };
    if (std::all_of(pairs.begin(), pairs.end(), [](const Property& p) { return p.required; })) {
      std::vector<ExprId> parts;
      for (const Property& property : pairs) {
        if (!parts.empty()) parts.push_back(text_.comma());
        parts.push_back(property.pair);
      }
      if (additional) parts.push_back(others());
      return to_.sequence(std::move(parts));
    }
    ExprId from_here = additional ? to_.optional(to_.sequence({*additional, others()})) : to_.empty();
    ExprId behind_others = additional ? others() : to_.empty();
    for (size_t i = pairs.size(); i-- > 0;) {
      const RuleId pair = to_.add_rule(where), rest = to_.add_rule(where), first = to_.add_rule(where);
      to_.define(pair, pairs[i].pair);
      const RuleId behind = to_.add_rule(where);
      to_.define(behind, behind_others);
      std::vector<ExprId> with = {to_.sequence({text_.comma(), to_.call(pair), to_.call(behind)})};
      std::vector<ExprId> without = {to_.sequence({to_.call(pair), to_.call(behind)})};
      if (!pairs[i].required) {
        with.push_back(to_.call(behind));
        without.push_back(from_here);
      }
      to_.define(rest, to_.choice(std::move(with)));
      to_.define(first, to_.choice(std::move(without)));
      behind_others = to_.call(rest);
      from_here = to_.call(first);
    }
    return from_here;
  }

  const Spec& spec_;
  const OrderedJson& root_;
  Grammar& to_;
  JsonText text_;
  std::map<std::string, RuleId> by_pointer_;
  std::deque<Pending> pending_;
  int joins_ = 0;
  size_t joined_bytes_ = 0;
};

}  // namespace

Result<void> compile_schema(const Spec& spec, Grammar& to) {
  auto schema = parse_ordered_json(spec.text, {kMaxSchemaBytes, 128, 100'000});
  if (!schema) return refused(fmt::format("JSON schema: {}", schema.error().message));
  if (has_object_over(*schema, kMaxMembers)) {
    return refused(fmt::format("JSON schema: an object in it has more than {} members", kMaxMembers));
  }
  return SchemaCompiler(spec, *schema, to).compile();
}

}  // namespace mhub::constraint
