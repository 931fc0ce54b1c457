// SPDX-License-Identifier: Apache-2.0
#include "bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <queue>

#include "byte_alphabet.h"
#include "utf8.h"

namespace mhub::text {
namespace {

constexpr size_t kShortPiece = 48;  // up to here a scan for the best pair beats the queue

constexpr uint64_t kNeighbourBits = 1ull << 22;
constexpr uint32_t kTabledChars = 0x10000;

uint64_t pair_key(TokenId left, TokenId right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}
uint64_t mix(uint64_t key) {
  key *= 0x9E3779B97F4A7C15ull;
  return key ^ key >> 32;
}

}  // namespace

Result<std::unique_ptr<const TokenModel>> BpeModel::create(const Vocabulary& vocabulary,
                                                           const std::vector<Merge>& merges, BpeOptions options) {
  auto model = std::make_unique<BpeModel>();
  MHUB_CHECK_OK(model->prepare(vocabulary, std::move(options)));
  MHUB_CHECK_OK(model->add_merges(merges));
  model->find_neighbours();
  return std::unique_ptr<const TokenModel>(std::move(model));
}

Result<std::unique_ptr<const TokenModel>> BpeModel::create(const Vocabulary& vocabulary,
                                                           const std::vector<RankedPiece>& pieces, BpeOptions options) {
  auto model = std::make_unique<BpeModel>();
  MHUB_CHECK_OK(model->prepare(vocabulary, std::move(options)));
  model->add_splits(pieces);
  model->find_neighbours();
  return std::unique_ptr<const TokenModel>(std::move(model));
}

Result<void> BpeModel::prepare(const Vocabulary& vocabulary, BpeOptions options) {
  vocabulary_ = &vocabulary;
  options_ = std::move(options);
  if (options_.unk_token) {
    unk_ = vocabulary.find(*options_.unk_token);
    if (unk_ == kNoToken) {
      return Error{ErrorCode::kBadModel,
                   fmt::format("reading the tokenizer: unk_token \"{}\" is not in the vocabulary",
                               printable(*options_.unk_token, 40)),
                   "the tokenizer file is damaged; download it again", ""};
    }
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string name;
    if (options_.alphabet == BpeAlphabet::kBytes) {
      append_byte_symbol(name, static_cast<unsigned char>(byte));
    } else {
      name = fmt::format("<0x{:02X}>", byte);
    }
    byte_ids_[byte] = vocabulary.find(name);
  }
  if (options_.alphabet == BpeAlphabet::kCharacters) {
    char_ids_.assign(kTabledChars, kNoToken);
    for (size_t i = 0; i < vocabulary.size(); ++i) {
      const std::string_view text = vocabulary.text(static_cast<TokenId>(i));
      if (text.empty() || text.size() > 3) continue;
      const Utf8Char c = decode_utf8(text, 0);
      if (c.code_point < kTabledChars && c.length == text.size()) char_ids_[c.code_point] = static_cast<TokenId>(i);
    }
  }
  return {};
}

Result<void> BpeModel::add_merges(const std::vector<Merge>& merges) {
  pairs_.assign(std::bit_ceil(merges.size() * 2 + 16), {});
  const size_t prefix = options_.continuing_prefix.size();
  std::string joined;
  TokenId guess = 0;  // products mostly follow each other in the vocabulary
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const TokenId left_id = vocabulary_->find(left);
    const TokenId right_id = vocabulary_->find(right);
    joined.assign(left).append(right.substr(std::min(prefix, right.size())));
    TokenId product = ++guess;
    if (!vocabulary_->contains(guess) || vocabulary_->text(guess) != joined) product = vocabulary_->find(joined);
    if (left_id == kNoToken || right_id == kNoToken || product == kNoToken) {
      return Error{
          ErrorCode::kBadModel,
          fmt::format("reading the merges: number {} (\"{}\" + \"{}\") names a token that is not in the vocabulary",
                      rank, printable(left, 40), printable(right, 40)),
          "the tokenizer file is damaged; download it again", ""};
    }
    guess = product;
    insert_pair(left_id, right_id, {static_cast<uint32_t>(rank), product});
  }
  return {};
}

