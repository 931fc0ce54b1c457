// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "value.h"

namespace mhub::text::jinja {

// {{ namespace(...) }}: the one kind of value that changes.
class Namespace final : public Object {
 public:
  explicit Namespace(std::vector<std::pair<std::string, Value>> attributes) : attributes_(std::move(attributes)) {}
  std::string_view type_name() const override { return "Namespace"; }
  const Value* attribute(std::string_view name) override;
  void set(const std::string& name, Value value);
  void clear() { attributes_.clear(); }

 private:
  std::vector<std::pair<std::string, Value>> attributes_;
};

// One rendering: its budget, its clock, and the objects that could form cycles.
class Runtime {
 public:
  Runtime(Budget& budget, std::optional<std::string> now) : budget_(budget), now_(std::move(now)) {}
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  Budget& budget() { return budget_; }
  // "2025-03-04T09:26:53" to be used as the time; the local time when absent.
  const std::optional<std::string>& now() const { return now_; }
  Value make_namespace(std::vector<std::pair<std::string, Value>> attributes);
  Value call(const Value& callee, const Arguments& arguments);

 private:
  Budget& budget_;
  std::optional<std::string> now_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;  // emptied at the end: a namespace may hold itself
};

}  // namespace mhub::text::jinja
