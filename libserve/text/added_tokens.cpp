// SPDX-License-Identifier: Apache-2.0
#include "added_tokens.h"

#include <fmt/format.h>

namespace mhub::text {
namespace {
constexpr size_t kMaxAddedTokenBytes = 1024;  // bounds the work per byte of text
}

uint32_t AddedTokenMatcher::child(uint32_t node, unsigned char byte) const {
  uint32_t c = nodes_[node].first_child;
  while (c != kNone && nodes_[c].byte != byte) c = nodes_[c].next_sibling;
  return c;
}

Result<void> AddedTokenMatcher::add(std::string_view content, size_t token, bool is_control) {
  if (content.empty()) return {};
  if (content.size() > kMaxAddedTokenBytes) {
    return Error{
        ErrorCode::kBadModel,
        fmt::format("reading the added tokens: \"{}\" is over {} bytes", printable(content, 40), kMaxAddedTokenBytes),
        "this tokenizer is not supported", ""};
  }
  uint32_t node = 0;
  for (const char c : content) {
    const auto byte = static_cast<unsigned char>(c);
    uint32_t next = child(node, byte);
    if (next == kNone) {
      next = static_cast<uint32_t>(nodes_.size());
      Node fresh;
      fresh.byte = byte;
      fresh.next_sibling = nodes_[node].first_child;
      nodes_.push_back(fresh);
      nodes_[node].first_child = next;
      if (node == 0) roots_[byte] = next;
    }
    node = next;
  }
  nodes_[node].token = static_cast<uint32_t>(token);
  nodes_[node].is_control = is_control;
  return {};
}

void AddedTokenMatcher::find_all(std::string_view text, const UserMarks& user,
                                 const std::function<void(const Match&)>& on_match) const {
  for (size_t begin = 0; begin < text.size();) {
    uint32_t node = roots_[static_cast<unsigned char>(text[begin])];
    if (node == kNone) {
      ++begin;
      continue;
    }
    const bool starts_marked = user.any() && user.is_marked(begin);
    bool clean = !starts_marked;  // no marked byte so far
    uint32_t best = kNone;
    size_t best_end = begin;
    for (size_t pos = begin; node != kNone;) {
      if (user.any() && clean && user.is_marked(pos)) clean = false;
      ++pos;
      // A control token that begins in the template and runs into a user's bytes is none: a shorter one may be.
      if (nodes_[node].token != kNone && (clean || starts_marked || !nodes_[node].is_control)) {
        best = node;
        best_end = pos;
      }
      node = pos < text.size() ? child(node, static_cast<unsigned char>(text[pos])) : kNone;
    }
    if (best == kNone) {
      ++begin;
    } else if (nodes_[best].is_control && starts_marked) {
      // The reference skips the whole match; template bytes inside it are looked at again.
      ++begin;
      while (begin < best_end && user.is_marked(begin)) ++begin;
    } else {
      on_match({begin, best_end, nodes_[best].token});
      begin = best_end;
    }
  }
}

}  // namespace mhub::text
