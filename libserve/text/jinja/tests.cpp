// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include "../unicode.h"
#include "filters.h"
#include "operators.h"

namespace mhub::text::jinja {
namespace {

using Test = bool (*)(Runtime&, const Value&, const Arguments&);

const Value& argument(const Arguments& arguments) {
  if (arguments.positional.empty()) fail(ErrorKind::kType, "a test misses its argument");
  return arguments.positional[0];
}

template <char op>
bool compares(Runtime& runtime, const Value& value, const Arguments& arguments) {
  constexpr std::string_view kOps[] = {"==", "!=", "<", "<=", ">", ">="};
  constexpr std::string_view kCodes = "=!<l>g";
  return compare_by(runtime, kOps[kCodes.find(op)], value, argument(arguments));
}

bool divides(Runtime&, const Value& value, const Arguments& arguments) {
  const Int by = to_integer(argument(arguments), "divisibleby");
  if (by == 0) fail(ErrorKind::kRuntime, "integer division or modulo by zero");
  return by == -1 || to_integer(value, "divisibleby") % by == 0;
}
template <int rest>
bool parity(Runtime&, const Value& value, const Arguments&) {
  return (to_integer(value, "odd or even") & 1) == rest;
}

bool is_iterable(Runtime&, const Value& v, const Arguments&) {
  return v.as_list() || v.as_dict() || v.as_text() || v.is_undefined();
}
bool is_sequence(Runtime&, const Value& v, const Arguments&) {
  const List* list = v.as_list();
  if (list)
    return list->kind != List::Kind::kGenerator && list->kind != List::Kind::kKeys &&
           list->kind != List::Kind::kValues && list->kind != List::Kind::kItems;
  return v.as_dict() || v.as_text() || v.is_undefined();
}
bool is_same(Runtime&, const Value& value, const Arguments& arguments) {
  const Value& other = argument(arguments);
  if (value.as_text() || value.as_list() || value.as_dict()) {
    return value.as_text() == other.as_text() && value.as_list() == other.as_list() &&
           value.as_dict() == other.as_dict();
  }
  return value.type_name() == other.type_name() && equal(value, other);
}
bool is_upper(Runtime& runtime, const Value& v, const Arguments&) {
  const Text* t = v.as_text();
  if (t) runtime.budget().step(t->size() / 16);
  return t && to_upper(t->view()) == t->view() && to_lower(t->view()) != t->view();
}
bool is_lower(Runtime& runtime, const Value& v, const Arguments&) {
  const Text* t = v.as_text();
  if (t) runtime.budget().step(t->size() / 16);
  return t && to_lower(t->view()) == t->view() && to_upper(t->view()) != t->view();
}

struct Entry {
  std::string_view name;
  Test test;
};
constexpr Entry kTests[] = {
    {"boolean", [](Runtime&, const Value& v, const Arguments&) { return v.as_bool() != nullptr; }},
    {"callable", [](Runtime&, const Value& v,
                    const Arguments&) { return v.is_undefined() || (v.as_object() && v.as_object()->callable()); }},
    {"defined", [](Runtime&, const Value& v, const Arguments&) { return !v.is_undefined(); }},
    {"undefined", [](Runtime&, const Value& v, const Arguments&) { return v.is_undefined(); }},
    {"none", [](Runtime&, const Value& v, const Arguments&) { return v.is_none(); }},
    {"true", [](Runtime&, const Value& v, const Arguments&) { return v.as_bool() && *v.as_bool(); }},
    {"false", [](Runtime&, const Value& v, const Arguments&) { return v.as_bool() && !*v.as_bool(); }},
    {"string", [](Runtime&, const Value& v, const Arguments&) { return v.as_text() != nullptr; }},
    {"mapping", [](Runtime&, const Value& v, const Arguments&) { return v.as_dict() != nullptr; }},
    {"number", [](Runtime&, const Value& v, const Arguments&) { return v.is_number(); }},
    {"integer", [](Runtime&, const Value& v, const Arguments&) { return v.as_int() != nullptr; }},
    {"float", [](Runtime&, const Value& v, const Arguments&) { return v.as_double() != nullptr; }},
    {"escaped", [](Runtime&, const Value& v, const Arguments&) { return v.as_text() && v.as_text()->is_markup(); }},
    {"filter",
     [](Runtime&, const Value& v, const Arguments&) {
       return v.as_text() && (find_text_filter(v.as_text()->view()) || find_sequence_filter(v.as_text()->view()));
     }},
    {"iterable", is_iterable},
    {"sequence", is_sequence},
    {"sameas", is_same},
    {"upper", is_upper},
    {"lower", is_lower},
    {"odd", parity<1>},
    {"even", parity<0>},
    {"divisibleby", divides},
    {"in", [](Runtime& r, const Value& v, const Arguments& a) { return contains(r, argument(a), v); }},
    {"eq", compares<'='>},
    {"==", compares<'='>},
    {"equalto", compares<'='>},
    {"ne", compares<'!'>},
    {"!=", compares<'!'>},
    {"lt", compares<'<'>},
    {"<", compares<'<'>},
    {"lessthan", compares<'<'>},
    {"le", compares<'l'>},
    {"<=", compares<'l'>},
    {"gt", compares<'>'>},
    {">", compares<'>'>},
    {"greaterthan", compares<'>'>},
    {"ge", compares<'g'>},
    {">=", compares<'g'>},
};

}  // namespace

bool apply_test(Runtime& runtime, std::string_view name, const Value& value, const Arguments& arguments) {
  runtime.budget().step();
  const auto hit = std::find_if(std::begin(kTests), std::end(kTests), [&](const Entry& e) { return e.name == name; });
  if (hit == std::end(kTests)) fail(ErrorKind::kRuntime, "no test named '" + std::string(name.substr(0, 40)) + "'");
  return hit->test(runtime, value, arguments);
}

}  // namespace mhub::text::jinja
