// SPDX-License-Identifier: Apache-2.0
// The template language, case by case. Expected texts are what jinja2 3.1 prints in the chat environment.
#include <gtest/gtest.h>

#include "mhub/text/chat_template.h"

namespace mhub::text {
namespace {

struct Case {
  std::string source, output;
};

std::string render(const std::string& source, const OrderedJson& context = OrderedJson::object()) {
  const auto compiled = ChatTemplate::compile(source);
  if (!compiled) return "compile: " + compiled.error().message;
  RenderRequest request;
  request.kwargs = context;
  request.now = "2025-03-04T09:26:53";
  const auto rendered = compiled->render(request);
  return rendered ? rendered->text : "error: " + rendered.error().message;
}

class Jinja : public testing::TestWithParam<Case> {};
TEST_P(Jinja, Prints) {
  EXPECT_EQ(render(GetParam().source), GetParam().output) << GetParam().source;
}

const std::vector<Case> kWhiteSpace = {{"a\n", "a"},
                                       {"a\n\n", "a\n"},
                                       {"a\r\nb\r", "a\nb"},
                                       {"  {% if true %}\n x\n  {% endif %}\ny", " x\ny"},
                                       {"a {%- if true %} b{% endif %}", "a b"},
                                       {"{{ 1 }}\n\n{{- 2 -}}\n 3", "123"},
                                       {"  {%+ if true %}x{% endif %}", "  x"},
                                       {"a {# c #}\nb", "a b"},
                                       {" {#- c -#} b", "b"},
                                       {"{{ 1 }}\n2", "1\n2"},
                                       {"x  {{ 1 }}", "x  1"},
                                       {"{% raw %}{{ x }}{% endraw %}", "{{ x }}"},
                                       {"{ % }", "{ % }"}};
INSTANTIATE_TEST_SUITE_P(WhiteSpace, Jinja, testing::ValuesIn(kWhiteSpace));

const std::vector<Case> kValues = {
    {"{{ 'a b c d e f g h i'|truncate(9) }}|{{ 'abcdefghijklmno'|truncate(9, true, '..', 0) }}", "a b c...|abcdefg.."},
    {"{{ 'h\u00e9llo w\u00f6rld foo'|truncate(11, false, '\u2026', 0) }}", "h\u00e9llo\u2026"},
    {"{{ 'foo  bar_baz, 12 x-y'|wordcount }}", "5"},
    {"{{ 'a b/\u00fc?&'|urlencode }}|{{ {'k y': 'v/&', 'n': 1}|urlencode }}|{{ [['a', 'b c']]|urlencode }}",
     "a%20b/%C3%BC%3F%26|k+y=v%2F%26&n=1|a=b+c"},
    {"{{ 1|filesizeformat }} {{ 999|filesizeformat }} {{ 12345|filesizeformat }} {{ 1048576|filesizeformat(true) }}",
     "1 Byte 999 Bytes 12.3 kB 1.0 MiB"},
    {"{% for k, v in [{'r': 'b', 'n': 1}, {'r': 'A', 'n': 2}, {'r': 'B', 'n': 3}, {'n': 4}]|groupby('r', default='a') "
     "%}"
     "{{ k }}={{ v|map(attribute='n')|list }};{% endfor %}",
     "A=[2, 4];b=[1, 3];"},
    {"{{ none }}{{ true }}{{ 1.0 }}{{ 1e16 }}{{ 1e-7 }}{{ 12345678901234567890 }}",
     "NoneTrue1.01e+161e-0712345678901234567890"},
    {"{{ [1, 'a', none] }}{{ (1,) }}{{ {'a': \"it's\"} }}", "[1, 'a', None](1,){'a': \"it's\"}"},
    {"{{ undefined_name }}|{{ undefined_name is defined }}", "|False"},
    {"{{ 'a' 'b' }}{{ '\\u00e9\\x41\\n\\q' }}", "ab\u00e9A\n\\q"},
    {"{{ 7 // 2 }}{{ -7 // 2 }}{{ -7 % 3 }}{{ 7 / 2 }}{{ 2 ** 3 }}{{ 7.5 // 2 }}", "3-423.583.0"},
    {"{{ 'ab' * 2 }}{{ [0] * 2 }}{{ [1] + [2] }}", "abab[0, 0][1, 2]"},
    {"{{ 1 < 2 < 3 }}{{ 1 == 1.0 }}{{ 'a' < 'b' }}{{ 1 in [1] }}{{ 'a' not in 'b' }}", "TrueTrueTrueTrueTrue"},
    {"{{ 'x' if false }}|{{ 1 if false else 2 }}", "|2"},
    {"{{ not 'a' in 'abc' }}", "False"},
    {"{{ 'héllo'[1] }}{{ 'héllo'[::-1] }}{{ 'héllo'[-2:] }}{{ [1,2,3][:2] }}",
     "éolléh"
     "lo[1, 2]"},
    {"{{ 'a' ~ 1 ~ none }}", "a1None"}};
INSTANTIATE_TEST_SUITE_P(Values, Jinja, testing::ValuesIn(kValues));

const std::vector<Case> kStatements = {
    {"{% for x in [1,2,3] if x > 1 %}{{ loop.index }}{{ loop.last }} {% else %}none{% endfor %}", "1False 2True "},
    {"{% for x in [] %}x{% else %}none{% endfor %}", "none"},
    {"{% set x = 1 %}{% for i in [1,2] %}{{ x }}{% set x = 2 %}{% endfor %}{{ x }}", "111"},
    {"{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "6"},
    {"{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}", "a1b2"},
    {"{% for x in range(9) %}{% if x == 1 %}{% continue %}{% elif x == 4 %}{% break %}{% endif %}{{ x }}"
     "{% endfor %}",
     "023"},
    {"{% macro m(a, b='x') %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}{{ m(a=2, b=3) }}", "[1x][23]"},
    {"{% macro m() %}{{ v }}{% endmacro %}{% set v = 1 %}{% for v in [2] %}{{ m() }}{% endfor %}", "1"},
    {"{% macro w() %}<{{ caller('x') }}>{% endmacro %}{% call(a) w() %}{{ a }}y{% endcall %}", "<xy>"},
    {"{% set t %}a{{ 1 }}{% endset %}{{ t }}{% set u | upper %}b{% endset %}{{ u }}", "a1B"},
    {"{% filter upper | trim %} ab {% endfilter %}", "AB"},
    {"{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}", "3"},
    {"{% generation %}x{% endgeneration %}", "x"},
    {"{% set a, b = 1, 2 %}{{ a }}{{ b }}", "12"},
    {"{% for i in [1, [2, [3]]] recursive %}{{ loop(i) if i is iterable else i }}{{ loop.depth }} {% endfor %}",
     "11 22 33 2 1 "},
    {"{% for i in 'ab' %}{{ loop.cycle('x', 'y') }}{{ loop.previtem is defined }}{{ loop.nextitem }}{% endfor "
     "%}",
     "xFalseb"
     "yTrue"}};
INSTANTIATE_TEST_SUITE_P(Statements, Jinja, testing::ValuesIn(kStatements));

const std::vector<Case> kFiltersAndTests = {
    {"{{ {'b': [1, none, 'é\\n'], 'a': 1.5} | tojson }}", "{\"b\": [1, null, \"é\\n\"], \"a\": 1.5}"},
    {"{{ {'a': [], 'b': [1]} | tojson(indent=2) }}", "{\n  \"a\": [],\n  \"b\": [\n    1\n  ]\n}"},
    {"{{ ['b', 'A', 'c'] | sort | join(',') }}{{ {'b': 1, 'A': 2} | dictsort }}", "A,b,c[('A', 2), ('b', 1)]"},
    {"{{ [{'n': 1}, {'n': 2}] | map(attribute='n') | list }}{{ [1, 2, 3] | select('odd') | list }}", "[1, 2][1, 3]"},
    {"{{ [{'k': 1}, {}] | selectattr('k', 'defined') | list | length }}", "1"},
    {"{{ [{'k': 'a'}, {'k': 'b'}] | rejectattr('k', 'equalto', 'a') | list }}", "[{'k': 'b'}]"},
    {"{{ '  a ' | trim }}{{ 'ab' | upper | lower | capitalize }}{{ 'a b-c' | title }}", "aAbA B-C"},
    {"{{ x | default('d') }}{{ '' | default('d', true) }}{{ none | default('d') }}", "ddNone"},
    {"{{ 'a\nb\n\nc' | indent(2) }}|{{ 'a\nb' | indent(2, true) }}", "a\n  b\n\n  c|  a\n  b"},
    {"{{ [3, 1, 2] | min }}{{ [3, 1, 2] | max }}{{ [1, 2] | sum }}{{ [1, 1, 2] | unique | list }}", "133[1, 2]"},
    {"{{ '42' | int + 1 }}{{ 'x' | int(7) }}{{ '1.5' | float }}{{ 2.5 | round }}{{ -3 | abs }}", "4371.52.03"},
    {"{{ [1,2,3] | first }}{{ [1,2,3] | last }}{{ [1,2] | reverse | list }}{{ 'ab' | list }}", "13[2, 1]['a', 'b']"},
    {"{{ [1,2,3] | batch(2) | list }}", "[[1, 2], [3]]"},
    {"{{ '<' ~ '&' }}{{ '<' | e }}{{ '<a>' + ('<b>' | safe) }}", "<&&lt;&lt;a&gt;<b>"},
    {"{{ 'a' is string }}{{ {} is mapping }}{{ [] is sequence }}{{ 1 is number }}{{ none is none }}",
     "TrueTrueTrueTrueTrue"},
    {"{{ 4 is divisibleby 2 }}{{ 3 is odd }}{{ 1 is in [1] }}{{ 1 is not none }}{{ true is boolean }}",
     "TrueTrueTrueTrueTrue"}};
INSTANTIATE_TEST_SUITE_P(FiltersAndTests, Jinja, testing::ValuesIn(kFiltersAndTests));

const std::vector<Case> kMethods = {
    {"{{ 'a,b,,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a-b-c'.rsplit('-', 1) }}",
     "['a', 'b', '', 'c']['a', 'b']['a-b', 'c']"},
    {"{{ 'xxaxx'.strip('x') }}{{ 'ab'.startswith(('b', 'a')) }}{{ 'a-b'.replace('-', '+') }}", "aTruea+b"},
    {"{{ 'abc'.find('c') }}{{ 'aba'.count('a') }}{{ 'a,b'.partition(',') }}{{ '-'.join(['a', 'b']) }}",
     "22('a', ',', 'b')a-b"},
    {"{{ '%s=%03d %.2f%%' % ('a', 7, 1.5) }}{{ '{} {} {k:>3}|'.format('a', 'b', k=1) }}", "a=007 1.50%a b   1|"},
    {"{{ {'a': 1}.get('b') }}{{ {'a': 1}.get('b', 2) }}{{ {'items': 3}['items'] }}{{ {'a': 1}.keys() | list }}",
     "None23['a']"},
    {"{{ strftime_now('%d %b %Y %H:%M %A') }}", "04 Mar 2025 09:26 Tuesday"},
    {"{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set j = joiner('|') %}"
     "{{ j() }}{{ j() }}",
     "aba|"}};
INSTANTIATE_TEST_SUITE_P(Methods, Jinja, testing::ValuesIn(kMethods));

std::string failure(const std::string& source) {
  const std::string out = render(source);
  EXPECT_TRUE(out.starts_with("error: ") || out.starts_with("compile: ")) << source << " gave " << out;
  return out;
}

TEST(JinjaErrors, NameTheLineAndWhatHappened) {
  EXPECT_EQ(failure("\n\n{{ 'x' + 1 }}"),
            "error: rendering the chat template, line 3: can only concatenate str (not \"int\") to str");
  EXPECT_EQ(failure("a\n{% if true %}"),
            "compile: compiling the chat template: line 2: unexpected end of the template: a block of line 2 is not "
            "closed by "
            "'elif' or 'else' or 'endif'");
  EXPECT_NE(failure("{% include 'x' %}").find("'include'"), std::string::npos);
  EXPECT_NE(failure("{{ 'x' | nofilter }}").find("nofilter"), std::string::npos);
  EXPECT_NE(failure("{{ 1 is notest }}").find("notest"), std::string::npos);
  EXPECT_NE(failure("{{ a.b.c }}").find("'a' is undefined"), std::string::npos);
  EXPECT_NE(failure("{{ none | length }}").find("NoneType"), std::string::npos);
  EXPECT_NE(failure("{% for x in none %}{% endfor %}").find("not iterable"), std::string::npos);
  EXPECT_NE(failure("{{ undefined_name | tojson }}").find("not JSON serializable"), std::string::npos);
  EXPECT_NE(failure("{{ [1] | map('upper') | tojson }}").find("generator"), std::string::npos);
  EXPECT_NE(failure("{{ 1 + 2 ~ 3 }}").find("'int' and 'str'"), std::string::npos) << "~ binds tighter";
  EXPECT_NE(failure("{{ 1 / 0 }}").find("zero"), std::string::npos);
  EXPECT_NE(failure("{{ }}").find("expected an expression"), std::string::npos);
  EXPECT_NE(failure("{% break %}").find("outside of a loop"), std::string::npos);
  EXPECT_NE(failure("{{ 'a").find("not closed"), std::string::npos);
  EXPECT_NE(failure("{{ (1 }}").find("unexpected"), std::string::npos);
}

TEST(JinjaSandbox, NothingOfTheHostIsReachable) {
  for (const char* source :
       {"{{ x.append(1) }}", "{{ d.update({'a': 1}) }}", "{{ d.pop('a') }}", "{{ ''.__class__.__mro__ }}",
        "{{ x.__class__() }}", "{{ namespace.__init__.__globals__ }}", "{{ self }}{{ self.x.y }}",
        "{{ raise_exception.__globals__['os'] }}", "{{ ''.format_map({}) }}", "{% import 'os' as os %}",
        "{% extends 'x' %}", "{{ cycler.__init__.__globals__.os.popen('id').read() }}", "{{ lipsum.__globals__ }}",
        "{{ config.items() }}", "{{ '{0.__class__}'.format(1) }}"}) {
    const std::string out = render(source, {{"x", {1}}, {"d", {{"a", 1}}}});
    EXPECT_TRUE(out.starts_with("error: ") || out.starts_with("compile: ")) << source << " gave " << out;
  }
  EXPECT_EQ(render("{{ ''.__class__ }}"), "");
}

}  // namespace
}  // namespace mhub::text