// The texts that may be merged. A text outside the filter is none of them, which saves most look-ups.
struct BpeModel::Mergeable {
  static constexpr uint64_t kBits = 1ull << 22;
  explicit Mergeable(size_t size) : ids(size), filter(kBits / 64) {}
  void add(TokenId id, std::string_view text) {
    ids[static_cast<size_t>(id)] = true;
    const uint64_t bit = hash_bytes(text) & (kBits - 1);
    filter[bit / 64] |= 1ull << bit % 64;
  }
  bool may_hold(std::string_view text) const {
    const uint64_t bit = hash_bytes(text) & (kBits - 1);
    return (filter[bit / 64] >> bit % 64 & 1) != 0;
  }
  std::vector<bool> ids;
  std::vector<uint64_t> filter;
};

TokenId BpeModel::symbol_of(std::string_view text, const Mergeable& mergeable) {
  const bool is_char = decode_utf8(text, 0).length == text.size();
  if (!is_char && !mergeable.may_hold(text)) return kNoToken;
  const TokenId id = vocabulary_->find(text);
  if (id != kNoToken && mergeable.ids[static_cast<size_t>(id)]) return id;
  if (!is_char || id != kNoToken) return kNoToken;  // a control token of one character is no symbol
  const auto first = static_cast<TokenId>(vocabulary_->size());
  TokenId unlisted = unlisted_chars_.find(text);
  if (unlisted == kNoToken) {
    unlisted = static_cast<TokenId>(unlisted_chars_.size());
    if (!unlisted_chars_.add(unlisted, text, kMaxVocabulary)) return kNoToken;
    const uint32_t code_point = decode_utf8(text, 0).code_point;
    if (code_point < char_ids_.size()) char_ids_[code_point] = first + unlisted;
  }
  return first + unlisted;
}

void BpeModel::add_splits(const std::vector<RankedPiece>& pieces) {
  Mergeable mergeable(vocabulary_->size());
  for (const RankedPiece& piece : pieces) mergeable.add(piece.id, vocabulary_->text(piece.id));
  std::vector<Pair> found;
  found.reserve(pieces.size() * 2);
  for (const RankedPiece& piece : pieces) {
    const std::string_view text = vocabulary_->text(piece.id);
    if (text.empty()) continue;
    for (size_t cut = decode_utf8(text, 0).length; cut < text.size(); cut += decode_utf8(text, cut).length) {
      const TokenId left = symbol_of(text.substr(0, cut), mergeable);
      const TokenId right = left == kNoToken ? kNoToken : symbol_of(text.substr(cut), mergeable);
      if (right != kNoToken) found.push_back({left, right, {piece.rank, piece.id}});
    }
  }
  pairs_.assign(std::bit_ceil(found.size() * 2 + 16), {});
  for (const Pair& pair : found) insert_pair(pair.left, pair.right, pair.product);
}

void BpeModel::insert_pair(TokenId left, TokenId right, Product product) {
  const uint64_t key = pair_key(left, right);
  const size_t mask = pairs_.size() - 1;
  size_t slot = mix(key) & mask;
  while (pairs_[slot].pair != kNoPair && pairs_[slot].pair != key) slot = (slot + 1) & mask;
  pairs_[slot] = {key, product};
}

const BpeModel::Product* BpeModel::find_pair(TokenId left, TokenId right) const {
  const uint64_t key = pair_key(left, right);
  const size_t mask = pairs_.size() - 1;
  for (size_t slot = mix(key) & mask; pairs_[slot].pair != kNoPair; slot = (slot + 1) & mask) {
    if (pairs_[slot].pair == key) return &pairs_[slot].product;
  }
  return nullptr;
}

