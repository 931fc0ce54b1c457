// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <vector>

#include "mhub/text/tokenizer.h"

namespace mhub::test {

// One token per byte, and four special ones: enough vocabulary to test everything above a tokenizer.
class ByteTokenizer final : public text::Tokenizer {
 public:
  static constexpr text::TokenId kBos = 256, kEos = 257, kStart = 258, kEnd = 259;

  static std::vector<text::TokenId> ids(std::string_view text) {
    std::vector<text::TokenId> out;
    for (const char c : text) out.push_back(static_cast<unsigned char>(c));
    return out;
  }

  std::vector<text::TokenId> encode(std::string_view text, bool add_special_tokens,
                                    text::SpecialTokens specials) const override {
    std::vector<text::TokenId> out;
    if (add_special_tokens) out.push_back(kBos);
    while (!text.empty()) {
      bool found = false;
      for (size_t i = 0; i < kSpecials.size() && specials == text::SpecialTokens::kParse && !found; ++i) {
        if (!text.starts_with(kSpecials[i])) continue;
        out.push_back(kBos + static_cast<text::TokenId>(i));
        text.remove_prefix(kSpecials[i].size());
        found = true;
      }
      if (found) continue;
      out.push_back(static_cast<unsigned char>(text.front()));
      text.remove_prefix(1);
    }
    return out;
  }
  std::vector<text::TokenId> encode_spans(std::span<const text::TextSpan> spans) const override {
    std::vector<text::TokenId> out;
    for (const auto& span : spans) {
      const auto part = encode(span.text, false, span.specials);
      out.insert(out.end(), part.begin(), part.end());
    }
    return out;
  }
  std::string decode(std::span<const text::TokenId> ids, bool skip_special_tokens) const override {
    const auto decoder = stream_decoder(skip_special_tokens);
    std::string out;
    for (const auto id : ids) out += decoder->push(id);
    return out + decoder->flush();
  }
  std::unique_ptr<text::StreamDecoder> stream_decoder(bool skip_special_tokens) const override {
    return std::make_unique<Decoder>(skip_special_tokens);
  }
  int64_t vocab_size() const override { return 260; }
  std::string_view token_text(text::TokenId id) const override {
    if (id >= kBos && id <= kEnd) return kSpecials[static_cast<size_t>(id - kBos)];
    return id >= 0 && id < 256 ? std::string_view(&kBytes[static_cast<size_t>(id)], 1) : std::string_view();
  }
  std::optional<text::TokenId> token_id(std::string_view text) const override {
    for (size_t i = 0; i < kSpecials.size(); ++i) {
      if (text == kSpecials[i]) return kBos + static_cast<text::TokenId>(i);
    }
    if (text.size() == 1) return static_cast<unsigned char>(text[0]);
    return std::nullopt;
  }
  bool is_special(text::TokenId id) const override { return id >= kBos; }
  std::optional<text::TokenId> bos_token() const override { return kBos; }
  std::optional<text::TokenId> eos_token() const override { return kEos; }
  size_t max_token_bytes() const override { return 12; }

 private:
  static constexpr std::array<std::string_view, 4> kSpecials = {"<s>", "</s>", "<|im_start|>", "<|im_end|>"};
  static constexpr std::array<char, 256> kBytes = [] {
    std::array<char, 256> out{};
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(i);
    return out;
  }();

  class Decoder final : public text::StreamDecoder {
   public:
    explicit Decoder(bool skip) : skip_(skip) {}
    std::string push(text::TokenId id) override {
      if (id >= kBos) return flush() + (skip_ ? "" : std::string(kSpecials[static_cast<size_t>(id - kBos)]));
      const auto byte = static_cast<unsigned char>(id);
      std::string out;
      if (byte < 0x80 || byte >= 0xC0) out = flush();  // a new character: an unfinished one is broken
      held_ += static_cast<char>(byte);
      const auto lead = static_cast<unsigned char>(held_[0]);
      const size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 0;
      if (length == 0) return out + flush();
      return held_.size() < length ? out : out + std::exchange(held_, {});
    }
    std::string flush() override { return std::exchange(held_, {}).empty() ? "" : "\xEF\xBF\xBD"; }

   private:
    bool skip_;
    std::string held_;
  };
};

}  // namespace mhub::test
