// SPDX-License-Identifier: Apache-2.0
#include "regex_parser.h"

#include <fmt/format.h>

#include "char_class.h"

namespace mhub::constraint {
namespace {

constexpr int kMaxDepth = 100;

class RegexParser {
 public:
  RegexParser(std::string_view text, const RegexOptions& options, Grammar& to)
      : whole_(text), text_(text), options_(options), to_(to) {}

  Result<ExprId> parse() {
    auto out = alternatives(0);
    if (out && !text_.empty()) out = refused("a ) closes nothing");
    if (out) return out;
    return refused(fmt::format("regex: {} at byte {}", out.error().message, whole_.size() - text_.size()),
                   out.error().hint);
  }

 private:
  // A piece of one alternative; anchors are no expressions.
  struct Piece {
    enum class Kind { kExpr, kBegin, kEnd } kind = Kind::kExpr;
    ExprId expr = 0;
  };

  ExprId spell(const CodePointSet& set) { return options_.spelling ? options_.spelling(to_, set) : to_.chars(set); }
  ExprId anything() { return to_.repeat(spell(CodePointSet::all()), 0, Grammar::kNoMax); }

  Result<ExprId> alternatives(int depth) {
    if (depth > kMaxDepth) return refused(fmt::format("groups are nested deeper than {}", kMaxDepth));
    std::vector<ExprId> out;
    for (;;) {
      MHUB_TRY(const ExprId one, alternative(depth));
      out.push_back(one);
      if (!text_.starts_with('|')) break;
      text_.remove_prefix(1);
    }
    return to_.choice(std::move(out));
  }

  // Anchors count at the ends of an outermost alternative; there they are also what keeps a search from matching
  // anywhere.
  Result<ExprId> alternative(int depth) {
    std::vector<Piece> pieces;
    while (!text_.empty() && text_.front() != '|' && text_.front() != ')') {
      MHUB_TRY(Piece piece, take_piece(depth));
      pieces.push_back(piece);
    }
    size_t begin = 0, end = pieces.size();
    while (begin < end && pieces[begin].kind == Piece::Kind::kBegin) ++begin;
    while (end > begin && pieces[end - 1].kind == Piece::Kind::kEnd) --end;
    const bool anchored_left = begin > 0, anchored_right = end < pieces.size();
    if (depth > 0 && (anchored_left || anchored_right)) return refused("an anchor inside a group is not supported");
    std::vector<ExprId> parts;
    if (depth == 0 && options_.search && !anchored_left) parts.push_back(anything());
    for (size_t i = begin; i < end; ++i) {
      if (pieces[i].kind != Piece::Kind::kExpr) return refused("an anchor in the middle can never match");
      parts.push_back(pieces[i].expr);
    }
    if (depth == 0 && options_.search && !anchored_right) parts.push_back(anything());
    return to_.sequence(std::move(parts));
  }

  Result<Piece> take_piece(int depth) {
    const std::string_view at = text_;
    const char32_t c = take_code_point(text_);
    Piece piece;
    switch (c) {
      case kInvalid:
        return refused("the text is not UTF-8");
      case '^':
      case '$':
        piece.kind = c == '^' ? Piece::Kind::kBegin : Piece::Kind::kEnd;
        return piece;
      case '*':
      case '+':
      case '?':
        return refused("a quantifier follows nothing");
      case '(': {
        MHUB_TRY(piece.expr, group(depth));
        break;
      }
      case '[': {
        MHUB_TRY(const CodePointSet set, take_class(text_));
        piece.expr = spell(set);
        break;
      }
      case '.':
        piece.expr = spell(any_but_newline());
        break;
      case '\\': {
        MHUB_TRY(piece, escape());
        break;
      }
      default:
        text_ = at;
        piece.expr = literal();
    }
    if (piece.kind == Piece::Kind::kExpr) MHUB_CHECK_OK(quantify(piece.expr));
    return piece;
  }

  // One character, which a quantifier may follow.
  ExprId literal() {
    const char32_t c = take_code_point(text_);
    return spell({{c, c}});
  }

  Result<ExprId> group(int depth) {
    if (text_.starts_with('?')) {
      text_.remove_prefix(1);
      if (text_.starts_with('=') || text_.starts_with('!') || text_.starts_with("<=") || text_.starts_with("<!")) {
        return refused("look-around is not supported", "no automaton of bounded size decides it");
      }
      if (text_.starts_with("P<") || text_.starts_with('<')) {
        const size_t close = text_.find('>');
        if (close == std::string_view::npos) return refused("the name of a group is not closed");
        text_.remove_prefix(close + 1);
      } else if (text_.starts_with(':')) {
        text_.remove_prefix(1);
      } else {
        return refused("this kind of group is not supported");
      }
    }
    MHUB_TRY(const ExprId inner, alternatives(depth + 1));
    if (!text_.starts_with(')')) return refused("a group is not closed");
    text_.remove_prefix(1);
    return inner;
  }

  Result<Piece> escape() {
    if (text_.empty()) return refused("a backslash stands at the end");
    const char c = text_.front();
    Piece piece;
    if (const auto set = class_of_letter(static_cast<unsigned char>(c))) {
      text_.remove_prefix(1);
      piece.expr = spell(*set);
      return piece;
    }
    if (c == 'A' || c == 'Z' || c == 'z') {
      text_.remove_prefix(1);
      piece.kind = c == 'A' ? Piece::Kind::kBegin : Piece::Kind::kEnd;
      return piece;
    }
    if (c == 'b' || c == 'B') return refused("word boundaries are not supported");
    if (c >= '1' && c <= '9') return refused("back-references are not supported", "they are no regular language");
    if (c == 'p' || c == 'P') return refused("Unicode properties are not supported");
    MHUB_TRY(const char32_t character, take_escaped(text_));
    piece.expr = spell({{character, character}});
    return piece;
  }

  Result<void> quantify(ExprId& expr) {
    for (int stacked = 0; !text_.empty(); ++stacked) {
      uint32_t min = 0, max = Grammar::kNoMax;
      const std::string_view at = text_;
      const char c = text_.front();
      if (c == '+') min = 1;
      if (c == '?') max = 1;
      if (c == '*' || c == '+' || c == '?') {
        text_.remove_prefix(1);
      } else if (c == '{') {
        text_.remove_prefix(1);
        const auto low = take_number(text_);
        const bool comma = text_.starts_with(',');
        if (comma) text_.remove_prefix(1);
        const auto high = comma ? take_number(text_) : low;
        if ((!low && !high) || !text_.starts_with('}')) {
          text_ = at;
          return refused("a { that is no quantifier is to be written \\{");
        }
        text_.remove_prefix(1);
        min = low.value_or(0);
        max = high.value_or(Grammar::kNoMax);
        if (max < min) return refused("a quantifier runs backwards");
      } else {
        return {};
      }
      if (stacked > 0) return refused("a quantifier follows a quantifier");
      if (text_.starts_with('?')) text_.remove_prefix(1);  // lazy: the same language
      if (text_.starts_with('+')) return refused("possessive quantifiers are not supported");
      expr = to_.repeat(expr, min, max);
    }
    return {};
  }

  const std::string_view whole_;
  std::string_view text_;
  const RegexOptions& options_;
  Grammar& to_;
};

}  // namespace

Result<ExprId> parse_regex(std::string_view text, const RegexOptions& options, Grammar& to) {
  return RegexParser(text, options, to).parse();
}

}  // namespace mhub::constraint
