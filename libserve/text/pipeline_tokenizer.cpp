// SPDX-License-Identifier: Apache-2.0
#include "pipeline_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "mhub/base/check.h"
#include "unicode.h"
#include "utf8.h"

namespace mhub::text {
namespace {

// <|name|> and <｜name｜>: role and control tokens that some files do not mark special.
bool looks_like_control(std::string_view content) {
  return (content.starts_with("<|") && content.ends_with("|>")) ||
         (content.starts_with("<｜") && content.ends_with("｜>"));
}

bool ends_in_word(std::string_view text) {
  return !text.empty() && is_word(decode_utf8(text, previous_char(text, text.size())).code_point);
}
bool begins_with_word(std::string_view text) {
  return !text.empty() && is_word(decode_utf8(text, 0).code_point);
}
bool is_space_at(std::string_view text, size_t pos) {
  return (class_of(decode_utf8(text, pos).code_point) & kSpace) != 0;
}

class PipelineStreamDecoder final : public StreamDecoder {
 public:
  PipelineStreamDecoder(const TokenDecoder& decoder, const std::vector<bool>& skipped)
      : state_(decoder), skipped_(skipped) {}
  std::string push(TokenId id) override {
    if (id >= 0 && static_cast<size_t>(id) < skipped_.size() && skipped_[static_cast<size_t>(id)]) return {};
    state_.push(id);
    return state_.take();
  }
  std::string flush() override { return state_.finish(); }

 private:
  DecodeState state_;
  const std::vector<bool>& skipped_;
};

const std::vector<bool> kSkipNothing;

}  // namespace

// One text on its way to ids.
class PipelineTokenizer::Encoder {
 public:
  Encoder(const PipelineTokenizer& tokenizer, const UserMarks& user, bool spans)
      : t_(tokenizer),
        user_(user),
        raw_(spans ? tokenizer.raw_spans_ : tokenizer.raw_),
        normalized_(spans ? tokenizer.normalized_spans_ : tokenizer.normalized_) {}

  std::vector<TokenId> encode(std::string_view text) {
    cut(raw_, text, user_, [&](size_t begin, size_t end) { encode_between(text, begin, end); });
    return std::move(ids_);
  }

 private:
  // Emits the ids of added tokens found in `text`; calls `between` for what lies between them, in order.
  template <typename Between>
  void cut(const AddedTokenMatcher& matcher, std::string_view text, const UserMarks& user, const Between& between) {
    size_t done = 0;
    if (!matcher.empty()) {
      matcher.find_all(text, user, [&](const AddedTokenMatcher::Match& match) {
        const AddedToken& token = t_.parts_.added[match.token];
        if (token.single_word &&
            (ends_in_word(text.substr(0, match.begin)) || begins_with_word(text.substr(match.end)))) {
          return;
        }
        size_t begin = std::max(match.begin, done), end = match.end;
        if (token.lstrip) {
          while (begin > done && is_space_at(text, previous_char(text, begin))) begin = previous_char(text, begin);
        }
        if (token.rstrip) {
          while (end < text.size() && is_space_at(text, end)) end += decode_utf8(text, end).length;
        }
        if (begin > done) between(done, begin);
        ids_.push_back(token.id);
        done = std::max(done, end);
      });
    }
    if (done < text.size()) between(done, text.size());
  }

  void encode_between(std::string_view text, size_t begin, size_t end) {
    const std::string_view part = text.substr(begin, end - begin);
    if (t_.parts_.normalizer.leaves(part)) {
      UserMarks user = user_;
      std::vector<bool> marks;
      if (!normalized_.empty() && user_.marks && !user_.marks->empty()) {
        marks.assign(user_.marks->begin() + static_cast<std::ptrdiff_t>(begin),
                     user_.marks->begin() + static_cast<std::ptrdiff_t>(end));
        user.marks = &marks;
      }
      return encode_normalized(part, user, begin == 0);
    }
    MarkedText marked{std::string(part), {}};
    if (!normalized_.empty() && user_.marks && !user_.marks->empty()) {
      marked.marks.assign(user_.marks->begin() + static_cast<std::ptrdiff_t>(begin),
                          user_.marks->begin() + static_cast<std::ptrdiff_t>(end));
    }
    t_.parts_.normalizer.apply(marked, begin == 0);
    encode_normalized(marked.text, {&marked.marks, user_.all_marked}, begin == 0);
  }

  void encode_normalized(std::string_view text, const UserMarks& user, bool at_start) {
    cut(normalized_, text, user, [&](size_t begin, size_t end) {
      t_.parts_.pre_tokenizer.split(text.substr(begin, end - begin), at_start && begin == 0, pieces_);
      for (const std::string_view piece : pieces_.pieces) t_.parts_.model->encode(piece, ids_);
    });
  }

