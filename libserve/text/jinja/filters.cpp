// SPDX-License-Identifier: Apache-2.0
#include "filters.h"

namespace mhub::text::jinja {

Value apply_filter(Runtime& runtime, std::string_view name, const Value& value, const Arguments& arguments) {
  runtime.budget().step();
  Filter filter = find_text_filter(name);
  if (!filter) filter = find_sequence_filter(name);
  if (!filter) filter = find_prose_filter(name);
  if (!filter) fail(ErrorKind::kRuntime, "no filter named '" + std::string(name.substr(0, 40)) + "'");
  return filter(runtime, value, arguments);
}

}  // namespace mhub::text::jinja
