// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mhub/base/json.h"
#include "mhub/text/tokenizer.h"

namespace mhub::test {

// Makes tokenizer.json texts with a byte-level vocabulary: ids 0..255 are the bytes, then one per merge, then the added
// tokens. Every member may be changed before json() is called.
struct SmallVocabulary {
  std::vector<std::pair<std::string, std::string>> merges;  // in the printable alphabet
  struct Added {
    std::string content;
    bool special = true, normalized = false, lstrip = false, rstrip = false, single_word = false;
  };
  std::vector<Added> added;
  Json pre_tokenizer = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  Json normalizer, post_processor;
  Json decoder = {{"type", "ByteLevel"}};
  Json model = {{"type", "BPE"}};  // vocab and merges are filled in

  // Trains merges on a text: the most frequent pair inside words first, `count` of them.
  void train(const std::string& text, int count);
  Json json() const;
  text::TokenId added_id(size_t i) const { return static_cast<text::TokenId>(256 + merges.size() + i); }
};

// A Llama-2-style vocabulary of characters with byte fallback: <unk> <s> </s>, <0x00>..<0xFF>, then `pieces`.
Json character_vocabulary(const std::vector<std::string>& pieces, const std::vector<std::string>& merges);

std::shared_ptr<const text::Tokenizer> make_tokenizer(const Json& json, const std::string& config = "");

}  // namespace mhub::test
