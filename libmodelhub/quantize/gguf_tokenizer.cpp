// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <set>

#include "hf_files.h"

namespace mhub::quantize {
namespace {

using Strings = std::vector<std::string_view>;
using Integers = std::vector<int64_t>;

enum TokenType : int64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5 };

constexpr const char* kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// How a `tokenizer.ggml.pre` cuts text, in the words of tokenizer.json.
struct PreTokenizer {
  std::string_view name;
  bool digits = false;            // each digit apart before anything else
  const char* pattern = nullptr;  // null: GPT-2's, inside ByteLevel
  bool nfc = false;
  bool ignore_merges = false;
  bool add_bos = false;  // unless the file says otherwise
};
constexpr std::array<PreTokenizer, 10> kPreTokenizers = {{
    {"gpt-2", false, nullptr, false, false, false},
    {"gpt2", false, nullptr, false, false, false},
    {"smollm", true, nullptr, false, false, false},
    {"starcoder", true, nullptr, false, false, false},
    {"refact", true, nullptr, false, false, false},
    {"llama-bpe", false, kLlama3Pattern, false, true, true},
    {"llama-v3", false, kLlama3Pattern, false, true, true},
    {"llama3", false, kLlama3Pattern, false, true, true},
    {"qwen2", false, kQwen2Pattern, true, false, false},
    {"deepseek-r1-qwen", false, kQwen2Pattern, true, false, false},
}};

Error bad_vocabulary(const formats::GgufFile& gguf, const std::string& what, std::string hint = "") {
  if (hint.empty()) hint = "get a good copy of the model, or one that this build supports";
  return {ErrorCode::kBadModel,
          fmt::format("reading the vocabulary of {}: {}", printable(gguf.table.files[0]->path().string(), 1024), what),
          std::move(hint), ""};
}

template <typename T>
const T* get(const formats::GgufFile& gguf, std::string_view key) {
  const auto* value = gguf.find(key);
  return value ? std::get_if<T>(value) : nullptr;
}

OrderedJson byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

OrderedJson pre_tokenizer_json(const PreTokenizer& pre) {
  OrderedJson steps = OrderedJson::array();
  if (pre.digits) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  if (pre.pattern) {
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", pre.pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  steps.push_back(byte_level(pre.pattern == nullptr));
  if (steps.size() == 1) return steps[0];
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

OrderedJson added_token(int64_t id, std::string_view content, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

OrderedJson post_processor_json(const Strings& tokens, std::optional<int64_t> bos) {
  if (!bos) return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
  const std::string text(tokens[static_cast<size_t>(*bos)]);
  const OrderedJson start = {{"SpecialToken", {{"id", text}, {"type_id", 0}}}};
  const auto sequence = [](const char* id, int type) {
    return OrderedJson{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  OrderedJson json;
  json["type"] = "TemplateProcessing";
  json["single"] = OrderedJson::array({start, sequence("A", 0)});
  json["pair"] = OrderedJson::array({start, sequence("A", 0), sequence("B", 1)});
  json["special_tokens"][text] = {{"id", text}, {"ids", {*bos}}, {"tokens", {text}}};
  return json;
}

// The chat template, or the list of named ones.
OrderedJson chat_template_json(const formats::GgufFile& gguf) {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  OrderedJson named = OrderedJson::array();
  for (auto it = gguf.metadata.lower_bound(kKey); it != gguf.metadata.end() && it->first.starts_with(kKey); ++it) {
    const auto* text = std::get_if<std::string>(&it->second);
    if (!text) continue;
    if (it->first == kKey) named.push_back({{"name", "default"}, {"template", *text}});
    if (it->first.size() > kKey.size() && it->first[kKey.size()] == '.') {
      named.push_back({{"name", it->first.substr(kKey.size() + 1)}, {"template", *text}});
    }
  }
  if (named.empty()) return nullptr;
  return named.size() == 1 && named[0]["name"] == "default" ? named[0]["template"] : named;
}

struct Vocabulary {
  const Strings* tokens = nullptr;
  const Strings* merges = nullptr;
  const Integers* types = nullptr;
  const PreTokenizer* pre = nullptr;
};

Result<Vocabulary> read_vocabulary(const formats::GgufFile& gguf) {
  const auto model = gguf.string("tokenizer.ggml.model");
  if (!model) return bad_vocabulary(gguf, "key tokenizer.ggml.model is missing");
  if (*model != "gpt2") {
    return bad_vocabulary(gguf, fmt::format("tokenizer.ggml.model \"{}\" is not supported", printable(*model, 32)),
                          "this build writes byte-level BPE (gpt2); quantize the model's safetensors version instead");
  }
  Vocabulary v;
  v.tokens = get<Strings>(gguf, "tokenizer.ggml.tokens");
  v.merges = get<Strings>(gguf, "tokenizer.ggml.merges");
  v.types = get<Integers>(gguf, "tokenizer.ggml.token_type");
  if (!v.tokens || !v.merges) return bad_vocabulary(gguf, "tokenizer.ggml.tokens or tokenizer.ggml.merges is missing");
  if (v.types && v.types->size() != v.tokens->size()) {
    return bad_vocabulary(gguf, fmt::format("{} token types for {} tokens", v.types->size(), v.tokens->size()));
  }
  const auto name = gguf.string("tokenizer.ggml.pre");
  for (const auto& pre : kPreTokenizers) {
    if (name == pre.name) v.pre = &pre;
  }
  if (!v.pre) {
    return bad_vocabulary(gguf, fmt::format("pre-tokenizer \"{}\" is not known", printable(name.value_or(""), 64)),
                          "quantize the model's safetensors version instead");
  }
  return v;
}

}  // namespace

Result<TokenizerFiles> tokenizer_files(const formats::GgufFile& gguf) {
  MHUB_TRY(const auto v, read_vocabulary(gguf));
  const auto count = static_cast<int64_t>(v.tokens->size());
  const auto type_of = [&](int64_t id) { return v.types ? (*v.types)[static_cast<size_t>(id)] : kNormal; };

  OrderedJson vocab = OrderedJson::object(), added = OrderedJson::array();
  std::set<std::string_view> seen;
  for (int64_t id = 0; id < count; ++id) {
    const auto text = (*v.tokens)[static_cast<size_t>(id)];
    const int64_t type = type_of(id);
    if (type == kUnused) continue;  // padding rows
    if (text.empty() || !seen.insert(text).second) {
      return bad_vocabulary(gguf, fmt::format("token {} is empty or a repetition: \"{}\"", id, printable(text, 64)));
    }
    if (type == kControl || type == kUserDefined || type == kUnknown)
      added.push_back(added_token(id, text, type != kUserDefined));
    vocab.get_ref<OrderedJson::object_t&>().emplace_back(std::string(text),
                                                         OrderedJson(id));  // linear: ids are new keys
  }
  OrderedJson merges = OrderedJson::array();
  for (const auto merge : *v.merges) {
    const size_t space = merge.find(' ');
    if (space == 0 || space == std::string_view::npos || space + 1 == merge.size() ||
        merge.find(' ', space + 1) != std::string_view::npos) {
      return bad_vocabulary(gguf,
                            fmt::format("merge {} is not two pieces: \"{}\"", merges.size(), printable(merge, 64)));
    }
    merges.push_back(merge);
  }

  const auto special = [&](const char* key) -> std::optional<int64_t> {
    const auto id = gguf.integer(std::string("tokenizer.ggml.") + key);
    return id && *id >= 0 && *id < count ? id : std::nullopt;
  };
  const auto bos = special("bos_token_id");
  const bool add_bos = bos && gguf.boolean("tokenizer.ggml.add_bos_token").value_or(v.pre->add_bos);

  TokenizerFiles files;
  auto& t = files.tokenizer;
  t["version"] = "1.0";
  t["truncation"] = nullptr;
  t["padding"] = nullptr;
  t["added_tokens"] = std::move(added);
  t["normalizer"] = v.pre->nfc ? OrderedJson{{"type", "NFC"}} : OrderedJson(nullptr);
  t["pre_tokenizer"] = pre_tokenizer_json(*v.pre);
  t["post_processor"] = post_processor_json(*v.tokens, add_bos ? bos : std::nullopt);
  t["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  auto& model = t["model"];
  model["type"] = "BPE";
  for (const char* key : {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"})
    model[key] = nullptr;
  model["fuse_unk"] = false;
  model["byte_fallback"] = false;
  model["ignore_merges"] = v.pre->ignore_merges;
  model["vocab"] = std::move(vocab);
  model["merges"] = std::move(merges);

  auto& c = files.config;
  c["tokenizer_class"] = "PreTrainedTokenizerFast";
  c["clean_up_tokenization_spaces"] = false;
  c["add_prefix_space"] = false;
  c["add_bos_token"] = add_bos;
  if (const auto length = gguf.integer(gguf.string("general.architecture").value_or("") + ".context_length"))
    c["model_max_length"] = *length;
  for (const auto& [key, name] :
       {std::pair("bos_token_id", "bos_token"), std::pair("eos_token_id", "eos_token"),
        std::pair("unknown_token_id", "unk_token"), std::pair("padding_token_id", "pad_token")}) {
    if (const auto id = special(key)) c[name] = (*v.tokens)[static_cast<size_t>(*id)];
  }
  auto chat = chat_template_json(gguf);
  if (!chat.is_null()) c["chat_template"] = std::move(chat);
  return files;
}

}  // namespace mhub::quantize
