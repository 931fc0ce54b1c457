// SPDX-License-Identifier: Apache-2.0
#include "unigram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "utf8.h"

namespace mhub::text {

Result<std::unique_ptr<const TokenModel>> UnigramModel::create(const Vocabulary& vocabulary,
                                                               const std::vector<UnigramPiece>& pieces,
                                                               UnigramOptions options) {
  auto model = std::make_unique<UnigramModel>();
  model->options_ = options;
  model->scores_.assign(vocabulary.size(), 0);
  std::vector<PieceTrie::Entry> entries;
  entries.reserve(pieces.size());
  for (const UnigramPiece& piece : pieces) {
    const std::string_view text = vocabulary.text(piece.id);
    if (!std::isfinite(piece.score)) {
      return Error{ErrorCode::kBadModel,
                   fmt::format("reading the vocabulary: the score of \"{}\" is not finite", printable(text, 40)),
                   "the tokenizer file is damaged; download it again", ""};
    }
    if (text.empty()) continue;
    model->scores_[static_cast<size_t>(piece.id)] = piece.score;
    entries.emplace_back(text, piece.id);
  }
  model->trie_ = PieceTrie(std::move(entries));
  for (unsigned byte = 0; byte < 256; ++byte) model->byte_ids_[byte] = vocabulary.find(fmt::format("<0x{:02X}>", byte));
  return std::unique_ptr<const TokenModel>(std::move(model));
}

void UnigramModel::encode(std::string_view piece, std::vector<TokenId>& out) const {
  struct Step {
    double score = 0;
    uint32_t begin = UINT32_MAX;  // of the last part; UINT32_MAX: not reached yet
    TokenId id = kNoToken;        // kNoToken: a character outside the vocabulary
  };
  std::vector<Step> best(piece.size() + 1);
  const auto offer = [&](size_t begin, size_t end, TokenId id, double score) {
    Step& step = best[end];
    if (step.begin != UINT32_MAX && !(score > step.score)) return;
    step = {options_.float_scores ? static_cast<double>(static_cast<float>(score)) : score,
            static_cast<uint32_t>(begin), id};
  };
  for (size_t begin = 0; begin < piece.size();) {
    const double so_far = best[begin].score;
    const size_t length = decode_utf8(piece, begin).length;
    bool char_is_known = false;
    trie_.for_each_prefix(PieceTrie::kRoot, piece.substr(begin), [&](size_t n, TokenId id) {
      offer(begin, begin + n, id, so_far + scores_[static_cast<size_t>(id)]);
      char_is_known = char_is_known || n == length;
    });
    if (!char_is_known) offer(begin, begin + length, kNoToken, so_far + options_.unk_score);
    begin += length;
  }
  std::vector<std::pair<size_t, TokenId>> parts;  // (begin, id), last first
  for (size_t end = piece.size(); end > 0; end = best[end].begin) parts.emplace_back(best[end].begin, best[end].id);
  for (size_t i = parts.size(); i > 0;) {
    --i;
    if (parts[i].second != kNoToken && parts[i].second != options_.unk) {
      out.push_back(parts[i].second);
      continue;
    }
    const size_t begin = parts[i].first;
    while (i > 0 && (parts[i - 1].second == kNoToken || parts[i - 1].second == options_.unk)) --i;
    add_unknown(piece.substr(begin, (i > 0 ? parts[i - 1].first : piece.size()) - begin), out);
  }
}

void UnigramModel::add_unknown(std::string_view text, std::vector<TokenId>& out) const {
  const auto byte_id = [&](char c) { return byte_ids_[static_cast<unsigned char>(c)]; };
  if (options_.byte_fallback && std::all_of(text.begin(), text.end(), [&](char c) { return byte_id(c) != kNoToken; })) {
    for (const char c : text) out.push_back(byte_id(c));
  } else if (options_.unk != kNoToken) {
    out.push_back(options_.unk);
  }
}

}  // namespace mhub::text
