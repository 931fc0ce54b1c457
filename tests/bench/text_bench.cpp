// SPDX-License-Identifier: Apache-2.0
// text_bench MODEL_DIR [TEXT_FILE]: load time and encode, decode and stream rates of a tokenizer, one JSON line per
// case. Without a text file: a built-in mix of prose, code, CJK and emoji. Best of five.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <string>

#include "mhub/text/chat_template.h"
#include "mhub/text/tokenizer.h"

namespace {

using mhub::text::SpecialTokens;

template <typename Work>
double best_seconds(Work work) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
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

void report(const char* name, double seconds, size_t bytes, size_t tokens) {
  fmt::print("{{\"bench\":\"{}\",\"ms\":{:.3f},\"mb_per_s\":{:.1f},\"tokens\":{},\"tokens_per_s\":{:.0f}}}\n", name,
             seconds * 1e3, static_cast<double>(bytes) / seconds / 1e6, tokens, static_cast<double>(tokens) / seconds);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: text_bench MODEL_DIR [TEXT_FILE]\n");
    return 2;
  }
  const auto loaded = mhub::text::load_tokenizer(argv[1]);
  if (!loaded) {
    fmt::print(stderr, "text_bench: {}\n", loaded.error().one_line());
    return 1;
  }
  std::string text = built_in_text(4u << 20);
  if (argc > 2) {
    std::ifstream in(argv[2], std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto& tokenizer = **loaded;
  const double load = best_seconds([&] { (void)mhub::text::load_tokenizer(argv[1]); });
  fmt::print("{{\"bench\":\"load\",\"ms\":{:.1f},\"vocab_size\":{}}}\n", load * 1e3, tokenizer.vocab_size());
  const auto ids = tokenizer.encode(text, false, SpecialTokens::kParse);
  report("encode", best_seconds([&] { (void)tokenizer.encode(text, false, SpecialTokens::kParse); }), text.size(),
         ids.size());
  const std::string chat = text.substr(0, 400);
  const size_t chat_tokens = tokenizer.encode(chat, false, SpecialTokens::kParse).size();
  report("encode_400_bytes", best_seconds([&] { (void)tokenizer.encode(chat, false, SpecialTokens::kParse); }),
         chat.size(), chat_tokens);
  report("decode", best_seconds([&] { (void)tokenizer.decode(ids, false); }), text.size(), ids.size());
  report("stream", best_seconds([&] {
           mhub::text::Detokenizer detokenizer(*loaded, true);
           for (const auto id : ids) (void)detokenizer.push(id);
           (void)detokenizer.flush();
         }),
         text.size(), ids.size());
  return 0;
}
