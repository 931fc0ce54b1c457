// SPDX-License-Identifier: Apache-2.0
#include "number_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace mhub::constraint {
namespace {

constexpr uint32_t kDigits = 16;
// Behind the point fewer, so that what is nearest to a bound does not round to it.
constexpr uint32_t kFraction = 12, kNearZeros = 6;
constexpr size_t kMaxBoundDigits = 40;

// Digits in front of and behind the point, without leading zeros (but one digit in front).
struct Decimal {
  std::string whole = "0", fraction;
  bool exclusive = false;
};

class DecimalForms {
 public:
  explicit DecimalForms(Grammar& to) : to_(to) {}

  // Whole numbers from `low` to `high` (none: without end), as digits.
  ExprId wholes(const std::string& low, const std::optional<std::string>& high) {
    std::vector<ExprId> out;
    const size_t longest = high ? high->size() : std::max<size_t>(kDigits, low.size());
    for (size_t length = low.size(); length <= longest; ++length) {
      std::string least = length == low.size() ? low : "1" + std::string(length - 1, '0');
      std::string most = high && length == high->size() ? *high : std::string(length, '9');
      if (least <= most) out.push_back(same_length(least, most));
    }
    return to_.choice(std::move(out));
  }

  // Numbers that are not negative, from `low` to `high`.
  ExprId numbers(const Decimal& low, const std::optional<Decimal>& high) {
    std::vector<ExprId> out;
    const auto add = [&](ExprId whole, const std::optional<Tail>& least, const std::optional<Tail>& most) {
      const auto [tail, empty_ok] = tails(least, most);
      if (tail) {
        const ExprId behind = to_.sequence({to_.bytes("."), *tail});
        out.push_back(to_.sequence({whole, empty_ok ? to_.optional(behind) : behind}));
      } else if (empty_ok) {
        out.push_back(whole);
      }
    };
    size_t width = low.fraction.size();
    if (high) width = std::max(width, high->fraction.size());
    const auto padded = [&](const Decimal& d) {
      return Tail{d.fraction + std::string(width - d.fraction.size(), '0'), d.exclusive};
    };
    if (high && low.whole == high->whole) {
      add(to_.bytes(low.whole), padded(low), padded(*high));
      return to_.choice(std::move(out));
    }
    add(to_.bytes(low.whole), padded(low), std::nullopt);
    const std::string next = plus_one(low.whole);
    if (!high) {
      add(wholes(next, std::nullopt), std::nullopt, std::nullopt);
    } else {
      const std::string last = minus_one(high->whole);
      if (not_above(next, last)) add(wholes(next, last), std::nullopt, std::nullopt);
      add(to_.bytes(high->whole), std::nullopt, padded(*high));
    }
    return to_.choice(std::move(out));
  }

  static bool not_above(const std::string& a, const std::string& b) {
    return a.size() < b.size() || (a.size() == b.size() && a <= b);
  }
  static std::string plus_one(std::string digits) {
    for (size_t i = digits.size(); i-- > 0;) {
      if (digits[i]++ != '9') return digits;
      digits[i] = '0';
    }
    return "1" + digits;
  }
  // Precondition: not zero.
  static std::string minus_one(std::string digits) {
    for (size_t i = digits.size(); i-- > 0;) {
      if (digits[i]-- != '0') break;
      digits[i] = '9';
    }
    if (digits.size() > 1 && digits.front() == '0') digits.erase(0, 1);
    return digits;
  }

 private:
  struct Tail {
    std::string digits;
    bool exclusive = false;
  };
  struct Tails {
    std::optional<ExprId> more;  // of one digit and more; none: there are none
    bool empty_ok = false;
  };

  ExprId digit(char first, char last) {
    return to_.chars({{static_cast<char32_t>(first), static_cast<char32_t>(last)}});
  }
  ExprId any(uint32_t min, uint32_t max) { return to_.repeat(digit('0', '9'), min, max); }
  ExprId zeros(uint32_t min, uint32_t max) { return to_.repeat(digit('0', '0'), min, max); }

