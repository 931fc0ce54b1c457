// SPDX-License-Identifier: Apache-2.0
#include "runtime.h"

namespace mhub::text::jinja {

const Value* Namespace::attribute(std::string_view name) {
  for (const auto& [key, value] : attributes_) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Namespace::set(const std::string& name, Value value) {
  for (auto& [key, present] : attributes_) {
    if (key == name) {
      present = std::move(value);
      return;
    }
  }
  attributes_.emplace_back(name, std::move(value));
}

Runtime::~Runtime() {
  for (const auto& ns : namespaces_) ns->clear();
}

Value Runtime::make_namespace(std::vector<std::pair<std::string, Value>> attributes) {
  budget_.step(attributes.size() + 1);
  namespaces_.push_back(std::make_shared<Namespace>(std::move(attributes)));
  return std::static_pointer_cast<Object>(namespaces_.back());
}

Value Runtime::call(const Value& callee, const Arguments& arguments) {
  budget_.step(1 + arguments.positional.size() + arguments.named.size());
  require_defined(callee);
  Object* object = callee.as_object();
  if (!object) fail(ErrorKind::kType, "'" + std::string(callee.type_name()) + "' object is not callable");
  return object->call(*this, arguments);
}

}  // namespace mhub::text::jinja
