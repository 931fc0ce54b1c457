// SPDX-License-Identifier: Apache-2.0
#include "gguf_pre_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "scanners.h"

namespace mhub::text {
namespace {

using namespace patterns;

constexpr std::string_view kDeepseekLetters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";
constexpr std::string_view kDeepseekPunctuation = "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+";
constexpr std::string_view kTrailingSpaces = R"(\s+$)";
constexpr std::string_view kDigits = R"(\p{N}+)";
constexpr std::string_view kThreeDigits = "[0-9][0-9][0-9]";
constexpr std::string_view kFalconPunctuation = R"([\p{P}\$\+<=>\^~\|`]+)";
constexpr std::string_view kDefaultPunctuation = R"([\p{P}\$\+<=>\^~\|]+)";
constexpr std::string_view kBloom = R"( ?[^(\s|.,!?…。，、।۔،)]+)";
constexpr std::string_view kJais2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})";
constexpr std::string_view kBailing =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kSeedCoder =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kMiniCpm5 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kExaoneMoe =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kYoutuScripts =
    "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+";
constexpr std::string_view kYoutu =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGroupedDigits = R"(\d{1,3}(?=(?:\d{3})*\b))";
constexpr std::string_view kDigitTriples = R"((?=(\d{3})+(?!\d)))";
constexpr std::string_view kNewlineRuns = R"([^\n]+|[\n]+)";
constexpr std::string_view kChameleon[] = {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
                                           "([\\t\\n]|    |  )", R"(\p{N})", R"([\p{P}!-/:-@\[-`{-~])"};

struct Meaning {
  std::vector<std::string_view> names;
  std::vector<std::string_view> patterns;  // Isolated splits in a row
  bool nfc = false;
  bool ignore_merges = false;
  bool add_bos = false;
};

std::vector<Meaning> meanings() {
  return {
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"},
       {kLlama3},
       false,
       true,
       true},
      {{"dbrx", "smaug-bpe", "chatglm-bpe", "glm4"}, {kLlama3}},
      {{"qwen2", "deepseek-r1-qwen", "stablelm2", "megrez", "kormo", "f2llmv2"}, {kQwen2}, true},
      {{"hunyuan", "solar-open", "grok-2"}, {kQwen2}},
      {{"qwen35"}, {kQwen35}, true},
      {{"gpt-2",   "gpt2",       "phi-2",           "mpt",         "olmo",       "jais",        "jina-es",
        "jina-de", "jina-v2-es", "jina-v2-de",      "gigachat",    "a.x-4.0",    "mellum",      "modern-bert",
        "exaone4", "trillion",   "granite-docling", "roberta-bpe", "jina-v1-en", "jina-v2-code"},
       {kGpt2}},
      {{"smollm", "starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"}, {kDigit, kGpt2}},
      {{"command-r"}, {kDigit, kGpt2}, true},
      {{"deepseek-v3", "deepseek-r1", "hunyuan-dense", "joyai-llm", "hy_v4"},
       {kDeepseek3Digits, kDeepseek3Cjk, kDeepseek3Words}},
      {{"deepseek-llm"}, {kNewline, kDeepseekLetters, kDeepseekPunctuation, kTrailingSpaces, kDeepseekCjk, kDigits}},
      {{"deepseek-coder"}, {kNewline, kSpacedLetters, kSpacedPunctuation, kDeepseekCjk, kDigit}},
      {{"tekken"}, {kTekken}, false, true, true},
      {{"gpt-4o", "o200k", "llama4", "kanana2", "talkie", "minimax-m2"}, {kO200k}},
      {{"granite-embed-multi-97m"}, {kO200k}, false, true},
      {{"tiny_aya", "cohere2moe"}, {kGroupedDigits, kO200k}},
      {{"falcon"}, {kFalconPunctuation, kGpt2, kThreeDigits}},
      {{"default"}, {kDefaultPunctuation, kGpt2, kDigits, kThreeDigits}},
      {{"bloom", "poro-chat", "gpt3-finnish"}, {kBloom}},
      {{"viking"}, {kBloom, kDigit}},
      {{"jais-2"}, {kJais2}},
      {{"bailingmoe", "bailingmoe2", "llada-moe"}, {kBailing}},
      {{"seed-coder"}, {kSeedCoder}},
      {{"minicpm5"}, {kDeepseek3Digits, kMiniCpm5}, false, true},
      {{"exaone-moe"}, {kExaoneMoe}},
      {{"youtu"}, {kYoutuScripts, kYoutu}, false, true},
      {{"superbpe"}, {kDigits, kDigitTriples}},
      {{"laguna"}, {kNewlineRuns, kQwen2}},
      {{"chameleon"},
       {kChameleon[0], kChameleon[1], kChameleon[2], kChameleon[3], kChameleon[4], kGpt2},
       false,
       false,
       true},
  };
}

}  // namespace

Result<GgufPreTokenizer> gguf_pre_tokenizer(std::string_view name) {
  for (const Meaning& meaning : meanings()) {
    if (std::find(meaning.names.begin(), meaning.names.end(), name) == meaning.names.end()) continue;
    std::vector<PreTokenizerStep> steps;
    for (const std::string_view regex : meaning.patterns) {
      MHUB_TRY(auto pattern, Pattern::regex(regex));
      steps.emplace_back(SplitStep{std::move(pattern), SplitBehavior::kIsolated, false});
    }
    return GgufPreTokenizer{PreTokenizer(std::move(steps)), meaning.nfc, meaning.ignore_merges, meaning.add_bos};
  }
  return Error{
      ErrorCode::kBadModel,
      fmt::format("reading the GGUF vocabulary: tokenizer.ggml.pre \"{}\" is not supported", printable(name, 40)),
      "use the model's safetensors form with its tokenizer.json", ""};
}

}  // namespace mhub::text
