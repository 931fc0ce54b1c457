// SPDX-License-Identifier: Apache-2.0
#include "token_decoder.h"

#include <algorithm>
#include <optional>

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

}  // namespace

TokenDecoder::TokenDecoder(DecoderOptions options, const std::vector<std::string_view>& token_texts)
    : options_(std::move(options)), fallback_(token_texts.size()) {
  size_t total = 0;
  for (const auto text : token_texts) total += text.size();
  arena_.reserve(total);
  ends_.reserve(token_texts.size() + 1);
  std::string text;
  for (size_t id = 0; id < token_texts.size(); ++id) {
    text.assign(token_texts[id]);
    if (options_.byte_level) {
      if (auto bytes = from_byte_alphabet(text)) text = std::move(*bytes);
    }
    for (const auto& [from, to] : options_.replacements) replace_all(text, from, to);
    if (options_.byte_fallback) {
      if (const auto byte = fallback_byte(text)) {
        text.assign(1, *byte);
        fallback_[id] = true;
      }
    }
    arena_.append(text);
    ends_.push_back(static_cast<uint32_t>(arena_.size()));
    max_token_bytes_ = std::max(max_token_bytes_, text.size());
  }
}

std::string_view TokenDecoder::bytes(TokenId id) const {
  if (id < 0 || static_cast<size_t>(id) >= size()) return {};
  const auto i = static_cast<size_t>(id);
  return std::string_view(arena_).substr(ends_[i], ends_[i + 1] - ends_[i]);
}

bool TokenDecoder::is_fallback_byte(TokenId id) const {
  return id >= 0 && static_cast<size_t>(id) < size() && fallback_[static_cast<size_t>(id)];
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
  const std::string_view bytes = decoder_->bytes(id);
  if (decoder_->options().byte_level) {
    tail_.append(bytes);
    const size_t incomplete = append_lossy(ready_, tail_, false);
    tail_.erase(0, tail_.size() - incomplete);
  } else if (decoder_->is_fallback_byte(id)) {
    tail_.append(bytes);
  } else {
    close_run();
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
