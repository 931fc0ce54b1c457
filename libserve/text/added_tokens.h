// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/text/tokenizer.h"

namespace mhub::text {

struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;
  bool special = false;
};

// Which bytes of a text are a user's, and so may not spell control tokens. Empty marks: none (or all, see all_marked).
struct UserMarks {
  const std::vector<bool>* marks = nullptr;
  bool all_marked = false;
  bool is_marked(size_t pos) const { return all_marked || (marks && !marks->empty() && (*marks)[pos]); }
  bool any() const { return all_marked || (marks && !marks->empty()); }
};

// Finds added tokens in text, leftmost-longest, as the reference tokenizers do. Immutable after build.
class AddedTokenMatcher {
 public:
  // token: index into the list; is_control: not to be matched in a user's bytes.
  // Errors (kBadModel): an added token over 1 KiB.
  Result<void> add(std::string_view content, size_t token, bool is_control);
  bool empty() const { return nodes_.size() <= 1; }

  struct Match {
    size_t begin, end;  // the spelled token, without the spaces that lstrip and rstrip swallow
    size_t token;
  };
  // Calls on_match for the matches in order.
  void find_all(std::string_view text, const UserMarks& user, const std::function<void(const Match&)>& on_match) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    uint32_t first_child = kNone, next_sibling = kNone;
    uint32_t token = kNone;
    unsigned char byte = 0;
    bool is_control = false;
  };
  uint32_t child(uint32_t node, unsigned char byte) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::vector<uint32_t> roots_ = std::vector<uint32_t>(256, kNone);
};

}  // namespace mhub::text