  ExprId same_length(const std::string& least, const std::string& most) {
    return same_length(std::string_view(least), std::string_view(most), true, true);
  }
  // Digits as long as the bounds, each of which counts only while the digits before were its own.
  ExprId same_length(std::string_view least, std::string_view most, bool at_least, bool at_most) {
    if (least.empty()) return to_.empty();
    const auto rest = static_cast<uint32_t>(least.size() - 1);
    if (!at_least && !at_most) return any(rest + 1, rest + 1);
    const char low = at_least ? least.front() : '0', high = at_most ? most.front() : '9';
    const auto below = [&](char d, bool low_holds, bool high_holds) {
      return to_.sequence({digit(d, d), same_length(least.substr(1), most.substr(1), low_holds, high_holds)});
    };
    if (low == high) return below(low, at_least, at_most);
    std::vector<ExprId> out;
    const char first = static_cast<char>(at_least ? low + 1 : low), last = static_cast<char>(at_most ? high - 1 : high);
    if (at_least) out.push_back(below(low, true, false));
    if (first <= last) out.push_back(to_.sequence({digit(first, last), any(rest, rest)}));
    if (at_most) out.push_back(below(high, false, true));
    return to_.choice(std::move(out));
  }

  // Digits behind a point that lie between two bounds of one length, either of which may be missing.
  Tails tails(const std::optional<Tail>& low, const std::optional<Tail>& high) {
    const auto is_zero = [](const Tail& t) { return t.digits.find_first_not_of('0') == std::string::npos; };
    Tails out;
    out.empty_ok = (!low || (is_zero(*low) && !low->exclusive)) && (!high || !is_zero(*high) || !high->exclusive);
    if (low && low->digits.empty() && !low->exclusive) return merge(out, tails(std::nullopt, high));
    if (!low && !high) {
      out.more = any(1, kFraction);
    } else if ((low && low->digits.empty()) || (high && high->digits.empty())) {
      if (low && !high)
        out.more = to_.sequence({zeros(0, kNearZeros), digit('1', '9'), any(0, kFraction - kNearZeros)});
      if (!low && !high->exclusive) out.more = zeros(1, kFraction);
    } else {
      out.more = first_digit(low, high);
    }
    return out;
  }
  static Tails merge(const Tails& own, const Tails& other) { return {other.more, own.empty_ok && other.empty_ok}; }

  std::optional<ExprId> first_digit(const std::optional<Tail>& low, const std::optional<Tail>& high) {
    std::vector<ExprId> out;
    for (char d = low ? low->digits.front() : '0'; d <= (high ? high->digits.front() : '9'); ++d) {
      const bool on_low = low && d == low->digits.front(), on_high = high && d == high->digits.front();
      if (!on_low && !on_high) {  // all digits up to the upper bound's are alike
        const char last = static_cast<char>(high ? high->digits.front() - 1 : '9');
        out.push_back(to_.sequence({digit(d, last), any(0, kFraction)}));
        d = last;
        continue;
      }
      const auto rest = [](const Tail& t) { return Tail{t.digits.substr(1), t.exclusive}; };
      const Tails behind =
          tails(on_low ? std::optional(rest(*low)) : std::nullopt, on_high ? std::optional(rest(*high)) : std::nullopt);
      if (behind.more) {
        out.push_back(to_.sequence({digit(d, d), behind.empty_ok ? to_.optional(*behind.more) : *behind.more}));
      } else if (behind.empty_ok) {
        out.push_back(digit(d, d));
      }
    }
    if (out.empty()) return std::nullopt;
    return to_.choice(std::move(out));
  }

