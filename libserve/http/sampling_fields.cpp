// SPDX-License-Identifier: Apache-2.0
#include "sampling_fields.h"

#include "structured_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mhub::http {
namespace {

using model::SamplingParams;

// The one table of numeric sampling fields: what may be asked, and where it goes. Defaults: the model's
// generation_config where it has the field, else SamplingParams' own.
struct NumberRule {
  std::string_view name;
  double min, max;
  bool min_allowed;
  float SamplingParams::*target;
  std::optional<double> formats::GenerationDefaults::*model_default = nullptr;
};
constexpr NumberRule kNumbers[] = {
    {"temperature", 0, 2, true, &SamplingParams::temperature, &formats::GenerationDefaults::temperature},
    {"top_p", 0, 1, false, &SamplingParams::top_p, &formats::GenerationDefaults::top_p},
    {"min_p", 0, 1, true, &SamplingParams::min_p, &formats::GenerationDefaults::min_p},
    {"typical_p", 0, 1, false, &SamplingParams::typical_p},
    {"presence_penalty", -2, 2, true, &SamplingParams::presence_penalty},
    {"frequency_penalty", -2, 2, true, &SamplingParams::frequency_penalty},
    // Beyond these a float logit overflows.
    {"repetition_penalty", 1e-6, 1e6, true, &SamplingParams::repetition_penalty,
     &formats::GenerationDefaults::repetition_penalty},
};
struct IntegerRule {
  std::string_view name;
  int64_t min, max;
};
constexpr IntegerRule kN{"n", 1, 16384};
constexpr IntegerRule kBestOf{"best_of", 1, 16384};
constexpr IntegerRule kRepeatLastN{"repeat_last_n", -1, INT32_MAX};
constexpr IntegerRule kTopK{"top_k", -1, INT32_MAX};
constexpr IntegerRule kMinTokens{"min_tokens", 0, INT32_MAX};
constexpr IntegerRule kTruncate{"truncate_prompt_tokens", -1, INT32_MAX};
constexpr IntegerRule kPriority{"priority", INT32_MIN, INT32_MAX};
constexpr size_t kMaxStopStrings = 64, kMaxStopBytes = 1024, kMaxLogitBias = 1024, kMaxStopIds = 1024, kMaxSalt = 128;
constexpr size_t kMaxBadWords = 1024, kMaxBadWordBytes = 1024, kMaxLogprobIds = 128;
constexpr float kLowestTemperature = 0.01f, kBiasLimit = 100.0f;

// Known fields that would change the answer and are not built: refused rather than ignored.
struct UnbuiltField {
  std::string_view name, what;
};
constexpr UnbuiltField kUnbuilt[] = {
    {"use_beam_search", "beam search"},
    {"repetition_detection", "repetition_detection"},
    {"thinking_token_budget", "thinking_token_budget"},
};

bool is_off(const OrderedJson& value) {
  return (value.is_boolean() && !value.get<bool>()) || (value.is_structured() && value.empty());
}

Result<std::optional<int64_t>> read_integer(const JsonFields& json, const IntegerRule& rule) {
  MHUB_TRY(const auto value, json.integer(rule.name));
  if (value && (*value < rule.min || *value > rule.max)) {
    return bad_value(rule.name, rule.min == rule.max ? fmt::format("{} must be {}, got {}", rule.name, rule.min, *value)
                                                     : fmt::format("{} must be between {} and {}, got {}", rule.name,
                                                                   rule.min, rule.max, *value));
  }
  return value;
}

Result<void> read_numbers(const JsonFields& json, const RequestRules& rules, SamplingParams& to) {
  for (const NumberRule& rule : kNumbers) {
    MHUB_TRY(auto value, json.number(rule.name));
    if (value && (*value < rule.min || *value > rule.max || (!rule.min_allowed && *value == rule.min))) {
      return bad_value(rule.name, fmt::format("{} must be in {}{}, {}], got {}", rule.name,
                                              rule.min_allowed ? "[" : "(", rule.min, rule.max, *value));
    }
    if (!value && rule.model_default != nullptr) value = rules.defaults.*rule.model_default;
    if (value) to.*rule.target = static_cast<float>(*value);
  }
  if (to.temperature > 0) to.temperature = std::max(to.temperature, kLowestTemperature);
  MHUB_TRY(auto top_k, read_integer(json, kTopK));
  if (!top_k) top_k = rules.defaults.top_k;
  if (top_k) to.top_k = static_cast<int32_t>(std::clamp<int64_t>(*top_k, 0, INT32_MAX));
  MHUB_TRY(const auto min_tokens, read_integer(json, kMinTokens));
  to.min_tokens = static_cast<int32_t>(min_tokens.value_or(0));
  MHUB_TRY(const auto repeat_last_n, read_integer(json, kRepeatLastN));
  to.penalty_window = static_cast<int32_t>(repeat_last_n.value_or(-1));
  MHUB_TRY(to.prompt_logprobs, read_logprob_count(json, "prompt_logprobs", rules, -1));
  return {};
}

Result<void> read_logit_bias(const JsonFields& json, int64_t vocab_size, SamplingParams& to) {
  static constexpr std::string_view kName = "logit_bias";
  const OrderedJson* bias = json.find(kName);
  if (bias == nullptr) return {};
  if (!bias->is_object()) return wrong_type(kName, "must be an object of token id to number", *bias);
  if (bias->size() > kMaxLogitBias) {
    return bad_value(kName,
                     fmt::format("logit_bias has {} entries, at most {} are taken", bias->size(), kMaxLogitBias));
  }
  for (const auto& [key, value] : bias->items()) {
    int32_t id = -1;
    const auto [end, ec] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (ec != std::errc() || end != key.data() + key.size() || id < 0 || id >= vocab_size) {
      return bad_value(kName, fmt::format("logit_bias key \"{}\" is not a token id of the vocabulary (0..{})",
                                          printable(key, 32), vocab_size - 1));
    }
    if (!value.is_number()) return wrong_type(kName, "values must be numbers", value);
    to.logit_bias.emplace_back(id, std::clamp(static_cast<float>(value.get<double>()), -kBiasLimit, kBiasLimit));
  }
  return {};
}

Result<void> read_stop(const JsonFields& json, GenerationFields& to) {
  static constexpr std::string_view kName = "stop";
  const OrderedJson* stop = json.find(kName);
  if (stop == nullptr) return {};
  if (!stop->is_string() && !stop->is_array()) return wrong_type(kName, "must be a string or a list of strings", *stop);
  const auto add = [&](const OrderedJson& item) -> Result<void> {
    if (!item.is_string()) return wrong_type(kName, "must hold strings only", item);
    const auto& text = item.get_ref<const std::string&>();
    if (text.empty()) return bad_value(kName, "stop cannot contain an empty string");
    if (text.size() > kMaxStopBytes) {
      return bad_value(kName,
                       fmt::format("a stop string has {} bytes, at most {} are taken", text.size(), kMaxStopBytes));
    }
    to.stop.push_back(text);
    return {};
  };
  if (stop->is_string()) return add(*stop);
  if (stop->size() > kMaxStopStrings) {
    return bad_value(kName, fmt::format("{} stop strings given, at most {} are taken", stop->size(), kMaxStopStrings));
  }
  for (const auto& item : *stop) MHUB_CHECK_OK(add(item));
  return {};
}

// At most `most` token ids under `name`, and no empty list; an absent field leaves `to` as it is.
Result<void> read_id_list(const JsonFields& json, std::string_view name, size_t most, int64_t vocab_size,
                          std::vector<TokenId>& to) {
  const OrderedJson* ids = json.find(name);
  if (ids == nullptr) return {};
  if (!ids->is_array()) return wrong_type(name, "must be a list of token ids", *ids);
  if (ids->empty()) return bad_value(name, fmt::format("{} must not be empty", name));
  if (ids->size() > most) {
    return bad_value(name, fmt::format("{} ids given in {}, at most {} are taken", ids->size(), name, most));
  }
  MHUB_TRY(to, read_token_ids(name, *ids, vocab_size));
  return {};
}

Result<void> read_bad_words(const JsonFields& json, GenerationFields& to) {
  static constexpr std::string_view kName = "bad_words";
  const OrderedJson* words = json.find(kName);
  if (words == nullptr) return {};
  if (!words->is_array()) return wrong_type(kName, "must be a list of strings", *words);
  if (words->size() > kMaxBadWords) {
    return bad_value(kName, fmt::format("{} bad words given, at most {} are taken", words->size(), kMaxBadWords));
  }
  for (const auto& word : *words) {
    if (!word.is_string()) return wrong_type(kName, "must hold strings only", word);
    const auto& text = word.get_ref<const std::string&>();
    if (text.find_first_not_of(' ') == std::string::npos)
      return bad_value(kName, "bad_words cannot contain an empty string");
    if (text.size() > kMaxBadWordBytes) {
      return bad_value(kName,
                       fmt::format("a bad word has {} bytes, at most {} are taken", text.size(), kMaxBadWordBytes));
    }
    to.bad_words.push_back(text);
  }
  return {};
}

Result<void> read_flags(const JsonFields& json, GenerationFields& to) {
  struct Flag {
    std::string_view name;
    bool GenerationFields::*target;
  };
  static constexpr Flag kFlags[] = {
      {"stream", &GenerationFields::stream},
      {"echo", &GenerationFields::echo},
      {"include_stop_str_in_output", &GenerationFields::include_stop_str_in_output},
      {"ignore_eos", &GenerationFields::ignore_eos},
      {"skip_special_tokens", &GenerationFields::skip_special_tokens},
      {"add_special_tokens", &GenerationFields::add_special_tokens},
      {"return_token_ids", &GenerationFields::return_token_ids},
      {"return_tokens_as_token_ids", &GenerationFields::return_tokens_as_token_ids},
  };
  for (const Flag& flag : kFlags) {
    MHUB_TRY(const auto value, json.boolean(flag.name));
    if (value) to.*flag.target = *value;
  }
  return {};
}

Result<void> read_stream_options(const JsonFields& json, GenerationFields& to) {
  static constexpr std::string_view kName = "stream_options";
  const OrderedJson* options = json.find(kName);
  if (options == nullptr) return {};
  if (!options->is_object()) return wrong_type(kName, "must be an object", *options);
  if (!to.stream) return bad_value(kName, "stream_options can only be given with stream: true");
  const JsonFields inner(*options);
  MHUB_TRY(const auto include_usage, inner.boolean("include_usage"));
  MHUB_TRY(const auto continuous, inner.boolean("continuous_usage_stats"));
  to.include_usage = include_usage.value_or(false);
  to.continuous_usage = continuous.value_or(false) && to.include_usage;
  return {};
}

Result<void> read_cache_salt(const JsonFields& json, GenerationFields& to) {
  MHUB_TRY(const auto salt, json.string("cache_salt"));
  if (!salt) return {};
  if (salt->size() > kMaxSalt || salt->find_first_of(std::string_view("@/\\\0", 4)) != std::string::npos) {
    return bad_value("cache_salt", "cache_salt must have at most 128 characters and none of @ / \\ NUL");
  }
  to.cache_salt = *salt;
  return {};
}

Result<void> refuse_unbuilt(const JsonFields& json) {
  for (const UnbuiltField& field : kUnbuilt) {
    const OrderedJson* value = json.find(field.name);
    if (value != nullptr && !is_off(*value)) return not_built(field.name, field.what);
  }
  return {};
}

}  // namespace

