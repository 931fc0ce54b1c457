// SPDX-License-Identifier: Apache-2.0
// Answers of /v1/chat/completions.
#include "answer_format.h"
#include "logprobs_json.h"
#include "tool_calls.h"

namespace mhub::http {
namespace {

class ChatFormat final : public AnswerFormat {
 public:
  ChatFormat(FormatOptions options, std::string role, std::string echo, ForcedCall forced)
      : options_(std::move(options)),
        role_(std::move(role)),
        echo_(std::move(echo)),
        forced_(std::move(forced)),
        logprobs_(options_.tokenizer, options_.fields.return_tokens_as_token_ids),
        choices_(options_.prompts.size() * static_cast<size_t>(options_.fields.n)),
        readers_(choices_.size(), ToolCallReader(forced_)) {}

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
    OrderedJson shown = shown_delta(delta);
    const bool shows_text = calls_tools() ? !shown.empty() : !delta.text.empty();
    if (!shows_text && !delta.finish_reason && delta.logprobs.empty() && !shows_ids) return std::nullopt;
    OrderedJson out = chunk_of(delta.index, std::move(shown));
    OrderedJson& choice = out["choices"][0];
    if (!delta.logprobs.empty()) choice["logprobs"] = {{"content", entries(delta)}};
    if (delta.finish_reason) {
      choice["finish_reason"] = shown_reason(*delta.finish_reason);
      choice["stop_reason"] = stop_reason_json(delta.stop_reason);
    }
    if (options_.fields.return_token_ids) choice["token_ids"] = delta.token_ids;
    return out;
  }

  void collect(ChoiceDelta&& delta) override {
    Collected& all = choices_[static_cast<size_t>(delta.index)];
    if (calls_tools()) {
      all.tool_calls.collect(readers_[static_cast<size_t>(delta.index)].push(delta.text));
    } else {
      all.text += delta.text;
    }
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
      OrderedJson message{
          {"role", role_},    {"content", echo_ + all.text}, {"refusal", nullptr},  {"annotations", nullptr},
          {"audio", nullptr}, {"function_call", nullptr},    {"reasoning", nullptr}};
      if (calls_tools()) message["tool_calls"] = all.tool_calls.whole();
      choices.push_back({{"index", i},
                         {"message", std::move(message)},
                         {"logprobs", fields.sampling.logprobs >= 0 ? OrderedJson{{"content", std::move(all.logprobs)}}
                                                                    : OrderedJson(nullptr)},
                         {"finish_reason", shown_reason(all.finish_reason)},
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
    ToolCallsJson tool_calls;
    StopReason stop_reason;
    std::vector<TokenId> token_ids;
    OrderedJson logprobs = OrderedJson::array();
    std::vector<PositionLogprobs> prompt_logprobs;
  };

  bool calls_tools() const { return forced_.kind != ForcedCall::Kind::kNone; }
  OrderedJson shown_delta(const ChoiceDelta& delta) {
    if (!calls_tools()) return {{"content", delta.text}};
    const auto pieces = readers_[static_cast<size_t>(delta.index)].push(delta.text);
    return pieces.empty() ? OrderedJson::object() : OrderedJson{{"tool_calls", ToolCallsJson::delta(pieces)}};
  }
  // A named call ends as a text does; calls that the model chose say so.
  std::string shown_reason(const std::string& reason) const {
    return forced_.kind == ForcedCall::Kind::kRequired && reason == "stop" ? "tool_calls" : reason;
  }

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
  const ForcedCall forced_;
  const LogprobsJson logprobs_;
  std::vector<Collected> choices_;
  std::vector<ToolCallReader> readers_;  // of the choices
};

}  // namespace

std::unique_ptr<AnswerFormat> make_chat_format(FormatOptions options, std::string role, std::string echo,
                                               ForcedCall forced) {
  return std::make_unique<ChatFormat>(std::move(options), std::move(role), std::move(echo), std::move(forced));
}

}  // namespace mhub::http