void BpeModel::encode(std::string_view piece, std::vector<TokenId>& out) const {
  if (piece.empty()) return;
  if (options_.ignore_merges) {
    const TokenId whole = options_.alphabet == BpeAlphabet::kBytes ? vocabulary_->find(to_byte_alphabet(piece))
                                                                   : vocabulary_->find(piece);
    if (whole != kNoToken) {
      out.push_back(whole);
      return;
    }
  }
  std::vector<TokenId> ids;
  ids.reserve(piece.size());
  if (options_.continuing_prefix.empty() && options_.word_suffix.empty()) {
    first_symbols(piece, ids);
  } else {
    first_affixed_symbols(piece, ids);
  }
  // No merge crosses two neighbours that stand beside each other in no product, so the parts between are on their own.
  size_t kept = 0;
  for (size_t begin = 0; begin < ids.size();) {
    size_t end = begin + 1;
    while (end < ids.size() && (neighbours_.empty() || may_join(ids[end - 1], ids[end]))) ++end;
    const size_t merged = merge(std::span(ids).subspan(begin, end - begin));
    std::copy_n(ids.begin() + static_cast<std::ptrdiff_t>(begin), merged,
                ids.begin() + static_cast<std::ptrdiff_t>(kept));
    kept += merged;
    begin = end;
  }
  ids.resize(kept);
  if (unlisted_chars_.count() > 0) replace_unlisted(ids);
  out.insert(out.end(), ids.begin(), ids.end());
}

size_t BpeModel::merge(std::span<TokenId> ids) const {
  if (ids.size() < 2) return ids.size();
  return ids.size() <= kShortPiece ? merge_short(ids) : merge_long(ids);
}

bool BpeModel::may_join(TokenId left, TokenId right) const {
  const uint64_t bit = mix(pair_key(left, right)) & (neighbours_.size() * 64 - 1);
  return (neighbours_[bit / 64] >> bit % 64 & 1) != 0;
}

void BpeModel::find_neighbours() {
  if (options_.alphabet != BpeAlphabet::kCharacters || !options_.continuing_prefix.empty() ||
      !options_.word_suffix.empty()) {
    return;
  }
  neighbours_.assign(kNeighbourBits / 64, 0);
  std::vector<TokenId> symbols;
  std::vector<bool> seen(vocabulary_->size());
  for (const PairSlot& slot : pairs_) {
    if (slot.pair == kNoPair || seen[static_cast<size_t>(slot.product.id)]) continue;
    seen[static_cast<size_t>(slot.product.id)] = true;
    symbols.clear();
    first_symbols(vocabulary_->text(slot.product.id), symbols);
    for (size_t i = 1; i < symbols.size(); ++i) {
      const uint64_t bit = mix(pair_key(symbols[i - 1], symbols[i])) & (kNeighbourBits - 1);
      neighbours_[bit / 64] |= 1ull << bit % 64;
    }
  }
}

void BpeModel::first_symbols(std::string_view piece, std::vector<TokenId>& out) const {
  bool unknown_open = false;
  if (options_.alphabet == BpeAlphabet::kBytes) {
    for (const char c : piece) {
      const TokenId id = byte_ids_[static_cast<unsigned char>(c)];
      if (id != kNoToken) {
        out.push_back(id);
        unknown_open = false;
      } else if (unk_ != kNoToken && !(options_.fuse_unk && unknown_open)) {
        out.push_back(unk_);
        unknown_open = true;
      }
    }
    return;
  }
  for (size_t pos = 0; pos < piece.size();) {
    const Utf8Char c = decode_utf8(piece, pos);
    const std::string_view text = piece.substr(pos, c.length);
    TokenId id = kNoToken;
    if (c.code_point < char_ids_.size()) {
      id = char_ids_[c.code_point];
    } else {
      id = vocabulary_->find(text);
      const TokenId unlisted = id == kNoToken ? unlisted_chars_.find(text) : kNoToken;
      if (unlisted != kNoToken) id = static_cast<TokenId>(vocabulary_->size()) + unlisted;
    }
    if (id != kNoToken) {
      out.push_back(id);
      unknown_open = false;
    } else {
      add_unknown_char(text, unknown_open, out);
    }
    pos += c.length;
  }
}

void BpeModel::first_affixed_symbols(std::string_view piece, std::vector<TokenId>& out) const {
  const bool bytes = options_.alphabet == BpeAlphabet::kBytes;
  bool unknown_open = false;
  std::string symbol;
  for (size_t pos = 0; pos < piece.size();) {
    const size_t length = bytes ? 1 : decode_utf8(piece, pos).length;
    const std::string_view text = piece.substr(pos, length);
    symbol.assign(pos == 0 ? "" : options_.continuing_prefix);
    symbol.append(bytes ? to_byte_alphabet(text) : std::string(text));
    pos += length;
    if (pos == piece.size()) symbol.append(options_.word_suffix);
    const TokenId id = vocabulary_->find(symbol);
    if (id != kNoToken) {
      out.push_back(id);
      unknown_open = false;
    } else {
      add_unknown_char(text, unknown_open, out);
    }
  }
}