Result<int32_t> read_logprob_count(const JsonFields& json, std::string_view name, const RequestRules& rules,
                                   int32_t absent) {
  MHUB_TRY(const auto value, json.integer(name));
  if (!value) return absent;
  if (*value < -1) return bad_value(name, fmt::format("{} must be non-negative or -1, got {}", name, *value));
  const int64_t count = *value == -1 ? rules.vocab_size : *value;
  if (rules.max_logprobs >= 0 && count > rules.max_logprobs) {
    return bad_value(name, fmt::format("Requested {} logprobs of {}, which is greater than max allowed: {}",
                                       name == "prompt_logprobs" ? "prompt" : "sample", count, rules.max_logprobs));
  }
  return static_cast<int32_t>(std::min(count, rules.vocab_size));
}

Result<std::vector<TokenId>> read_token_ids(std::string_view name, const OrderedJson& list, int64_t vocab_size) {
  std::vector<TokenId> ids;
  ids.reserve(list.size());
  for (const auto& item : list) {
    if (!item.is_number_integer()) return wrong_type(name, "must hold token ids only", item);
    const bool in_range = item.is_number_unsigned() && item.get<uint64_t>() < static_cast<uint64_t>(vocab_size);
    if (!in_range) {
      return bad_value(name,
                       fmt::format("token id {} is out of the vocabulary (0..{})", dump_json(item), vocab_size - 1));
    }
    ids.push_back(static_cast<TokenId>(item.get<uint64_t>()));
  }
  return ids;
}

