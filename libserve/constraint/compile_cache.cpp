// SPDX-License-Identifier: Apache-2.0
#include "mhub/constraint/compile_cache.h"

#include <algorithm>

#include "automaton.h"

namespace mhub::constraint {

std::shared_ptr<const Constraint> CompileCache::find(const Spec& spec) {
  const std::lock_guard lock(mutex_);
  const auto known = std::find_if(recent_.begin(), recent_.end(), [&](const auto& kept) { return kept.first == spec; });
  if (known == recent_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, known);
  return known->second;
}

Result<std::shared_ptr<const Constraint>> CompileCache::compile(const Spec& spec) {
  if (auto known = find(spec)) return known;
  MHUB_TRY(auto made, Constraint::compile(spec));
  const std::lock_guard lock(mutex_);
  recent_.emplace_front(spec, made);
  nodes_ += made->automaton().num_nodes();
  while (recent_.size() > kKept || nodes_ > kKeptNodes) {
    nodes_ -= recent_.back().second->automaton().num_nodes();
    recent_.pop_back();
  }
  return made;
}

}  // namespace mhub::constraint
