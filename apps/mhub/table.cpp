// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <algorithm>

#include "mhub/base/check.h"
#include "mhub/base/error.h"

namespace mhub::apps {
namespace {

// Code points: one column each is right for all but wide scripts, which only misalign.
size_t width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, size_t to, bool right) {
  const std::string space(to - std::min(to, width(text)), ' ');
  return right ? space + text : text + space;
}

}  // namespace

void Table::add(std::vector<std::string> cells) {
  MHUB_CHECK(cells.size() == columns_.size());
  for (std::string& cell : cells) cell = printable(cell, 1024);
  rows_.push_back(std::move(cells));
}

std::string Table::text(bool colour) const {
  std::vector<size_t> widths;
  std::vector<std::string> titles;
  for (size_t c = 0; c < columns_.size(); ++c) {
    titles.push_back(columns_[c].title);
    widths.push_back(width(columns_[c].title));
    for (const auto& row : rows_) widths[c] = std::max(widths[c], width(row[c]));
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string out;
    for (size_t c = 0; c < cells.size(); ++c) {
      if (c > 0) out += "  ";
      out += padded(cells[c], widths[c], columns_[c].right);
    }
    while (out.ends_with(' ')) out.pop_back();
    return out;
  };
  std::string out = colour ? "\x1b[1m" + line(titles) + "\x1b[0m" : line(titles);
  for (const auto& row : rows_) out += "\n" + line(row);
  return out;
}

}  // namespace mhub::apps
