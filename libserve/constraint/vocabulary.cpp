// SPDX-License-Identifier: Apache-2.0
#include "mhub/constraint/vocabulary.h"

#include <algorithm>

namespace mhub::constraint {

void TokenTexts::add(std::string_view text) {
  bytes += text;
  ends.push_back(static_cast<uint32_t>(bytes.size()));
}

std::string_view TokenTexts::operator[](size_t token) const {
  const uint32_t begin = token > 0 ? ends[token - 1] : 0;
  return std::string_view(bytes).substr(begin, ends[token] - begin);
}

bool TokenTexts::valid() const {
  return std::is_sorted(ends.begin(), ends.end()) && (ends.empty() ? 0 : ends.back()) == bytes.size();
}

SortedTokens::SortedTokens(const TokenTexts& texts) : texts_(texts) {
  for (size_t id = 0; id < texts.size(); ++id) {
    if (!texts[id].empty()) ids_.push_back(static_cast<int32_t>(id));
    longest_ = std::max(longest_, texts[id].size());
  }
  std::sort(ids_.begin(), ids_.end(),
            [&](int32_t a, int32_t b) { return texts[static_cast<size_t>(a)] < texts[static_cast<size_t>(b)]; });
  shared_.resize(ids_.size(), 0);
  for (size_t i = 1; i < ids_.size(); ++i) {
    const auto before = text(i - 1), here = text(i);
    const auto end = std::mismatch(before.begin(), before.end(), here.begin(), here.end()).second;
    shared_[i] = static_cast<uint32_t>(end - here.begin());
  }
}

Vocabulary::Vocabulary(TokenTexts texts, TokenTexts first)
    : texts_(std::move(texts)), first_(std::move(first)), sorted_(texts_), sorted_first_(first_) {}

std::string_view Vocabulary::text(int32_t token, bool first) const {
  const TokenTexts& texts = first && first_differs() ? first_ : texts_;
  return token >= 0 && static_cast<size_t>(token) < texts.size() ? texts[static_cast<size_t>(token)]
                                                                 : std::string_view();
}

}  // namespace mhub::constraint
