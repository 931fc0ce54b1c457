// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime.h"

namespace mhub::text::jinja {

// "%s-%d" % value: flags - 0 + space, width, precision, types s r d i u x X o f F e E g G %. A dict serves %(name)s.
Value format_percent(Runtime& runtime, const Text& format, const Value& value);
// "{} {0} {name}".format(...): conversions !s !r and specs [[fill]align][sign][0][width][,][.precision][type].
Value format_braces(Runtime& runtime, const Text& format, const Arguments& arguments);

}  // namespace mhub::text::jinja
