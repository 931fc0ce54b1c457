// SPDX-License-Identifier: Apache-2.0
#include "mhub/base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "mhub/base/check.h"
#include "mhub/base/json_members.h"

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
  bool value() {
    return ++values_ <= limits_.max_values || fail(fmt::format("more than {} values", limits_.max_values));
  }
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

// Second pass for documents that keep their order. nlohmann's own looks through all members before it adds one; the
// first pass has told that no key is there twice, so members are put at the end.
class OrderedBuilder : public nlohmann::json_sax<OrderedJson> {
 public:
  explicit OrderedBuilder(OrderedJson& root) : root_(root) {}
  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // not in text
  bool start_object(size_t) override { return open(OrderedJson::object()); }
  bool key(string_t& name) override {
    members().emplace_back(std::move(name), OrderedJson());
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(OrderedJson::array()); }
  bool end_array() override { return close(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  OrderedJson::object_t& members() { return open_.back()->get_ref<OrderedJson::object_t&>(); }
  OrderedJson& put(OrderedJson value) {
    if (open_.empty()) return root_ = std::move(value);
    if (!open_.back()->is_array()) return members().back().second = std::move(value);
    open_.back()->push_back(std::move(value));
    return open_.back()->back();
  }
  bool add(OrderedJson value) {
    put(std::move(value));
    return true;
  }
  bool open(OrderedJson container) {
    open_.push_back(&put(std::move(container)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  OrderedJson& root_;
  std::vector<OrderedJson*> open_;  // a container does not grow while one in it is open
};

template <typename J>
Result<J> parse(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return Error{ErrorCode::kInvalidRequest,
                 fmt::format("JSON of {} bytes is over the limit of {}", text.size(), limits.max_bytes), "", ""};
  }
  LimitSax sax(limits);
  if (!nlohmann::json::sax_parse(text, &sax)) return Error{ErrorCode::kInvalidRequest, sax.problem(), "", ""};
  if constexpr (std::is_same_v<J, OrderedJson>) {
    OrderedJson out;
    OrderedBuilder builder(out);
    MHUB_CHECK(OrderedJson::sax_parse(text, &builder));  // the first pass has read the same text
    return out;
  } else {
    return J::parse(text, nullptr, false);
  }
}
}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  return parse<Json>(text, limits);
}
Result<OrderedJson> parse_ordered_json(std::string_view text, const JsonLimits& limits) {
  return parse<OrderedJson>(text, limits);
}
bool has_object_over(const OrderedJson& document, size_t limit) {
  if (!document.is_structured()) return false;
  return (document.is_object() && document.size() > limit) ||
         std::any_of(document.begin(), document.end(), [&](const auto& part) { return has_object_over(part, limit); });
}
std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}
std::string dump_json(const OrderedJson& value, int indent) {
  return value.dump(indent, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace mhub
