// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mhub/httpd/server.h"
#include "mhub/registry/registry.h"

namespace mhub::hub {

// What a Range header asks of a body of `size` bytes (RFC 9110 section 14).
struct ByteRange {
  enum class Kind { kWhole, kPart, kUnsatisfiable } kind = Kind::kWhole;
  uint64_t first = 0, length = 0;
};
// Several ranges, another unit, malformed text and any range of an empty body mean the whole body.
ByteRange parse_range(std::string_view header, uint64_t size);

// The bytes of a verified file: 200, 206, 304 or 416 with a strong ETag, for GET and HEAD. 500 when the file on disk is
// not the one that was verified (size, times or inode differ).
httpd::Response file_response(const httpd::Request& request, const registry::ModelRecord& model,
                              const registry::FileRecord& file);

// The head of the same answer for a file that is not here yet (HEAD only).
httpd::Response head_response(const httpd::Request& request, const registry::FileRecord& file);

}  // namespace mhub::hub
