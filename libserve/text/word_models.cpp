// SPDX-License-Identifier: Apache-2.0
#include "word_models.h"

#include "utf8.h"

namespace mhub::text {
namespace {

PieceTrie trie_of(const Vocabulary& vocabulary) {
  std::vector<PieceTrie::Entry> entries;
  entries.reserve(vocabulary.count());
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (!vocabulary.text(id).empty()) entries.emplace_back(vocabulary.text(id), id);
  }
  return PieceTrie(std::move(entries));
}

}  // namespace

WordPieceModel::WordPieceModel(const Vocabulary& vocabulary, const WordPieceOptions& options)
    : trie_(trie_of(vocabulary)),
      start_(trie_.walk(PieceTrie::kRoot, options.start_prefix)),
      continuing_(trie_.walk(PieceTrie::kRoot, options.continuing_prefix)),
      max_chars_(options.max_chars),
      unk_(options.unk) {}

void WordPieceModel::encode(std::string_view piece, std::vector<TokenId>& out) const {
  const size_t first = out.size();
  bool known = count_code_points(piece) <= max_chars_;
  for (size_t pos = 0; known && pos < piece.size();) {
    size_t length = 0;
    TokenId id = kNoToken;
    const PieceTrie::Node from = pos == 0 ? start_ : continuing_;
    if (from != PieceTrie::kNowhere) {
      trie_.for_each_prefix(from, piece.substr(pos), [&](size_t n, TokenId found) {
        length = n;
        id = found;
      });
    }
    known = id != kNoToken;
    out.push_back(id);
    pos += length;
  }
  if (known) return;
  out.resize(first);
  if (unk_ != kNoToken) out.push_back(unk_);
}

void WordLevelModel::encode(std::string_view piece, std::vector<TokenId>& out) const {
  const TokenId id = vocabulary_->find(piece);
  if (id != kNoToken || unk_ != kNoToken) out.push_back(id != kNoToken ? id : unk_);
}

}  // namespace mhub::text
