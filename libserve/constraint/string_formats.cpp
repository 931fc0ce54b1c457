// SPDX-License-Identifier: Apache-2.0
#include "string_formats.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "json_text.h"
#include "mhub/base/bytes.h"
#include "regex_parser.h"

namespace mhub::constraint {
namespace {

// Each is narrower than its standard where a wider one would let through what is none (29 February of any year).
constexpr std::string_view kDate =
    R"([0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8])))";
constexpr std::string_view kTime =
    R"((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))";
constexpr std::string_view kByte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

std::string regex_of(std::string_view format) {
  if (format == "date") return std::string(kDate);
  if (format == "time") return std::string(kTime);
  if (format == "date-time") return fmt::format("{}T{}", kDate, kTime);
  if (format == "duration") {
    return "P(?:[0-9]{1,4}W|[0-9]{1,4}D(?:T[0-9]{1,4}H)?|T[0-9]{1,4}H(?:[0-9]{1,4}M(?:[0-9]{1,4}S)?)?|T[0-9]{1,4}M(?:["
           "0-9]{1,4}S)?|"
           "T[0-9]{1,4}S)";
  }
  if (format == "uuid") return "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
  if (format == "ipv4") return fmt::format(R"((?:{0}\.){{3}}{0})", kByte);
  if (format == "email") {
    return R"([a-zA-Z0-9_+-]{1,32}(?:\.[a-zA-Z0-9_+-]{1,32}){0,3}@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?(?:\.[a-zA-Z]{2,16}){1,3})";
  }
  if (format == "hostname") {
    return R"([a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?){0,4})";
  }
  if (format == "uri") return R"([a-z][a-z0-9+.-]{0,15}://[a-zA-Z0-9._~:/?#@!$&'()*+,;=-]{1,512})";
  return "";
}

}  // namespace

Result<ExprId> string_pattern(std::string_view regex, Grammar& to) {
  RegexOptions options;
  options.search = true;
  options.spelling = JsonText::spell;
  return parse_regex(regex, options, to);
}

Result<ExprId> string_format(std::string_view format, Grammar& to) {
  const std::string regex = regex_of(format);
  if (regex.empty()) {
    return refused(fmt::format("the format {} is not supported", printable(format, 64)),
                   "date, time, date-time, duration, uuid, ipv4, email, hostname and uri are");
  }
  return parse_regex(regex, {}, to);
}

}  // namespace mhub::constraint
