// SPDX-License-Identifier: Apache-2.0
// The two ways a precompiled character map is applied: tokenizers' (per character cluster) and sentencepiece's own.
#include <utf8proc.h>

#include <vector>

#include "added_tokens.h"
#include "marked_writer.h"
#include "normalizer_steps.h"
#include "utf8.h"

namespace mhub::text {
namespace {

constexpr size_t kLongestMappedCluster = 5;  // bytes; longer clusters are mapped character by character
constexpr std::string_view kSpaceSymbol = "▁";

void put_mapped(std::string_view text, size_t begin, size_t end, const Charsmap& map, Writer& out) {
  if (const auto match = map.shortest(text.substr(begin, end - begin))) {
    out.put(match->to, begin, end);
  } else {
    out.copy(begin, end);
  }
}

void put_cluster(std::string_view text, size_t begin, size_t end, const Charsmap& map, Writer& out) {
  if (end - begin <= kLongestMappedCluster && map.shortest(text.substr(begin, end - begin))) {
    return put_mapped(text, begin, end, map, out);
  }
  while (begin < end) {
    const size_t length = decode_utf8(text, begin).length;
    put_mapped(text, begin, begin + length, map, out);
    begin += length;
  }
}

// Writes what sentencepiece writes: spaces folded and escaped.
class PieceWriter {
 public:
  PieceWriter(const SentencePieceRules& rules, bool at_start, Writer& out)
      : rules_(rules),
        out_(out),
        wants_dummy_(rules.add_dummy_prefix && (at_start || !rules.dummy_prefix_only_first)),
        after_space_(rules.remove_extra_whitespaces) {}

  void put(std::string_view text, size_t begin, size_t end) {
    while (after_space_ && text.starts_with(' ')) text.remove_prefix(1);
    if (text.empty()) return;
    if (!wrote_ && wants_dummy_ && !rules_.whitespace_as_suffix) out_.put(space(), 0, 0);
    wrote_ = true;
    for (size_t pos = 0; pos < text.size();) {
      const size_t space = std::min(text.find(' ', pos), text.size());
      if (space > pos) {
        put_pending();
        out_.put(text.substr(pos, space - pos), begin, end);
      }
      // A space that ends the text may have to go, so it waits for what follows.
      for (pos = space; pos < text.size() && text[pos] == ' '; ++pos) pending_.emplace_back(begin, end);
    }
    after_space_ = rules_.remove_extra_whitespaces && text.ends_with(' ');
  }
  void finish() {
    if (!rules_.remove_extra_whitespaces) put_pending();
    if (wrote_ && wants_dummy_ && rules_.whitespace_as_suffix) out_.put(space(), 0, 0);
  }

 private:
  std::string_view space() const { return rules_.escape_whitespaces ? kSpaceSymbol : std::string_view(" "); }
  void put_pending() {
    for (const auto& [begin, end] : pending_) out_.put(space(), begin, end);
    pending_.clear();
  }

  const SentencePieceRules& rules_;
  Writer& out_;
  std::vector<std::pair<size_t, size_t>> pending_;
  bool wants_dummy_, after_space_;
  bool wrote_ = false;
};

}  // namespace

MarkedText apply_step(const MarkedText& source, const PrecompiledMap& step) {
  Writer out(source);
  const std::string_view text = source.text;
  size_t begin = 0;
  utf8proc_int32_t state = 0, previous = -1;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text, pos);
    const auto code_point = static_cast<utf8proc_int32_t>(c.code_point == kInvalid ? 0xFFFD : c.code_point);
    if (previous >= 0 && utf8proc_grapheme_break_stateful(previous, code_point, &state)) {
      put_cluster(text, begin, pos, *step.map, out);
      begin = pos;
    }
    previous = code_point;
    pos += c.length;
  }
  put_cluster(text, begin, text.size(), *step.map, out);
  return out.take();
}

MarkedText apply_step(const MarkedText& source, const SentencePieceRules& rules, bool at_start) {
  Writer out(source);
  const std::string_view text = source.text;
  std::vector<AddedTokenMatcher::Match> verbatim;
  if (rules.verbatim && !rules.verbatim->empty()) {
    rules.verbatim->find_all(text, {}, [&](const AddedTokenMatcher::Match& match) { verbatim.push_back(match); });
  }
  PieceWriter writer(rules, at_start, out);
  size_t next = 0;
  for (size_t pos = 0; pos < text.size();) {
    if (next < verbatim.size() && verbatim[next].begin <= pos) {
      const auto& match = verbatim[next++];
      if (match.begin == pos) {
        writer.put(text.substr(pos, match.end - pos), pos, match.end);
        pos = match.end;
        continue;
      }
    }
    if (rules.map) {
      if (const auto match = rules.map->longest(text.substr(pos))) {
        writer.put(match->to, pos, pos + match->length);
        pos += match->length;
        continue;
      }
    }
    const Utf8Char c = decode_utf8(text, pos);
    const size_t length = c.code_point == kInvalid ? 1 : c.length;
    writer.put(c.code_point == kInvalid ? kReplacement : text.substr(pos, length), pos, pos + length);
    pos += length;
  }
  writer.finish();
  return out.take();
}

}  // namespace mhub::text