void BpeModel::replace_unlisted(std::vector<TokenId>& ids) const {
  const auto first = static_cast<TokenId>(vocabulary_->size());
  if (std::none_of(ids.begin(), ids.end(), [&](TokenId id) { return id >= first; })) return;
  std::vector<TokenId> out;
  bool unknown_open = false;
  for (const TokenId id : ids) {
    if (id >= first) {
      add_unknown_char(unlisted_chars_.text(id - first), unknown_open, out);
    } else if (id != unk_ || !(options_.fuse_unk && unknown_open)) {
      out.push_back(id);
      unknown_open = id == unk_;
    }
  }
  ids = std::move(out);
}

void BpeModel::add_unknown_char(std::string_view text, bool& unknown_open, std::vector<TokenId>& out) const {
  const auto byte_id = [&](char c) { return byte_ids_[static_cast<unsigned char>(c)]; };
  if (options_.byte_fallback && std::all_of(text.begin(), text.end(), [&](char c) { return byte_id(c) != kNoToken; })) {
    for (const char c : text) out.push_back(byte_id(c));
    unknown_open = false;
  } else if (unk_ != kNoToken && !(options_.fuse_unk && unknown_open)) {
    out.push_back(unk_);
    unknown_open = true;
  }
}

size_t BpeModel::merge_short(std::span<TokenId> ids) const {
  constexpr uint32_t kNone = UINT32_MAX;
  std::array<Product, kShortPiece> next{};  // product of ids[i] and ids[i + 1]
  size_t n = ids.size();
  const auto look_up = [&](size_t i) {
    const Product* p = i + 1 < n ? find_pair(ids[i], ids[i + 1]) : nullptr;
    next[i] = p ? *p : Product{kNone, kNoToken};
  };
  for (size_t i = 0; i < n; ++i) look_up(i);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (next[i].rank < next[best].rank) best = i;
    }
    if (next[best].rank == kNone) break;
    ids[best] = next[best].id;
    for (size_t i = best + 1; i + 1 < n; ++i) {
      ids[i] = ids[i + 1];
      next[i] = next[i + 1];
    }
    --n;
    look_up(best);
    if (best > 0) look_up(best - 1);
  }
  return n;
}

size_t BpeModel::merge_long(std::span<TokenId> ids) const {
  struct Candidate {
    uint32_t rank;
    int32_t left;
    TokenId left_id, right_id;  // a candidate whose symbols have changed since is stale
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };
  const auto n = static_cast<int32_t>(ids.size());
  std::vector<Symbol> symbols(ids.size());
  for (int32_t i = 0; i < n; ++i) {
    symbols[static_cast<size_t>(i)] = {ids[static_cast<size_t>(i)], i - 1, i + 1 < n ? i + 1 : -1};
  }
  const auto symbol = [&](int32_t i) -> Symbol& { return symbols[static_cast<size_t>(i)]; };
  std::vector<Candidate> initial;
  const auto candidate = [&](int32_t left) -> std::optional<Candidate> {
    if (left < 0 || symbol(left).next < 0) return std::nullopt;
    const TokenId a = symbol(left).id, b = symbol(symbol(left).next).id;
    const Product* p = find_pair(a, b);
    return p ? std::optional(Candidate{p->rank, left, a, b}) : std::nullopt;
  };
  for (int32_t i = 0; i < n; ++i) {
    if (const auto c = candidate(i)) initial.push_back(*c);
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>{}, std::move(initial));
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbol(best.left);
    if (left.id != best.left_id || left.next < 0 || symbol(left.next).id != best.right_id) continue;
    Symbol& right = symbol(left.next);
    left.id = find_pair(best.left_id, best.right_id)->id;
    right.id = kNoToken;
    left.next = right.next;
    if (left.next >= 0) symbol(left.next).previous = best.left;
    if (const auto c = candidate(best.left)) queue.push(*c);
    if (const auto c = candidate(left.previous)) queue.push(*c);
  }
  size_t kept = 0;
  for (int32_t i = 0; i >= 0; i = symbol(i).next) ids[kept++] = symbol(i).id;
  return kept;
}

}  // namespace mhub::text