  Grammar& to_;
};

Result<Decimal> decimal_of(double value) {
  char buffer[512];
  const auto [end, ec] = std::to_chars(buffer, buffer + sizeof buffer, std::abs(value), std::chars_format::fixed);
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  Decimal out;
  const size_t point = text.find('.');
  out.whole = text.substr(0, point);
  if (point != std::string_view::npos) out.fraction = text.substr(point + 1);
  if (ec != std::errc() || text.size() > kMaxBoundDigits) {
    return refused(fmt::format("a bound of {} has more than {} digits", value, kMaxBoundDigits));
  }
  return out;
}

// The least whole number that is allowed; for an upper bound, of the negated one.
double whole_bound(const NumberBound& bound) {
  const double up = std::ceil(bound.value);
  return bound.exclusive && up == bound.value ? up + 1 : up;
}

Result<ExprId> integers(std::optional<NumberBound> low, std::optional<NumberBound> high, Grammar& to) {
  DecimalForms forms(to);
  std::vector<ExprId> out;
  std::optional<double> least, most;
  if (low) least = whole_bound(*low);
  if (high) most = -whole_bound({-high->value, high->exclusive});
  const auto digits = [](double value) -> Result<std::string> {
    MHUB_TRY(const Decimal d, decimal_of(value));
    return d.whole;
  };
  const auto range = [&](double from, std::optional<double> until, std::string_view sign) -> Result<void> {
    if (until && from > *until) return {};
    MHUB_TRY(const std::string first, digits(from));
    std::optional<std::string> last;
    if (until) {
      MHUB_TRY(last, digits(*until));
    }
    out.push_back(to.sequence({to.bytes(sign), forms.wholes(first, last)}));
    return {};
  };
  MHUB_CHECK_OK(range(std::max(0.0, least.value_or(0)), most, ""));
  const double nearest = most ? std::max(1.0, -*most) : 1.0;  // to zero, of the negative ones
  MHUB_CHECK_OK(range(nearest, least ? std::optional(-*least) : std::nullopt, "-"));
  if (out.empty()) return refused("no integer lies between the bounds");
  return to.choice(std::move(out));
}

Result<ExprId> decimals(std::optional<NumberBound> low, std::optional<NumberBound> high, Grammar& to) {
  DecimalForms forms(to);
  std::vector<ExprId> out;
  const auto decimal = [](const NumberBound& bound) -> Result<Decimal> {
    MHUB_TRY(Decimal d, decimal_of(bound.value));
    d.exclusive = bound.exclusive;
    return d;
  };
  const auto range = [&](const NumberBound& from, const std::optional<NumberBound>& until,
                         std::string_view sign) -> Result<void> {
    if (until && (from.value > until->value || (from.value == until->value && (from.exclusive || until->exclusive)))) {
      return {};
    }
    MHUB_TRY(const Decimal first, decimal(from));
    std::optional<Decimal> last;
    if (until) {
      MHUB_TRY(last, decimal(*until));
    }
    out.push_back(to.sequence({to.bytes(sign), forms.numbers(first, last)}));
    return {};
  };
  const NumberBound zero{0, false}, above_zero{0, true};
  MHUB_CHECK_OK(range(low && low->value >= 0 ? *low : zero, high, ""));
  const auto negated = [](const NumberBound& bound) { return NumberBound{-bound.value, bound.exclusive}; };
  MHUB_CHECK_OK(range(high && high->value < 0 ? negated(*high) : above_zero,
                      low ? std::optional(negated(*low)) : std::nullopt, "-"));
  if (out.empty()) return refused("no number lies between the bounds");
  return to.choice(std::move(out));
}

}  // namespace

Result<ExprId> number_in(std::optional<NumberBound> low, std::optional<NumberBound> high, bool integer, Grammar& to) {
  if (low || high) return integer ? integers(low, high, to) : decimals(low, high, to);
  const auto digit = [&] { return to.chars({{'0', '9'}}); };
  const ExprId whole = to.sequence(
      {to.optional(to.bytes("-")),
       to.choice({to.bytes("0"), to.sequence({to.chars({{'1', '9'}}), to.repeat(digit(), 0, kDigits - 1)})})});
  if (integer) return whole;
  const ExprId fraction = to.sequence({to.bytes("."), to.repeat(digit(), 1, kDigits)});
  const ExprId exponent = to.sequence(
      {to.chars({{'e', 'e'}, {'E', 'E'}}), to.optional(to.chars({{'+', '+'}, {'-', '-'}})), to.repeat(digit(), 1, 2)});
  return to.sequence({whole, to.optional(fraction), to.optional(exponent)});
}

}  // namespace mhub::constraint
