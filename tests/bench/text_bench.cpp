// SPDX-License-Identifier: Apache-2.0
// text_bench MODEL_DIR [TEXT_FILE...]: load time of a tokenizer, encode, decode and stream rates on each text in
// documents of about 4 KiB, and the time to render a chat of 100 messages, one JSON line per case, best of five.
// Without text files: a built-in mix of prose, code, CJK and emoji. text_peer.py puts the tokenizers package beside it.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "mhub/text/chat_template.h"
#include "mhub/text/tokenizer.h"

namespace {

using mhub::text::SpecialTokens;
using mhub::text::TokenId;

template <typename Work>
double best_seconds(Work work) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    const std::clock_t start = std::clock();  // of the process: a busy machine does not count
    work();
    best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  return best;
}

std::string built_in_text(size_t bytes) {
  constexpr std::string_view kMix =
      "It was the best of times, it was the worst of times; it was the age of wisdom, it was the age of foolishness.\n"
      "for (size_t i = 0; i < values.size(); ++i) total += values[i] * 3.14159;\n"
      "北京的著名景点有哪些？故宫、天坛和颐和园。 Grüße, naïve café 👋🏽 2025-03-04\n";
  std::string out;
  while (out.size() < bytes) out += kMix;
  return out;
}

// Cut behind the first newline past every 4 KiB, as text_peer.py does.
std::vector<std::string_view> documents_of(std::string_view text) {
  constexpr size_t kBytes = 4096;
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t newline = text.size() > kBytes ? text.find('\n', kBytes) : std::string_view::npos;
    const size_t end = newline == std::string_view::npos ? text.size() : newline + 1;
    out.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return out;
}

struct Case {
  std::string name;
  double seconds;
  size_t bytes, tokens;
};
void report(const std::string& text, const Case& c) {
  fmt::print(
      "{{\"bench\":\"{}\",\"text\":\"{}\",\"ms\":{:.3f},\"mb_per_s\":{:.1f},\"tokens\":{},\"tokens_per_s\":{:.0f}}}\n",
      c.name, text, c.seconds * 1e3, static_cast<double>(c.bytes) / c.seconds / 1e6, c.tokens,
      static_cast<double>(c.tokens) / c.seconds);
}

void measure(const std::shared_ptr<const mhub::text::Tokenizer>& tokenizer, const std::string& name,
             const std::string& text) {
  const auto documents = documents_of(text);
  std::vector<std::vector<TokenId>> ids;
  size_t tokens = 0;
  for (const auto document : documents) {
    ids.push_back(tokenizer->encode(document, false, SpecialTokens::kParse));
    tokens += ids.back().size();
  }
  const auto encode = [&] {
    for (const auto document : documents) (void)tokenizer->encode(document, false, SpecialTokens::kParse);
  };
  const auto decode = [&] {
    for (const auto& document : ids) (void)tokenizer->decode(document, false);
  };
  const auto stream = [&] {
    for (const auto& document : ids) {
      mhub::text::Detokenizer detokenizer(tokenizer, true);
      for (const auto id : document) (void)detokenizer.push(id);
      (void)detokenizer.flush();
    }
  };
  report(name, {"encode", best_seconds(encode), text.size(), tokens});
  report(name, {"decode", best_seconds(decode), text.size(), tokens});
  report(name, {"stream", best_seconds(stream), text.size(), tokens});
}

constexpr const char* kChatMl =
    "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}";

// The model's own template, or ChatML.
bool measure_render(const char* dir) {
  const auto sources = mhub::text::read_chat_templates(dir);
  const bool own = sources && !sources->empty();
  const auto compiled = mhub::text::ChatTemplate::compile(own ? sources->front().source : kChatMl);
  if (!compiled) return false;
  mhub::text::RenderRequest request;
  request.messages = mhub::OrderedJson::array();
  for (int i = 0; i < 100; ++i) {
    request.messages.push_back(
        {{"role", i % 2 == 0 ? "user" : "assistant"},
         {"content", "Message " + std::to_string(i) + ": " + built_in_text(300).substr(0, 300)}});
  }
  request.bos_token = "<s>";
  request.eos_token = "</s>";
  const auto once = compiled->render(request);
  if (!once) {
    fmt::print(stderr, "text_bench: {}\n", once.error().one_line());
    return false;
  }
  const double seconds = best_seconds([&] { (void)compiled->render(request); });
  fmt::print("{{\"bench\":\"render_100_messages\",\"template\":\"{}\",\"ms\":{:.3f},\"bytes\":{}}}\n",
             own ? "the model's" : "ChatML", seconds * 1e3, once->text.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: text_bench MODEL_DIR [TEXT_FILE...]\n");
    return 2;
  }
  const auto loaded = mhub::text::load_tokenizer(argv[1]);
  if (!loaded) {
    fmt::print(stderr, "text_bench: {}\n", loaded.error().one_line());
    return 1;
  }
  const double load = best_seconds([&] { (void)mhub::text::load_tokenizer(argv[1]); });
  fmt::print("{{\"bench\":\"load\",\"ms\":{:.1f},\"vocab_size\":{}}}\n", load * 1e3, (*loaded)->vocab_size());
  if (argc == 2) measure(*loaded, "mix", built_in_text(1u << 20));
  for (int i = 2; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    measure(*loaded, std::filesystem::path(argv[i]).stem(), std::string(std::istreambuf_iterator<char>(in), {}));
  }
  return measure_render(argv[1]) ? 0 : 1;
}
