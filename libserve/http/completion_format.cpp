// SPDX-License-Identifier: Apache-2.0
// Answers of /v1/completions.
#include "answer_format.h"
#include "logprobs_json.h"

namespace mhub::http {
namespace {

class CompletionFormat final : public AnswerFormat {
 public:
  explicit CompletionFormat(FormatOptions options)
      : options_(std::move(options)),
        logprobs_(options_.tokenizer, options_.fields.return_tokens_as_token_ids),
        choices_(options_.prompts.size() * static_cast<size_t>(options_.fields.n)) {}

  std::vector<OrderedJson> opening_chunks() override { return {}; }

  std::optional<OrderedJson> chunk(ChoiceDelta&& delta) override {
    ChoiceState part = shape(std::move(delta));
    const bool shows = !part.text.empty() || part.delta.finish_reason || !part.lists.empty() ||
                       (options_.fields.return_token_ids && !part.delta.token_ids.empty());
    if (!shows) return std::nullopt;
    OrderedJson choice{{"index", part.delta.index},
                       {"text", part.text},
                       {"logprobs", lists_json(part)},
                       {"finish_reason", finish_json(part)}};
    if (part.delta.finish_reason) choice["stop_reason"] = stop_reason_json(part.delta.stop_reason);
    if (options_.fields.return_token_ids) {
      if (part.delta.first) choice["prompt_token_ids"] = prompt_of(part.delta.index).ids;
      choice["token_ids"] = part.delta.token_ids;
    }
    OrderedJson out = empty_chunk();
    out["choices"].push_back(std::move(choice));
    return out;
  }

  void collect(ChoiceDelta&& delta) override {
    ChoiceState part = shape(std::move(delta));
    ChoiceState& all = choices_[static_cast<size_t>(part.delta.index)];
    all.text += part.text;
    for (auto& [from, to] : {std::pair{&part.lists.tokens, &all.lists.tokens},
                             std::pair{&part.lists.token_logprobs, &all.lists.token_logprobs},
                             std::pair{&part.lists.top_logprobs, &all.lists.top_logprobs},
                             std::pair{&part.lists.text_offset, &all.lists.text_offset}}) {
      to->insert(to->end(), from->begin(), from->end());
    }
    auto& ids = all.delta.token_ids;
    ids.insert(ids.end(), part.delta.token_ids.begin(), part.delta.token_ids.end());
    if (part.delta.first) all.delta.prompt_logprobs = std::move(part.delta.prompt_logprobs);
    all.delta.finish_reason = std::move(part.delta.finish_reason);
    all.delta.stop_reason = std::move(part.delta.stop_reason);
  }

  OrderedJson whole(const Usage& usage) override {
    OrderedJson choices = OrderedJson::array();
    for (size_t i = 0; i < choices_.size(); ++i) {
      const ChoiceState& all = choices_[i];
      const GenerationFields& fields = options_.fields;
      const Prompt& prompt = prompt_of(static_cast<int>(i));
      choices.push_back(
          {{"index", i},
           {"text", all.text},
           {"logprobs", lists_json(all)},
           {"finish_reason", finish_json(all)},
           {"stop_reason", stop_reason_json(all.delta.stop_reason)},
           {"prompt_logprobs",
            fields.show_prompt_logprobs ? logprobs_.prompt_entries(all.delta.prompt_logprobs) : OrderedJson(nullptr)},
           {"token_ids", fields.return_token_ids ? OrderedJson(all.delta.token_ids) : OrderedJson(nullptr)},
           {"prompt_token_ids", fields.return_token_ids ? OrderedJson(prompt.ids) : OrderedJson(nullptr)}});
    }
    OrderedJson out = empty_chunk();
    out["choices"] = std::move(choices);
    out["service_tier"] = nullptr;
    out["system_fingerprint"] = nullptr;
    out["usage"] = usage_json(usage);
    out["kv_transfer_params"] = nullptr;
    return out;
  }

  OrderedJson empty_chunk() const override {
    return {{"id", options_.header.id},
            {"object", "text_completion"},
            {"created", options_.header.created},
            {"model", options_.header.model},
            {"choices", OrderedJson::array()}};
  }

 private:
  // A delta with its text (echo in front of the first) and logprob lists; or the sum of these.
  struct ChoiceState {
    ChoiceDelta delta;
    std::string text;
    LogprobsJson::Lists lists;
    int64_t offset = 0;  // characters of the token strings so far
  };

  ChoiceState shape(ChoiceDelta&& delta) {
    const GenerationFields& fields = options_.fields;
    ChoiceState part;
    part.delta = std::move(delta);
    ChoiceState& all = choices_[static_cast<size_t>(part.delta.index)];
    if (part.delta.first && fields.echo) {
      const Prompt& prompt = prompt_of(part.delta.index);
      part.text = prompt.text;
      if (fields.sampling.logprobs >= 0) {
        for (size_t i = 0; i < prompt.ids.size(); ++i) {
          const bool known = i > 0 && i - 1 < part.delta.prompt_logprobs.size();
          logprobs_.append(prompt.ids[i], known ? &part.delta.prompt_logprobs[i - 1] : nullptr,
                           fields.sampling.logprobs, all.offset, part.lists);
        }
      }
    }
    part.text += part.delta.text;
    for (size_t i = 0; i < part.delta.logprobs.size(); ++i) {
      const auto& position = part.delta.logprobs[i];
      logprobs_.append(part.delta.token_ids[i], &position, static_cast<int32_t>(position.top.size()), all.offset,
                       part.lists);
    }
    return part;
  }

  const Prompt& prompt_of(int choice) const {
    return options_.prompts[static_cast<size_t>(choice / options_.fields.n)];
  }
  OrderedJson lists_json(const ChoiceState& part) const {
    return options_.fields.sampling.logprobs >= 0 ? part.lists.json() : OrderedJson(nullptr);
  }
  static OrderedJson finish_json(const ChoiceState& part) {
    return part.delta.finish_reason ? OrderedJson(*part.delta.finish_reason) : OrderedJson(nullptr);
  }

  const FormatOptions options_;
  const LogprobsJson logprobs_;
  std::vector<ChoiceState> choices_;
};

}  // namespace

std::unique_ptr<AnswerFormat> make_completion_format(FormatOptions options) {
  return std::make_unique<CompletionFormat>(std::move(options));
}

}  // namespace mhub::http