  const PipelineTokenizer& t_;
  const UserMarks& user_;
  const AddedTokenMatcher& raw_;
  const AddedTokenMatcher& normalized_;
  PreTokenizer::Pieces pieces_;
  std::vector<TokenId> ids_;
};

Result<std::shared_ptr<const Tokenizer>> PipelineTokenizer::create(TokenizerParts parts) {
  std::shared_ptr<PipelineTokenizer> tokenizer(new PipelineTokenizer(std::move(parts)));
  MHUB_CHECK_OK(tokenizer->index_added_tokens());
  return std::shared_ptr<const Tokenizer>(std::move(tokenizer));
}

Result<void> PipelineTokenizer::index_added_tokens() {
  const Vocabulary& vocabulary = *parts_.vocabulary;
  size_t size = vocabulary.size();
  for (const AddedToken& token : parts_.added) size = std::max(size, static_cast<size_t>(token.id) + 1);
  special_.assign(size, false);
  for (size_t i = 0; i < parts_.added.size(); ++i) {
    const AddedToken& token = parts_.added[i];
    if (token.special) special_[static_cast<size_t>(token.id)] = true;
    if (!vocabulary.contains(token.id)) MHUB_CHECK_OK(added_texts_.add(token.id, token.content, size));
    std::string content = token.content;
    if (token.normalized && !parts_.added_are_normalized) {
      MarkedText marked{token.content, {}};
      parts_.normalizer.apply(marked);
      content = std::move(marked.text);
    }
    const bool control_in_spans = token.special || looks_like_control(token.content);
    MHUB_CHECK_OK((token.normalized ? normalized_ : raw_).add(content, i, token.special));
    MHUB_CHECK_OK((token.normalized ? normalized_spans_ : raw_spans_).add(content, i, control_in_spans));
  }
  std::vector<std::string_view> texts(size);
  for (size_t id = 0; id < size; ++id) texts[id] = token_text(static_cast<TokenId>(id));
  decoder_ = std::make_unique<const TokenDecoder>(parts_.decoder, texts);
  return {};
}

std::vector<TokenId> PipelineTokenizer::encode_marked(std::string_view text, const UserMarks& user, bool spans) const {
  return Encoder(*this, user, spans).encode(text);
}

std::vector<TokenId> PipelineTokenizer::encode(std::string_view text, bool add_special_tokens,
                                               SpecialTokens specials) const {
  std::vector<TokenId> ids = encode_marked(text, {nullptr, specials == SpecialTokens::kAsText}, false);
  if (add_special_tokens) {
    ids.insert(ids.begin(), parts_.prefix.begin(), parts_.prefix.end());
    ids.insert(ids.end(), parts_.suffix.begin(), parts_.suffix.end());
  }
  return ids;
}

std::vector<TokenId> PipelineTokenizer::encode_spans(std::span<const TextSpan> spans) const {
  std::string joined;
  std::vector<bool> marks;
  for (const TextSpan& span : spans) joined.append(span.text);
  marks.reserve(joined.size());
  for (const TextSpan& span : spans) {
    marks.insert(marks.end(), span.text.size(), span.specials == SpecialTokens::kAsText);
  }
  return encode_marked(joined, {&marks, false}, true);
}

std::string PipelineTokenizer::decode(std::span<const TokenId> ids, bool skip_special_tokens) const {
  DecodeState state(*decoder_);
  for (const TokenId id : ids) {
    if (!skip_special_tokens || !is_special(id)) state.push(id);
  }
  return state.finish();
}

std::unique_ptr<StreamDecoder> PipelineTokenizer::stream_decoder(bool skip_special_tokens) const {
  return std::make_unique<PipelineStreamDecoder>(*decoder_, skip_special_tokens ? special_ : kSkipNothing);
}

std::string_view PipelineTokenizer::token_text(TokenId id) const {
  return parts_.vocabulary->contains(id) ? parts_.vocabulary->text(id) : added_texts_.text(id);
}

std::optional<TokenId> PipelineTokenizer::token_id(std::string_view token_text) const {
  TokenId id = added_texts_.find(token_text);
  if (id == kNoToken) id = parts_.vocabulary->find(token_text);
  return id == kNoToken ? std::nullopt : std::optional(id);
}

bool PipelineTokenizer::texts_are_fixed() const {
  const auto& steps = parts_.decoder.steps;
  return std::none_of(steps.begin(), steps.end(), [](const TokenStep& step) {
    return std::holds_alternative<JoinWordPieces>(step) || std::holds_alternative<JoinWords>(step) ||
           std::holds_alternative<WordSuffixToSpace>(step);
  });
}

std::string_view PipelineTokenizer::added_text(TokenId id, bool first) const {
  if (is_special(id)) return {};
  std::string_view text = decoder_->bytes(id, first);
  const std::string& strip = parts_.decoder.strip_left;
  for (size_t i = 0; first && i < parts_.decoder.strip_left_most && text.starts_with(strip); ++i) {
    text.remove_prefix(strip.size());
  }
  return text;
}

bool PipelineTokenizer::is_special(TokenId id) const {
  return id >= 0 && static_cast<size_t>(id) < special_.size() && special_[static_cast<size_t>(id)];
}

}  // namespace mhub::text
