// SPDX-License-Identifier: Apache-2.0
#include "text.h"

#include <algorithm>

#include "../unicode.h"
#include "../utf8.h"

namespace mhub::text::jinja {

Text Text::from_user(std::string bytes) {
  Text out(std::move(bytes));
  out.add_range(0, static_cast<uint32_t>(out.size()));
  return out;
}

Text Text::as_markup() const {
  Text out = *this;
  out.markup_ = true;
  return out;
}

void Text::add_range(uint32_t begin, uint32_t end) {
  if (begin == end) return;
  if (!user_.empty() && user_.back().end == begin) {
    user_.back().end = end;
  } else {
    user_.push_back({begin, end});
  }
}

void Text::append(const Text& other) {
  const auto offset = static_cast<uint32_t>(size());
  const std::vector<Range> ranges = other.user_;  // `other` may be *this
  bytes_.append(std::string(other.bytes_));
  for (const Range& r : ranges) add_range(r.begin + offset, r.end + offset);
}

void Text::append_user(std::string_view bytes) {
  const auto offset = static_cast<uint32_t>(size());
  bytes_.append(bytes);
  add_range(offset, static_cast<uint32_t>(size()));
}

Text Text::slice(size_t begin, size_t end) const {
  Text out(bytes_.substr(begin, end - begin));
  const auto from = static_cast<uint32_t>(begin), to = static_cast<uint32_t>(end);
  auto r =
      std::lower_bound(user_.begin(), user_.end(), from, [](const Range& a, uint32_t pos) { return a.end <= pos; });
  for (; r != user_.end() && r->begin < to; ++r)
    out.add_range(std::max(r->begin, from) - from, std::min(r->end, to) - from);
  return out;
}

Text Text::strip(const std::string* set, bool left, bool right) const {
  const auto removable = [&](size_t pos, size_t length) {
    if (!set) return is_python_space(decode_utf8(bytes_, pos).code_point);
    const std::string_view wanted = view().substr(pos, length);
    for (size_t p = 0; p < set->size(); p += decode_utf8(*set, p).length) {
      if (std::string_view(*set).substr(p, decode_utf8(*set, p).length) == wanted) return true;
    }
    return false;
  };
  size_t begin = 0, end = size();
  while (left && begin < end && removable(begin, decode_utf8(bytes_, begin).length)) {
    begin += decode_utf8(bytes_, begin).length;
  }
  while (right && end > begin) {
    const size_t last = previous_char(bytes_, end);
    if (!removable(last, end - last)) break;
    end = last;
  }
  return slice(begin, end);
}

Text Text::replace(const Text& from, const Text& to, size_t most) const {
  Text out;
  size_t done = 0, n = 0;
  if (from.empty()) {  // Python puts `to` before every character and at the end
    for (size_t pos = 0; n < most; ++n) {
      out.append(to);
      if (pos >= size()) {
        ++n;
        break;
      }
      const size_t length = decode_utf8(bytes_, pos).length;
      out.append(slice(pos, pos + length));
      pos += length;
      done = pos;
    }
    out.append(slice(done, size()));
    return out;
  }
  for (size_t hit; n < most && (hit = bytes_.find(from.bytes_, done)) != std::string::npos; ++n) {
    out.append(slice(done, hit));
    out.append(to);
    done = hit + from.size();
  }
  out.append(slice(done, size()));
  return out;
}

std::vector<Text> Text::split(std::string_view separator, size_t most, bool from_right) const {
  std::vector<Text> out;
  if (from_right) {
    size_t end = size();
    while (out.size() < most) {
      const size_t hit = end < separator.size() ? std::string::npos : bytes_.rfind(separator, end - separator.size());
      if (hit == std::string::npos) break;
      out.push_back(slice(hit + separator.size(), end));
      end = hit;
    }
    out.push_back(slice(0, end));
    std::reverse(out.begin(), out.end());
    return out;
  }
  size_t begin = 0;
  for (size_t hit; out.size() < most && (hit = bytes_.find(separator, begin)) != std::string::npos;) {
    out.push_back(slice(begin, hit));
    begin = hit + separator.size();
  }
  out.push_back(slice(begin, size()));
  return out;
}

std::vector<Text> Text::split_spaces(size_t most) const {
  std::vector<Text> out;
  const auto space_at = [&](size_t pos) { return is_python_space(decode_utf8(bytes_, pos).code_point); };
  size_t pos = 0;
  while (true) {
    while (pos < size() && space_at(pos)) pos += decode_utf8(bytes_, pos).length;
    if (pos >= size()) return out;
    if (out.size() >= most) {
      out.push_back(slice(pos, size()).strip(nullptr, false, true));
      return out;
    }
    const size_t begin = pos;
    while (pos < size() && !space_at(pos)) pos += decode_utf8(bytes_, pos).length;
    out.push_back(slice(begin, pos));
  }
}

std::vector<Text> Text::split_lines(bool keep_ends) const {
  std::vector<Text> out;
  size_t begin = 0;
  for (size_t pos = 0; pos < size();) {
    const Utf8Char c = decode_utf8(bytes_, pos);
    size_t next = pos + c.length;
    const uint32_t v = c.code_point;
    if ((v >= 0x0A && v <= 0x0D) || (v >= 0x1C && v <= 0x1E) || v == 0x85 || v == 0x2028 || v == 0x2029) {
      if (v == '\r' && next < size() && bytes_[next] == '\n') ++next;
      out.push_back(slice(begin, keep_ends ? next : pos));
      begin = next;
    }
    pos = next;
  }
  if (begin < size()) out.push_back(slice(begin, size()));
  return out;
}

Text Text::escaped() const {
  Text out;
  size_t done = 0;
  for (size_t pos = 0; pos < size(); ++pos) {
    std::string_view entity;
    switch (bytes_[pos]) {
      case '&':
        entity = "&amp;";
        break;
      case '<':
        entity = "&lt;";
        break;
      case '>':
        entity = "&gt;";
        break;
      case '\'':
        entity = "&#39;";
        break;
      case '"':
        entity = "&#34;";
        break;
      default:
        continue;
    }
    out.append(slice(done, pos));
    out.append(made(std::string(entity), slice(pos, pos + 1).has_user_bytes()));
    done = pos + 1;
  }
  out.append(slice(done, size()));
  return out.as_markup();
}

}  // namespace mhub::text::jinja
