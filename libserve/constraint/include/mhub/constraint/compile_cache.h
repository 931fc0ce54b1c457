// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "mhub/constraint/matcher.h"

namespace mhub::constraint {

// Compiles, and keeps what was asked for last. Thread-safe; one that is being compiled does not hold up the others.
class CompileCache {
 public:
  Result<std::shared_ptr<const Constraint>> compile(const Spec& spec);

 private:
  static constexpr size_t kKept = 32, kKeptNodes = 1'000'000;  // about 80 bytes each
  std::shared_ptr<const Constraint> find(const Spec& spec);

  std::mutex mutex_;
  std::list<std::pair<Spec, std::shared_ptr<const Constraint>>> recent_;  // guarded by mutex_; the last used in front
  size_t nodes_ = 0;                                                      // of all of them
};

}  // namespace mhub::constraint