Result<void> read_generation_fields(const JsonFields& json, const RequestRules& rules, GenerationFields& to) {
  MHUB_TRY(to.model, json.string("model"));
  MHUB_TRY(to.request_id, json.string("request_id"));
  MHUB_TRY(const auto n, read_integer(json, kN));
  to.n = static_cast<int>(n.value_or(1));
  MHUB_TRY(const auto best_of, read_integer(json, kBestOf));
  to.best_of = static_cast<int>(best_of.value_or(to.n));
  MHUB_TRY(const auto priority, read_integer(json, kPriority));
  to.priority = static_cast<int>(priority.value_or(0));
  if (to.priority != 0 && !rules.priorities) {
    return bad_value("priority", "priority other than 0 needs a server started with --scheduling-policy priority");
  }
  MHUB_CHECK_OK(refuse_unbuilt(json));
  MHUB_CHECK_OK(read_numbers(json, rules, to.sampling));
  to.show_prompt_logprobs = to.sampling.prompt_logprobs >= 0;
  MHUB_CHECK_OK(read_id_list(json, "allowed_token_ids", static_cast<size_t>(rules.vocab_size), rules.vocab_size,
                             to.sampling.allowed_token_ids));
  MHUB_CHECK_OK(
      read_id_list(json, "logprob_token_ids", kMaxLogprobIds, rules.vocab_size, to.sampling.logprob_token_ids));
  MHUB_CHECK_OK(read_bad_words(json, to));
  MHUB_CHECK_OK(read_constraint(json, to));
  MHUB_TRY(to.seed, json.integer("seed"));
  if (to.seed == -1) to.seed.reset();
  MHUB_CHECK_OK(read_logit_bias(json, rules.vocab_size, to.sampling));
  MHUB_CHECK_OK(read_stop(json, to));
  if (const OrderedJson* ids = json.find("stop_token_ids")) {
    if (!ids->is_array()) return wrong_type("stop_token_ids", "must be a list of token ids", *ids);
    if (ids->size() > kMaxStopIds) {
      return bad_value("stop_token_ids",
                       fmt::format("{} stop token ids given, at most {} are taken", ids->size(), kMaxStopIds));
    }
    MHUB_TRY(to.stop_token_ids, read_token_ids("stop_token_ids", *ids, rules.vocab_size));
  }
  MHUB_CHECK_OK(read_flags(json, to));
  if (to.stream && to.sampling.prompt_logprobs > 0) {
    return bad_value("prompt_logprobs", "`prompt_logprobs` are not available when `stream=True`.");
  }
  MHUB_CHECK_OK(read_stream_options(json, to));
  MHUB_CHECK_OK(read_cache_salt(json, to));
  MHUB_TRY(to.truncate_prompt_tokens, read_integer(json, kTruncate));
  MHUB_TRY(const auto side, json.string("truncation_side"));
  if (side && *side != "left" && *side != "right")
    return bad_value("truncation_side", "truncation_side must be left or right");
  to.truncate_left = side.value_or("left") == "left";
  return {};
}

Result<void> check_combinations(const GenerationFields& fields) {
  if (fields.n > 1 && fields.sampling.greedy()) {
    return bad_value("n", fmt::format("n must be 1 when using greedy sampling, got {}.", fields.n));
  }
  if (fields.best_of < fields.n) {
    return bad_value("best_of", fmt::format("best_of must be greater than or equal to n, got n={} and best_of={}.",
                                            fields.n, fields.best_of));
  }
  if (fields.best_of > 1 && fields.sampling.greedy()) {
    return bad_value("best_of", fmt::format("best_of must be 1 when using greedy sampling, got {}.", fields.best_of));
  }
  if (fields.best_of > fields.n && fields.stream) {
    return bad_value("best_of", "best_of greater than n is not available with stream: true");
  }
  if (!fields.sampling.logprob_token_ids.empty() && fields.sampling.logprobs < 0) {
    return bad_value("logprob_token_ids", "logprob_token_ids needs logprobs");
  }
  if (fields.max_tokens && fields.sampling.min_tokens > *fields.max_tokens) {
    return bad_value("min_tokens", fmt::format("min_tokens must be at most max_tokens={}, got {}", *fields.max_tokens,
                                               fields.sampling.min_tokens));
  }
  return {};
}

}  // namespace mhub::http
