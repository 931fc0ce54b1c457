// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace mhub::test {

// What the program has asked of operator new since it started, from any thread. Link counted_new.cpp, which replaces
// it.
size_t new_calls();
size_t new_bytes();

}  // namespace mhub::test
