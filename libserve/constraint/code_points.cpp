// SPDX-License-Identifier: Apache-2.0
#include "code_points.h"

#include <algorithm>
#include <string>

namespace mhub::constraint {
namespace {

constexpr char32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;
constexpr char32_t kLastOfLength[] = {0x7F, 0x7FF, 0xFFFF, kLastCodePoint};

size_t encode(char32_t c, uint8_t (&out)[4]) {
  if (c <= 0x7F) {
    out[0] = static_cast<uint8_t>(c);
    return 1;
  }
  const size_t length = c <= 0x7FF ? 2 : c <= 0xFFFF ? 3 : 4;
  for (size_t i = length; i-- > 1; c >>= 6) out[i] = static_cast<uint8_t>(0x80 | (c & 0x3F));
  out[0] = static_cast<uint8_t>((0xF00u >> length) & 0xFF) | static_cast<uint8_t>(c);
  return length;
}

// Splits [first, last], of one encoded length, where a continuation byte would not run over its whole range.
void split(char32_t first, char32_t last, const std::function<void(std::span<const ByteRange>)>& use) {
  for (unsigned trailing = 1; trailing < 4; ++trailing) {
    const char32_t mask = (1u << (6 * trailing)) - 1;
    if ((first & ~mask) == (last & ~mask)) continue;
    if ((first & mask) != 0) {
      split(first, first | mask, use);
      split((first | mask) + 1, last, use);
      return;
    }
    if ((last & mask) != mask) {
      split(first, (last & ~mask) - 1, use);
      split(last & ~mask, last, use);
      return;
    }
  }
  uint8_t low[4], high[4];
  const size_t length = encode(first, low);
  encode(last, high);
  ByteRange ranges[4];
  for (size_t i = 0; i < length; ++i) ranges[i] = {low[i], high[i]};
  use(std::span(ranges, length));
}

}  // namespace

CodePointSet::CodePointSet(std::initializer_list<Range> ranges) {
  for (const Range& range : ranges) ranges_.push_back(range);
  normalize();
}

void CodePointSet::add(char32_t first, char32_t last) {
  ranges_.push_back({first, last});
  normalize();
}

void CodePointSet::add(const CodePointSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  normalize();
}

void CodePointSet::normalize() {
  std::vector<Range> parts;
  for (Range range : ranges_) {
    range.last = std::min(range.last, kLastCodePoint);
    if (range.first < kFirstSurrogate && range.first <= range.last)
      parts.push_back({range.first, std::min<char32_t>(range.last, kFirstSurrogate - 1)});
    range.first = std::max<char32_t>(range.first, kLastSurrogate + 1);
    if (range.first <= range.last) parts.push_back(range);
  }
  std::sort(parts.begin(), parts.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  ranges_.clear();
  for (const Range& part : parts) {
    if (!ranges_.empty() && part.first <= ranges_.back().last + 1) {
      ranges_.back().last = std::max(ranges_.back().last, part.last);
    } else {
      ranges_.push_back(part);
    }
  }
}

CodePointSet CodePointSet::complement() const {
  CodePointSet out;
  char32_t next = 0;
  for (const Range& range : ranges_) {
    if (range.first > next) out.ranges_.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) out.ranges_.push_back({next, kLastCodePoint});
  out.normalize();
  return out;
}

CodePointSet CodePointSet::intersection(const CodePointSet& other) const {
  CodePointSet out;
  for (size_t i = 0, j = 0; i < ranges_.size() && j < other.ranges_.size();) {
    const Range common{std::max(ranges_[i].first, other.ranges_[j].first),
                       std::min(ranges_[i].last, other.ranges_[j].last)};
    if (common.first <= common.last) out.ranges_.push_back(common);
    ranges_[i].last < other.ranges_[j].last ? ++i : ++j;
  }
  return out;
}

bool CodePointSet::contains(char32_t code_point) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const Range& range) { return range.first <= code_point && code_point <= range.last; });
}

void for_each_utf8_sequence(const CodePointSet& set, const std::function<void(std::span<const ByteRange>)>& use) {
  for (const CodePointSet::Range& range : set.ranges()) {
    char32_t first = range.first;
    for (const char32_t end : kLastOfLength) {
      if (first > range.last || first > end) continue;
      split(first, std::min(end, range.last), use);
      first = end + 1;
    }
  }
}

char32_t take_code_point(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (length == 0 || text.size() < length) return kInvalid;
  char32_t out = length == 1 ? lead : lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) return kInvalid;
    out = out << 6 | (byte & 0x3F);
  }
  const bool overlong = length > 1 && out <= kLastOfLength[length - 2];
  if (overlong || out > kLastCodePoint || (out >= kFirstSurrogate && out <= kLastSurrogate)) return kInvalid;
  text.remove_prefix(length);
  return out;
}

void append_utf8(char32_t code_point, std::string& to) {
  uint8_t bytes[4];
  const size_t length = encode(code_point, bytes);
  for (size_t i = 0; i < length; ++i) to += static_cast<char>(bytes[i]);
}

}  // namespace mhub::constraint
