// SPDX-License-Identifier: Apache-2.0
// Templates and requests that would use up the process end in an error, soon.
#include <gtest/gtest.h>

#include <chrono>

#include "mhub/text/chat_template.h"

namespace mhub::text {
namespace {

std::string repeat(const std::string& unit, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += unit;
  return out;
}

class Bomb : public testing::TestWithParam<std::string> {};

TEST_P(Bomb, EndsSoonInAnError) {
  const auto start = std::chrono::steady_clock::now();
  const auto compiled = ChatTemplate::compile(GetParam());
  if (compiled) {
    RenderRequest request;
    request.messages = OrderedJson::array();
    const auto rendered = compiled->render(request);
    EXPECT_FALSE(rendered.has_value()) << GetParam().substr(0, 100);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  EXPECT_LT(seconds.count(), 20.0) << GetParam().substr(0, 100);
#else
  EXPECT_LT(seconds.count(), 5.0) << GetParam().substr(0, 100);
#endif
}

const std::vector<std::string> kBombs = {
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{{ range(10 ** 9) | list }}",
    "{{ 'x' * 10 ** 9 }}",
    "{{ [0] * 10 ** 9 }}",
    "{{ 'x'.center(10 ** 9) }}",
    "{{ 'x'.ljust(10 ** 9, 'y') }}",
    "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "{% set ns = namespace(s='x' * 1000000) %}{% for i in range(99) %}{% set ns.s = ns.s.replace('x', 'xx') %}{% "
    "endfor %}",
    "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "{% set ns = namespace(s=[1]) %}{% for i in range(99999) %}{% set ns.s = [ns.s] %}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{{ 2 ** 2 ** 100 }}",
    "{{ 10 ** 100 }}",
    "{{ '%999999999d' % 1 }}",
    "{{ '{:999999999}'.format('x') }}",
    "{{ '%.999999999f' % 1.5 }}",
    "{{ 'a' | indent(10 ** 9) }}",
    "{% for i in range(99999) %}" + std::string(1000, 'x') + "{% endfor %}",
    "{{ " + repeat("(", 100000) + "1" + repeat(")", 100000) + " }}",
    "{{ " + repeat("-", 100000) + "1 }}",
    "{{ " + repeat("not ", 100000) + "1 }}",
    "{{ 1" + repeat(" + 1", 100000) + " }}",
    "{{ x" + repeat(".x", 100000) + " }}",
    "{{ 1" + repeat(" | abs", 100000) + " }}",
    "{{ " + repeat("[", 100000) + " }}",
    repeat("{% if 1 %}", 100000),
    repeat("{% for x in y %}", 5000) + repeat("{% endfor %}", 5000),
    "{{ 1" + repeat(" if 1 else 1", 100000) + " }}",
    "{% set ns = namespace() %}{% set ns.a = ns %}{% for i in range(10 ** 7) %}{% endfor %}",
    "{{ [" + repeat("1,", 3000) +
        "] | map('tojson', indent=100) | join | length }}{{ range(2000000) | unique | list | length }}",
    "{% set l = range(3000) | list %}{% for i in l %}{{ l | sort | length }}{% endfor %}",
    "{% set l = 'x' * 1000000 %}{% for i in range(99999) %}{{ l | length }}{{ l is upper }}{% endfor %}"};
INSTANTIATE_TEST_SUITE_P(All, Bomb, testing::ValuesIn(kBombs));

TEST(TemplateLimits, AreTheOnesGiven) {
  TemplateLimits limits;
  limits.max_output_bytes = 10;
  RenderRequest request;
  request.messages = OrderedJson::array();
  EXPECT_TRUE(ChatTemplate::compile("1234567890", limits)->render(request).has_value());
  const auto over = ChatTemplate::compile("12345678901", limits)->render(request);
  ASSERT_FALSE(over.has_value());
  EXPECT_EQ(over.error().code, ErrorCode::kInvalidRequest);
  limits = {};
  limits.max_loop_turns = 10;
  EXPECT_TRUE(ChatTemplate::compile("{% for i in range(10) %}{% endfor %}", limits)->render(request).has_value());
  EXPECT_FALSE(ChatTemplate::compile("{% for i in range(11) %}{% endfor %}", limits)->render(request).has_value());
  limits = {};
  limits.max_depth = 3;
  const std::string recursive = "{% macro m(n) %}{{ m(n - 1) if n > 1 else 'x' }}{% endmacro %}{{ m(N) }}";
  const auto depth = [&](const char* n) {
    std::string source = recursive;
    source.replace(source.find('N'), 1, n);
    return ChatTemplate::compile(source, limits)->render(request).has_value();
  };
  EXPECT_TRUE(depth("3"));
  EXPECT_FALSE(depth("4"));
  limits = {};
  limits.max_source_bytes = 5;
  EXPECT_TRUE(ChatTemplate::compile("12345", limits).has_value());
  EXPECT_FALSE(ChatTemplate::compile("123456", limits).has_value());
  EXPECT_FALSE(ChatTemplate::compile("\xFF").has_value());
}

}  // namespace
}  // namespace mhub::text
