// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mhub/base/json.h"

namespace mhub {

// Whether an object in the document, or the document itself, has more than `limit` members. Looking up one member of an
// ordered object is a search through all of them: what comes from outside is checked before anything is looked up.
bool has_object_over(const OrderedJson& document, size_t limit);

}  // namespace mhub
