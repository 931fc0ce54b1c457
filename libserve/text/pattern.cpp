// SPDX-License-Identifier: Apache-2.0
#define PCRE2_CODE_UNIT_WIDTH 8
#include "pattern.h"

#include <fmt/format.h>
#include <pcre2.h>

#include "scanners.h"
#include "utf8.h"

namespace mhub::text {
namespace {

constexpr uint32_t kMatchLimit = 1'000'000;
constexpr uint32_t kHeapLimitKib = 64 * 1024;
constexpr size_t kMaxExpressionBytes = 64 * 1024;

class Literal final : public Pattern {
 public:
  explicit Literal(std::string text) : text_(std::move(text)) {}
  void find_all(std::string_view text, const OnMatch& on_match) const override {
    if (text_.empty()) return;
    for (size_t at = text.find(text_); at != std::string_view::npos; at = text.find(text_, at + text_.size())) {
      on_match(at, at + text_.size());
    }
  }

 private:
  std::string text_;
};

class KnownRegex final : public Pattern {
 public:
  explicit KnownRegex(Scanner scanner) : scanner_(scanner) {}
  void find_all(std::string_view text, const OnMatch& on_match) const override {
    for (size_t pos = 0; pos < text.size();) {
      const size_t end = scanner_(text, pos);
      if (end != kNoMatch) {
        on_match(pos, end);
        pos = end;
      } else {
        pos += decode_utf8(text, pos).length;
      }
    }
  }

 private:
  Scanner scanner_;
};

template <auto free_function>
struct Free {
  template <typename T>
  void operator()(T* p) const {
    free_function(p);
  }
};
using Code = std::unique_ptr<pcre2_code, Free<pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>>;

class OtherRegex final : public Pattern {
 public:
  OtherRegex(Code code, MatchContext context) : code_(std::move(code)), context_(std::move(context)) {}
  void find_all(std::string_view text, const OnMatch& on_match) const override {
    // Checked once here: the engine would check all that follows at every match.
    if (is_valid_utf8(text)) return find_in_valid(text, on_match);
    find_in_valid(with_control_for_ill_formed(text), on_match);
  }

 private:
  // The same length, U+001A for each ill-formed byte.
  static std::string with_control_for_ill_formed(std::string_view text) {
    std::string out(text);
    for (size_t pos = 0; pos < text.size();) {
      const Utf8Char c = decode_utf8(text, pos);
      if (c.code_point == kInvalid) out.replace(pos, c.length, c.length, '\x1A');
      pos += c.length;
    }
    return out;
  }

  void find_in_valid(std::string_view text, const OnMatch& on_match) const {
    const MatchData data(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    if (!data) throw std::bad_alloc();
    for (size_t pos = 0; pos < text.size();) {
      const int found = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), pos,
                                    PCRE2_NO_UTF_CHECK, data.get(), context_.get());
      if (found < 0) return;  // no match, or a limit was hit
      const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
      const size_t begin = range[0], end = range[1];
      if (end > begin) {
        on_match(begin, end);
        pos = end;
      } else if (begin < text.size()) {
        if (begin > 0) on_match(begin, begin);
        pos = begin + decode_utf8(text, begin).length;
      } else {
        return;
      }
    }
  }

  Code code_;
  MatchContext context_;
};

// The reference engine's \w, which has marks and circled letters too, spelled out.
std::string with_word_class(std::string_view expression) {
  constexpr std::string_view kWord = R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}\x{24B6}-\x{24E9})"
                                     R"(\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c != '\\' || i + 1 == expression.size()) {
      in_class = c == '[' || (in_class && c != ']');
      out.push_back(c);
      continue;
    }
    const char escaped = expression[++i];
    if (escaped == 'w') {
      in_class ? out.append(kWord) : out.append("[").append(kWord).append("]");
    } else if (escaped == 'W' && !in_class) {
      out.append("[^").append(kWord).append("]");
    } else {
      out.append({c, escaped});
    }
  }
  return out;
}

}  // namespace

std::shared_ptr<const Pattern> Pattern::literal(std::string text) {
  return std::make_shared<Literal>(std::move(text));
}

Result<std::shared_ptr<const Pattern>> Pattern::regex(std::string_view expression) {
  if (const Scanner scanner = find_scanner(expression)) {
    return std::shared_ptr<const Pattern>(std::make_shared<KnownRegex>(scanner));
  }
  const auto bad = [&](std::string_view what) {
    return Error{ErrorCode::kBadModel,
                 fmt::format("reading the tokenizer: regular expression \"{}\" {}", printable(expression, 120), what),
                 "this tokenizer is not supported", ""};
  };
  if (expression.size() > kMaxExpressionBytes) return bad("is over 64 KiB");
  int code = 0;
  PCRE2_SIZE offset = 0;
  const std::string spelled = with_word_class(expression);
  Code compiled(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(spelled.data()), spelled.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, nullptr));
  if (!compiled) {
    unsigned char message[160] = {};
    pcre2_get_error_message(code, message, sizeof message);
    return bad(fmt::format("does not compile: {} at byte {}", reinterpret_cast<const char*>(message), offset));
  }
  MatchContext context(pcre2_match_context_create(nullptr));
  if (!context) throw std::bad_alloc();
  pcre2_set_match_limit(context.get(), kMatchLimit);
  pcre2_set_heap_limit(context.get(), kHeapLimitKib);
  return std::shared_ptr<const Pattern>(std::make_shared<OtherRegex>(std::move(compiled), std::move(context)));
}

}  // namespace mhub::text
