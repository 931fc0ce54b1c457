// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "mhub/hub/doctor.h"

namespace mhub::apps {

// What the engine would compute on: whether the CUDA back end loads, the card and its memory, and how fast it copies
// and multiplies beside what its data sheet says.
std::vector<hub::Finding> examine_gpu();

}  // namespace mhub::apps
