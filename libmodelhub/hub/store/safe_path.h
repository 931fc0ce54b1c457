// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "mhub/base/result.h"

namespace mhub::hub {

// The names of a hub's listing, an index or an import are hostile until checked here. All errors: kPolicy.
constexpr size_t kMaxListingEntries = 200'000;
constexpr size_t kMaxPathBytes = 1024;
constexpr size_t kMaxComponentBytes = 255;
constexpr size_t kMaxPathDepth = 64;

// One relative, '/'-separated path against the allow-list grammar:
//   path      = component *( "/" component )
//   component = printable ASCII except \ : * ? " < > | / and "%" before two hex digits, or UTF-8 beyond U+00A0 that is
//   no
//               control, format, private or noncharacter code point; not starting with "-" or " ", not ending with "."
//               or " "
//   and no component that a system or a tool reserves (".", "..", CON, .git, .lock, .mhub, *.part ...).
Result<void> check_listing_name(std::string_view path);

// A whole listing: every name, their number, no name twice, none that is both a file and a directory. One bad name
// refuses all.
Result<void> check_listing_names(std::span<const std::string> paths);

// Refuses (with both names) names that the file system of `target` cannot keep apart: letter case, Unicode
// normalization. `target` need not exist yet. Asks the file system, and only when the listing has candidates.
Result<void> check_distinct_on_disk(std::span<const std::string> paths, const std::filesystem::path& target);

}  // namespace mhub::hub
