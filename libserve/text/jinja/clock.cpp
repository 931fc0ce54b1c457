// SPDX-License-Identifier: Apache-2.0
#include "clock.h"

#include <fmt/format.h>

#include <cstdio>
#include <ctime>

#include "limits.h"

namespace mhub::text::jinja {
namespace {

std::tm broken_down(const std::optional<std::string>& now) {
  std::tm tm{};
  if (now) {
    if (std::sscanf(now->c_str(), "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                    &tm.tm_min, &tm.tm_sec) != 6) {
      fail(ErrorKind::kRuntime, "the time is not YYYY-MM-DDTHH:MM:SS");
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    std::tm utc = tm;
    timegm(&utc);  // fills in weekday and day of the year
    return utc;
  }
  const std::time_t seconds = std::time(nullptr);
  localtime_r(&seconds, &tm);
  return tm;
}

constexpr const char* kDays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr const char* kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                   "July",    "August",   "September", "October", "November", "December"};

std::string field(char code, bool padded, const std::tm& t) {
  const auto two = [&](int n) { return padded ? fmt::format("{:02}", n) : fmt::format("{}", n); };
  const int hour12 = t.tm_hour % 12 == 0 ? 12 : t.tm_hour % 12;
  switch (code) {
    case 'Y':
      return fmt::format("{}", t.tm_year + 1900);
    case 'y':
      return two(t.tm_year % 100);
    case 'm':
      return two(t.tm_mon + 1);
    case 'd':
      return two(t.tm_mday);
    case 'e':
      return fmt::format("{:2}", t.tm_mday);
    case 'H':
      return two(t.tm_hour);
    case 'I':
      return two(hour12);
    case 'M':
      return two(t.tm_min);
    case 'S':
      return two(t.tm_sec);
    case 'f':
      return "000000";
    case 'j':
      return padded ? fmt::format("{:03}", t.tm_yday + 1) : fmt::format("{}", t.tm_yday + 1);
    case 'p':
      return t.tm_hour < 12 ? "AM" : "PM";
    case 'A':
      return kDays[t.tm_wday];
    case 'a':
      return std::string(kDays[t.tm_wday], 3);
    case 'B':
      return kMonths[t.tm_mon];
    case 'b':
    case 'h':
      return std::string(kMonths[t.tm_mon], 3);
    case 'w':
      return fmt::format("{}", t.tm_wday);
    case 'u':
      return fmt::format("{}", t.tm_wday == 0 ? 7 : t.tm_wday);
    case 'D':
      return fmt::format("{:02}/{:02}/{:02}", t.tm_mon + 1, t.tm_mday, t.tm_year % 100);
    case 'x':
      return fmt::format("{:02}/{:02}/{:02}", t.tm_mon + 1, t.tm_mday, t.tm_year % 100);
    case 'F':
      return fmt::format("{}-{:02}-{:02}", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
    case 'T':
    case 'X':
      return fmt::format("{:02}:{:02}:{:02}", t.tm_hour, t.tm_min, t.tm_sec);
    case 'R':
      return fmt::format("{:02}:{:02}", t.tm_hour, t.tm_min);
    case 'c':
      return fmt::format("{:.3} {:.3} {:2} {:02}:{:02}:{:02} {}", kDays[t.tm_wday], kMonths[t.tm_mon], t.tm_mday,
                         t.tm_hour, t.tm_min, t.tm_sec, t.tm_year + 1900);
    case 'n':
      return "\n";
    case 't':
      return "\t";
    case 'z':
    case 'Z':
      return "";  // the reference's time has no zone
    default:
      return padded ? fmt::format("%{}", code) : fmt::format("%-{}", code);
  }
}

}  // namespace

std::string format_time(std::string_view format, const std::optional<std::string>& now) {
  const std::tm time = broken_down(now);
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 >= format.size()) {
      out += format[i];
      continue;
    }
    char code = format[++i];
    if (code == '%') {
      out += '%';
      continue;
    }
    const bool padded = code != '-';
    if (!padded && i + 1 < format.size()) code = format[++i];
    out += field(code, padded, time);
  }
  return out;
}

}  // namespace mhub::text::jinja
