// SPDX-License-Identifier: Apache-2.0
// Answers of /v1/chat/completions.
#include "answer_format.h"
#include "logprobs_json.h"

namespace mhub::http {
namespace {

class ChatFormat final : public AnswerFormat {
 public:
  ChatFormat(FormatOptions options, std::string role, std::string echo)
      : options_(std::move(options)),
        role_(std::move(role)),
        echo_(std::move(echo)),
        logprobs_(options_.tokenizer, options_.fields.return_tokens_as_token_ids),
        choices_(options_.prompts.size() * static_cast<size_t>(options_.fields.n)) {}

  std::vector<OrderedJson> opening_chunks() override {
    std::vector<OrderedJson> out;
    for (size_t i = 0; i < choices_.size(); ++i) {
      OrderedJson chunk = chunk_of(static_cast<int>(i), {{"role", role_}, {"content", ""}});
      if (options_.fields.return_token_ids) chunk["prompt_token_ids"] = options_.prompts.front().ids;
      out.push_back(std::move(chunk));
    }
    if (echo_.empty()) return out;
    for (size_t i = 0; i < choices_.size(); ++i) out.push_back(chunk_of(static_cast<int>(i), {{"content", echo_}}));
    return out;
  }

  std::optional<OrderedJson> chunk(ChoiceDelta&& delta) override {
    const bool shows_ids = options_.fields.return_token_ids && !delta.token_ids.empty();
    if (delta.text.empty() && !delta.finish_reason && delta.logprobs.empty() && !shows_ids) return std::nullopt;
    OrderedJson out = chunk_of(delta.index, {{"content", delta.text}});
    OrderedJson& choice = out["choices"][0];
    if (!delta.logprobs.empty()) choice["logprobs"] = {{"content", entries(delta)}};
    if (delta.finish_reason) {
      choice["finish_reason"] = *delta.finish_reason;
      choice["stop_reason"] = stop_reason_json(delta.stop_reason);
    }
    if (options_.fields.return_token_ids) choice["token_ids"] = delta.token_ids;
    return out;
  }

  void collect(ChoiceDelta&& delta) override {
    Collected& all = choices_[static_cast<size_t>(delta.index)];
    all.text += delta.text;
    all.token_ids.insert(all.token_ids.end(), delta.token_ids.begin(), delta.token_ids.end());
    for (auto& entry : entries(delta)) all.logprobs.push_back(std::move(entry));
    if (delta.first) all.prompt_logprobs = std::move(delta.prompt_logprobs);
    if (delta.finish_reason) all.finish_reason = *delta.finish_reason;
    all.stop_reason = std::move(delta.stop_reason);
  }

  OrderedJson whole(const Usage& usage) override {
    const GenerationFields& fields = options_.fields;
    OrderedJson choices = OrderedJson::array();
    for (size_t i = 0; i < choices_.size(); ++i) {
      Collected& all = choices_[i];
      choices.push_back({{"index", i},
                         {"message",
                          {{"role", role_},
                           {"content", echo_ + all.text},
                           {"refusal", nullptr},
                           {"annotations", nullptr},
                           {"audio", nullptr},
                           {"function_call", nullptr},
                           {"reasoning", nullptr}}},
                         {"logprobs", fields.sampling.logprobs >= 0 ? OrderedJson{{"content", std::move(all.logprobs)}}
                                                                    : OrderedJson(nullptr)},
                         {"finish_reason", all.finish_reason},
                         {"stop_reason", stop_reason_json(all.stop_reason)},
                         {"token_ids", fields.return_token_ids ? OrderedJson(all.token_ids) : OrderedJson(nullptr)}});
    }
    const auto& prompt_logprobs = choices_.front().prompt_logprobs;
    return {{"id", options_.header.id},
            {"object", "chat.completion"},
            {"created", options_.header.created},
            {"model", options_.header.model},
            {"choices", std::move(choices)},
            {"service_tier", nullptr},
            {"system_fingerprint", nullptr},
            {"usage", usage_json(usage)},
            {"prompt_logprobs",
             fields.show_prompt_logprobs ? logprobs_.prompt_entries(prompt_logprobs) : OrderedJson(nullptr)},
            {"prompt_token_ids",
             fields.return_token_ids ? OrderedJson(options_.prompts.front().ids) : OrderedJson(nullptr)},
            {"kv_transfer_params", nullptr}};
  }

  OrderedJson empty_chunk() const override {
    return {{"id", options_.header.id},
            {"object", "chat.completion.chunk"},
            {"created", options_.header.created},
            {"model", options_.header.model},
            {"choices", OrderedJson::array()}};
  }

 private:
  struct Collected {
    std::string text, finish_reason;
    StopReason stop_reason;
    std::vector<TokenId> token_ids;
    OrderedJson logprobs = OrderedJson::array();
    std::vector<PositionLogprobs> prompt_logprobs;
  };

  OrderedJson chunk_of(int index, OrderedJson delta) const {
    OrderedJson out = empty_chunk();
    out["choices"].push_back(
        {{"index", index}, {"delta", std::move(delta)}, {"logprobs", nullptr}, {"finish_reason", nullptr}});
    return out;
  }

  OrderedJson entries(const ChoiceDelta& delta) const {
    OrderedJson out = OrderedJson::array();
    for (const auto& position : delta.logprobs) out.push_back(logprobs_.chat_entry(position));
    return out;
  }

  const FormatOptions options_;
  const std::string role_, echo_;
  const LogprobsJson logprobs_;
  std::vector<Collected> choices_;
};

}  // namespace

std::unique_ptr<AnswerFormat> make_chat_format(FormatOptions options, std::string role, std::string echo) {
  return std::make_unique<ChatFormat>(std::move(options), std::move(role), std::move(echo));
}

}  // namespace mhub::http
