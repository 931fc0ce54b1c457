// SPDX-License-Identifier: Apache-2.0
#include "token_decoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "byte_alphabet.h"
#include "utf8.h"

namespace mhub::text {
namespace {

// Exactly <0xNN>.
std::optional<char> fallback_byte(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text.back() != '>') return std::nullopt;
  unsigned value = 0;
  for (const char c : text.substr(3, 2)) {
    const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                           : c >= 'A' && c <= 'F' ? static_cast<unsigned>(c - 'A' + 10)
                           : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a' + 10)
                                                  : 16;
    if (digit == 16) return std::nullopt;
    value = value * 16 + digit;
  }
  return static_cast<char>(value);
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t pos = 0; (pos = text.find(from, pos)) != std::string::npos; pos += to.size()) {
    text.replace(pos, from.size(), to);
  }
}

// The reference's clean-up of spaces that its pre-tokenizer put in.
void clean_up(std::string& text) {
  static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},    {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
  };
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
}

struct RunStep {
  std::string& text;
  bool first;
  bool& ends_word;

  void operator()(const ReplaceInToken& step) const {
    std::string out;
    size_t done = 0;
    step.pattern->find_all(text, [&](size_t begin, size_t end) {
      out.append(text, done, begin - done).append(step.to);
      done = end;
    });
    if (done == 0) return;
    text = out.append(text, done);
  }
  void operator()(const JoinWordPieces& step) const {
    if (!first) {
      if (text.starts_with(step.prefix)) {
        text.erase(0, step.prefix.size());
      } else {
        text.insert(0, " ");
      }
    }
    if (step.cleanup) clean_up(text);
  }
  void operator()(const JoinWords&) const {
    if (!first) text.insert(0, " ");
  }
  void operator()(const MetaspaceToSpace& step) const {
    replace_all(text, step.marker, first && !step.keep_in_first ? "" : " ");
  }
  void operator()(const WordSuffixToSpace& step) const {
    if (!text.ends_with(step.suffix)) return;
    text.erase(text.size() - step.suffix.size());
    ends_word = true;
  }
  void operator()(const StripToken& step) const {
    for (size_t i = 0; i < step.start && text.starts_with(step.content); ++i) text.erase(0, step.content.size());
    for (size_t i = 0; i < step.stop && text.ends_with(step.content); ++i) {
      text.erase(text.size() - step.content.size());
    }
  }
};

bool has_first_form(const std::vector<TokenStep>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const TokenStep& step) {
    const auto* metaspace = std::get_if<MetaspaceToSpace>(&step);
    return std::holds_alternative<JoinWordPieces>(step) || std::holds_alternative<JoinWords>(step) ||
           (metaspace && !metaspace->keep_in_first);
  });
}

}  // namespace

void TokenDecoder::Texts::reserve(size_t count, size_t bytes) {
  arena_.reserve(bytes);
  ends_.reserve(count + 1);
}
void TokenDecoder::Texts::add(std::string_view text) {
  arena_.append(text);
  ends_.push_back(static_cast<uint32_t>(arena_.size()));
}

TokenDecoder::TokenDecoder(DecoderOptions options, const std::vector<std::string_view>& token_texts)
    : options_(std::move(options)), fallback_(token_texts.size()), ends_word_(token_texts.size()) {
  size_t total = 0;
  for (const auto text : token_texts) total += text.size();
  const bool with_firsts = has_first_form(options_.steps);
  others_.reserve(token_texts.size(), total);
  if (with_firsts) firsts_.reserve(token_texts.size(), total);
  std::string text;
  const auto make = [&](size_t id, bool first) -> std::string_view {
    text.assign(token_texts[id]);
    if (options_.byte_level) {
      if (auto bytes = from_byte_alphabet(text)) text = std::move(*bytes);
    }
    bool ends_word = false;
    for (const TokenStep& step : options_.steps) std::visit(RunStep{text, first, ends_word}, step);
    ends_word_[id] = ends_word;
    if (options_.byte_fallback) {
      if (const auto byte = fallback_byte(text)) {
        text.assign(1, *byte);
        fallback_[id] = true;
      }
    }
    return text;
  };
  for (size_t id = 0; id < token_texts.size(); ++id) {
    if (with_firsts) firsts_.add(make(id, true));
    others_.add(make(id, false));
    max_token_bytes_ = std::max(max_token_bytes_, text.size());
  }
}

bool TokenDecoder::is_fallback_byte(TokenId id) const {
  return id >= 0 && static_cast<size_t>(id) < size() && fallback_[static_cast<size_t>(id)];
}

bool TokenDecoder::ends_word(TokenId id) const {
  return id >= 0 && static_cast<size_t>(id) < size() && ends_word_[static_cast<size_t>(id)];
}

DecodeState::DecodeState(const TokenDecoder& decoder)
    : decoder_(&decoder), strip_left_(decoder.options().strip_left_most) {}

void DecodeState::push_text(std::string_view text) {
  const std::string& strip = decoder_->options().strip_left;
  while (strip_left_ > 0 && !text.empty()) {
    if (text.starts_with(strip)) {
      text.remove_prefix(strip.size());
      --strip_left_;
    } else {
      strip_left_ = 0;
    }
  }
  ready_.append(text);
}

bool DecodeState::run_is_complete() {
  while (checked_ < tail_.size()) {
    const Utf8Char c = decode_utf8(tail_, checked_);
    if (c.truncated) return false;
    broken_ = broken_ || c.code_point == kInvalid;
    checked_ += c.length;
  }
  return !broken_;
}

void DecodeState::close_run() {
  if (tail_.empty()) return;
  if (run_is_complete()) {
    push_text(tail_);
  } else {
    for (size_t i = 0; i < tail_.size(); ++i) push_text(kReplacement);
  }
  tail_.clear();
  checked_ = 0;
  broken_ = false;
}

void DecodeState::push(TokenId id) {
  if (id < 0 || static_cast<size_t>(id) >= decoder_->size()) return;
  const std::string_view bytes = decoder_->bytes(id, std::exchange(first_, false));
  if (decoder_->options().byte_level) {
    tail_.append(bytes);
    const size_t incomplete = append_lossy(ready_, tail_, false);
    tail_.erase(0, tail_.size() - incomplete);
  } else if (decoder_->is_fallback_byte(id)) {
    tail_.append(bytes);
  } else {
    close_run();
    if (owes_space_) push_text(" ");
    owes_space_ = decoder_->ends_word(id);
    push_text(bytes);
  }
}

std::string DecodeState::take() {
  if (!tail_.empty()) {
    if (decoder_->options().byte_level || !run_is_complete()) return {};
    close_run();
  }
  if (ready_.ends_with(kReplacement)) return {};
  return std::exchange(ready_, {});
}

std::string DecodeState::finish() {
  if (decoder_->options().byte_level) {
    append_lossy(ready_, tail_, true);
    tail_.clear();
  } else {
    close_run();
  }
  return std::exchange(ready_, {});
}

}  // namespace mhub::text
