// SPDX-License-Identifier: Apache-2.0
#include "small_vocabulary.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <sstream>

#include "byte_alphabet.h"
#include "tokenizer_json.h"
#include "utf8.h"

namespace mhub::test {

void SmallVocabulary::train(const std::string& text, int count) {
  std::vector<std::vector<std::string>> words;
  std::istringstream in(text);
  for (std::string word; in >> word;) {
    std::vector<std::string> symbols;
    for (const char c : " " + word) symbols.push_back(text::to_byte_alphabet(std::string(1, c)));
    words.push_back(symbols);
  }
  for (int n = 0; n < count; ++n) {
    std::map<std::pair<std::string, std::string>, int> counts;
    for (const auto& word : words) {
      for (size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
    }
    if (counts.empty()) return;
    auto best = counts.begin();
    for (auto it = counts.begin(); it != counts.end(); ++it) {
      if (it->second > best->second) best = it;
    }
    const auto pair = best->first;
    merges.push_back(pair);
    for (auto& word : words) {
      for (size_t i = 0; i + 1 < word.size(); ++i) {
        if (word[i] != pair.first || word[i + 1] != pair.second) continue;
        word[i] += word[i + 1];
        word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
  }
}

Json SmallVocabulary::json() const {
  Json vocab = Json::object(), merge_lines = Json::array(), added_tokens = Json::array();
  for (int byte = 0; byte < 256; ++byte) vocab[text::to_byte_alphabet(std::string(1, static_cast<char>(byte)))] = byte;
  for (const auto& [left, right] : merges) {
    vocab[left + right] = vocab.size();
    merge_lines.push_back(left + " " + right);
  }
  for (size_t i = 0; i < added.size(); ++i) {
    const Added& a = added[i];
    added_tokens.push_back({{"id", added_id(i)},
                            {"content", a.content},
                            {"special", a.special},
                            {"normalized", a.normalized},
                            {"lstrip", a.lstrip},
                            {"rstrip", a.rstrip},
                            {"single_word", a.single_word}});
  }
  Json full_model = model;
  full_model["vocab"] = vocab;
  full_model["merges"] = merge_lines;
  return {{"version", "1.0"},    {"added_tokens", added_tokens},      {"normalizer", normalizer},
          {"model", full_model}, {"pre_tokenizer", pre_tokenizer},    {"post_processor", post_processor},
          {"decoder", decoder},  {"truncation", {{"max_length", 5}}}, {"padding", nullptr}};
}

Json character_vocabulary(const std::vector<std::string>& pieces, const std::vector<std::string>& merges) {
  Json vocab = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    vocab[name] = 3 + byte;
  }
  for (const std::string& piece : pieces) vocab[piece] = vocab.size();
  Json added = Json::array();
  for (int id = 0; id < 3; ++id) {
    const char* names[] = {"<unk>", "<s>", "</s>"};
    added.push_back({{"id", id}, {"content", names[id]}, {"special", true}, {"normalized", false}});
  }
  return {{"added_tokens", added},
          {"normalizer",
           {{"type", "Sequence"},
            {"normalizers",
             {{{"type", "Prepend"}, {"prepend", "▁"}},
              {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}}}}},
          {"pre_tokenizer", nullptr},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single",
             {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
            {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}}},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders",
             {{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
              {{"type", "ByteFallback"}},
              {{"type", "Fuse"}},
              {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"vocab", vocab},
            {"merges", merges}}}};
}

std::shared_ptr<const text::Tokenizer> make_tokenizer(const Json& json, const std::string& config) {
  auto loaded = text::tokenizer_from_json(json.dump(), config);
  EXPECT_TRUE(loaded.has_value()) << (loaded ? "" : loaded.error().one_line());
  return loaded ? *loaded : nullptr;
}

}  // namespace mhub::test
