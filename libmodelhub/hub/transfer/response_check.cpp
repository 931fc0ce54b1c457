// SPDX-License-Identifier: Apache-2.0
#include "transfer/response_check.h"

#include <fmt/format.h>

#include <charconv>

#include "net/retry.h"

namespace mhub::hub {
namespace {

bool take_number(std::string_view& text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

bool changed(const ExpectedBody& expected, const HttpHead& head) {
  const std::string etag = strong_etag(head);
  return !expected.etag.empty() && !etag.empty() && etag != expected.etag;
}

Answer judge_partial(const ExpectedBody& expected, const HttpHead& head) {
  const std::string* text = head.header("content-range");
  const auto range = text ? parse_content_range(*text) : std::nullopt;
  if (!expected.range || !range) return Answer::kWrongRange;
  if (changed(expected, head)) return Answer::kChanged;
  if (range->first != expected.range->first || range->last != expected.range->last) return Answer::kWrongRange;
  if (range->total && *range->total != expected.file_bytes) return Answer::kWrongRange;
  const auto length = head.content_length();
  if (length && *length != range->last - range->first + 1) return Answer::kWrongLength;
  return Answer::kBody;
}

Answer judge_whole(const ExpectedBody& expected, const HttpHead& head) {
  const auto length = head.content_length();
  if (length && *length != expected.file_bytes)
    return changed(expected, head) ? Answer::kChanged : Answer::kWrongLength;
  if (changed(expected, head)) return Answer::kChanged;
  return expected.range ? Answer::kWholeFile : Answer::kBody;
}

}  // namespace

std::optional<ContentRange> parse_content_range(std::string_view text) {
  ContentRange range;
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  if (!take_number(text, range.first) || !take(text, '-') || !take_number(text, range.last) || !take(text, '/')) {
    return std::nullopt;
  }
  if (range.first > range.last) return std::nullopt;
  if (text == "*") return range;
  uint64_t total = 0;
  if (!take_number(text, total) || !text.empty() || range.last >= total) return std::nullopt;
  range.total = total;
  return range;
}

std::string strong_etag(const HttpHead& head) {
  const std::string* etag = head.header("etag");
  return etag && etag->size() > 2 && etag->starts_with('"') && etag->ends_with('"') ? *etag : "";
}

Answer judge(const ExpectedBody& expected, const HttpHead& head) {
  switch (head.status) {
    case 200:
      return judge_whole(expected, head);
    case 206:
      return judge_partial(expected, head);
    case 401:
    case 403:
      return Answer::kDenied;
    case 404:
    case 410:
      return Answer::kGone;
    case 416:
      return Answer::kRangeNotThere;
    default:
      return is_retryable_status(head.status) ? Answer::kBusy : Answer::kRefused;
  }
}

std::string describe(Answer answer, const HttpHead& head) {
  const auto shown = [&](const char* name) {
    const std::string* value = head.header(name);
    return value ? printable(*value, 80) : std::string("absent");
  };
  switch (answer) {
    case Answer::kBody:
      return "the connection ended early";
    case Answer::kWholeFile:
      return "the server ignores ranges";
    case Answer::kWrongRange:
      return fmt::format("the server sent other bytes than asked for (Content-Range {})", shown("content-range"));
    case Answer::kWrongLength:
      return fmt::format("HTTP {} with Content-Length {} and type {}, not the size in the listing", head.status,
                         shown("content-length"), shown("content-type"));
    case Answer::kChanged:
      return "the file changed on the server";
    default:
      return fmt::format("HTTP {}", head.status);
  }
}

}  // namespace mhub::hub
