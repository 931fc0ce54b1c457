// SPDX-License-Identifier: Apache-2.0
#include "mhub/base/json.h"

#include <fmt/format.h>

#include <unordered_set>
#include <vector>

namespace mhub {
namespace {

// First pass: enforces the limits and forbids duplicate keys without building anything.
class LimitSax : public nlohmann::json_sax<Json> {
 public:
  explicit LimitSax(const JsonLimits& limits) : limits_(limits) {}
  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(size_t) override {
    keys_.emplace_back();
    return enter();
  }
  bool key(string_t& name) override {
    if (!keys_.back().insert(name).second) return fail(fmt::format("duplicate key \"{}\"", printable(name, 64)));
    return true;
  }
  bool end_object() override {
    keys_.pop_back();
    --depth_;
    return true;
  }
  bool start_array(size_t) override { return enter(); }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return fail(fmt::format("malformed JSON at byte {}", position));
  }
  const std::string& problem() const { return problem_; }

 private:
  bool fail(std::string why) {
    if (problem_.empty()) problem_ = std::move(why);
    return false;
  }
  bool value() { return ++values_ <= limits_.max_values || fail(fmt::format("more than {} values", limits_.max_values)); }
  bool enter() {
    if (++depth_ > limits_.max_depth) return fail(fmt::format("nested deeper than {} levels", limits_.max_depth));
    return value();
  }

  const JsonLimits& limits_;
  std::vector<std::unordered_set<std::string>> keys_;
  size_t depth_ = 0;
  size_t values_ = 0;
  std::string problem_;
};

template <typename J>
Result<J> parse(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return Error{ErrorCode::kInvalidRequest,
                 fmt::format("JSON of {} bytes is over the limit of {}", text.size(), limits.max_bytes), "", ""};
  }
  LimitSax sax(limits);
  if (!nlohmann::json::sax_parse(text, &sax)) return Error{ErrorCode::kInvalidRequest, sax.problem(), "", ""};
  return J::parse(text, nullptr, false);
}
}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) { return parse<Json>(text, limits); }
Result<OrderedJson> parse_ordered_json(std::string_view text, const JsonLimits& limits) {
  return parse<OrderedJson>(text, limits);
}
std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}
std::string dump_json(const OrderedJson& value, int indent) {
  return value.dump(indent, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace mhub
