// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string_view>

#include "normalizer.h"

namespace mhub::text {

// Appends to a MarkedText; marks are kept only when the source has them.
class Writer {
 public:
  explicit Writer(const MarkedText& source) : source_(source) {
    out_.text.reserve(source.text.size() + 16);
    if (has_marks()) out_.marks.reserve(source.text.size() + 16);
  }
  bool has_marks() const { return !source_.marks.empty(); }
  void copy(size_t begin, size_t end) {
    out_.text.append(source_.text, begin, end - begin);
    if (has_marks()) {
      out_.marks.insert(out_.marks.end(), source_.marks.begin() + static_cast<std::ptrdiff_t>(begin),
                        source_.marks.begin() + static_cast<std::ptrdiff_t>(end));
    }
  }
  // `text` made from source bytes [begin, end).
  void put(std::string_view text, size_t begin, size_t end) {
    out_.text.append(text);
    if (!has_marks()) return;
    const auto first = source_.marks.begin();
    const bool marked = std::find(first + static_cast<std::ptrdiff_t>(begin), first + static_cast<std::ptrdiff_t>(end),
                                  true) != first + static_cast<std::ptrdiff_t>(end);
    out_.marks.insert(out_.marks.end(), text.size(), marked);
  }
  MarkedText take() { return std::move(out_); }

 private:
  const MarkedText& source_;
  MarkedText out_;
};

}  // namespace mhub::text
