// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "random_answer.h"
#include "schema_judge.h"

namespace mhub::constraint::test {
namespace {

const char* const kSchemas[] = {
    R"({"type":"object"})",
    R"(true)",
    R"({})",
    R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150}},"required":["name","age"],"additionalProperties":false})",
    R"({"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":["string","null"],"maxLength":3},"c":{"type":"number"}},"required":["b"]})",
    R"({"properties":{"a":{"const":1},"b":{"enum":["x","y\"z",2.5,null,[1,{"k":"v"}]]}}})",
    R"({"type":"object","properties":{"ab":{"type":"integer"},"abc":{"type":"null"}},"additionalProperties":{"type":"boolean"}})",
    R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["a","zz"],"additionalProperties":{"type":"boolean"}})",
    R"({"type":"object","additionalProperties":{"type":"integer"},"minProperties":1,"maxProperties":3})",
    R"({"type":"array","items":{"type":"integer","minimum":-5,"maximum":5},"minItems":2,"maxItems":4})",
    R"({"type":"array","prefixItems":[{"type":"string","maxLength":2},{"type":"boolean"}],"items":{"type":"null"},"minItems":1})",
    R"({"type":"array","prefixItems":[{"type":"boolean"},{"type":"null"}],"items":false})",
    R"({"type":"array","items":{"type":"array","items":{"type":"array","items":{"enum":[0,1]}}}})",
    R"({"anyOf":[{"type":"integer"},{"type":"object","properties":{"x":{"$ref":"#"}},"required":["x"],"additionalProperties":false}]})",
    R"({"$defs":{"node":{"type":"object","properties":{"value":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["value","next"],"additionalProperties":false}},"$ref":"#/$defs/node"})",
    R"({"type":"string","minLength":3,"maxLength":6})",
    R"({"type":"string","pattern":"^[a-c]+\\d{2}$"})",
    R"({"type":"string","pattern":"ab|\\d"})",
    R"({"type":"string","pattern":"^a\"\\\\[!-a]{2}\\n$"})",
    R"({"type":"string","minLength":1,"anyOf":[{"maxLength":2},{"maxLength":4}]})",
    R"({"allOf":[{"$ref":"#/definitions/base"},{"required":["b"]}],"definitions":{"base":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"null"}},"required":["a"],"additionalProperties":false}}})",
    R"({"title":"T","description":"d","type":"number","exclusiveMinimum":0,"maximum":10,"default":1,"x-more":[1]})",
    R"({"enum":["only","these",3],"type":"string"})",
};

TEST(Schema, WhateverIsDrawnIsValid) {
  std::mt19937 random(11);
  MatcherPool pool(vocabulary());
  for (const char* text : kSchemas) {
    SCOPED_TRACE(text);
    const auto constraint = compiled(schema(text));
    const SchemaJudge judge(*parse_json(text));
    for (int i = 0; i < 40; ++i) {
      const std::string answer = random_answer(constraint, pool, random, 25);
      const auto value = parse_json(answer, {1 << 20, 400, 100'000});
      // A drawn object may hold a key twice; the last one counts, as everywhere.
      const Json parsed = value ? *value : Json::parse(answer, nullptr, false);
      ASSERT_FALSE(parsed.is_discarded()) << answer;
      EXPECT_TRUE(judge.valid(parsed)) << answer;
    }
  }
}

TEST(Schema, TheSeparatorsAreTheSpecs) {
  Spec spec = schema(
      R"({"type":"object","properties":{"a":{"type":"array","items":{"type":"integer"}},"b":{"type":"null"}},"required":["a","b"]})");
  const char* const tight = R"({"a": [1, 2], "b": null})";
  const char* const dense = R"({"a":[1,2],"b":null})";
  const char* const lines = "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": null\n}";
  EXPECT_TRUE(accepts(*compiled(spec), tight) && accepts(*compiled(spec), dense) && accepts(*compiled(spec), lines));
  EXPECT_FALSE(accepts(*compiled(spec), "{   \"a\":[1,2],\"b\":null}"));
  spec.any_whitespace = false;
  EXPECT_TRUE(accepts(*compiled(spec), tight));
  EXPECT_FALSE(accepts(*compiled(spec), dense) || accepts(*compiled(spec), lines));
  spec.any_whitespace = true;
  spec.whitespace_pattern = " *";
  EXPECT_TRUE(accepts(*compiled(spec), "{   \"a\":[1,  2],\"b\":null}"));
  EXPECT_FALSE(accepts(*compiled(spec), lines));
  spec.whitespace_pattern = "(";
  EXPECT_NE(refusal(spec).find("regex"), std::string::npos);
}

TEST(Schema, ForbidAdditionalWinsOverTheSchema) {
  Spec spec = schema(R"({"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":true})");
  EXPECT_TRUE(accepts(*compiled(spec), R"({"a":1,"b":2})"));
  spec.forbid_additional = true;
  EXPECT_FALSE(accepts(*compiled(spec), R"({"a":1,"b":2})"));
  EXPECT_TRUE(accepts(*compiled(spec), R"({"a":1})") && accepts(*compiled(spec), "{}"));
}

TEST(Schema, AdditionalKeysAreNotTheDeclaredOnes) {
  const auto constraint = compiled(schema(kSchemas[6]));
  for (const char* yes : {R"({"ab":1})", R"({"ab":1,"abc":null,"a":true,"abcd":false,"":true})", R"({"b":true})"}) {
    EXPECT_TRUE(accepts(*constraint, yes)) << yes;
  }
  for (const char* no : {R"({"ab":true})", R"({"b":true,"ab":1})", R"({"\u0061b":true})", R"({"a":1})"}) {
    EXPECT_FALSE(accepts(*constraint, no)) << no;
  }
}

TEST(Schema, StringsAreWellFormed) {
  const auto constraint = compiled(schema(R"({"type":"string"})"));
  for (const char* yes : {R"("")", R"("ä日😀")", R"("\n\t\"\\\/\b\f\r\u00e4\uD7ff\uE000")", "\"\x7f\""}) {
    EXPECT_TRUE(accepts(*constraint, yes)) << yes;
  }
  for (const char* no : {"\"\n\"", R"("\x")", R"("\u12")", R"("\ud800")", "\"\xff\"", R"(")", "'a'"}) {
    EXPECT_FALSE(accepts(*constraint, no)) << no;
  }
}

TEST(Schema, Formats) {
  const struct {
    const char* format;
    std::vector<const char*> yes, no;
  } cases[] = {{"date", {"2024-02-28", "1999-12-31"}, {"2024-02-30", "2024-13-01", "24-01-01", "2024-04-31"}},
               {"time", {"23:59:59Z", "00:00:00.125+01:00"}, {"24:00:00Z", "12:60:00Z", "12:00:00"}},
               {"date-time", {"2024-02-28T01:02:03Z"}, {"2024-02-28 01:02:03Z"}},
               {"duration", {"P3D", "PT1H30M", "P2W"}, {"P", "PT", "3D"}},
               {"uuid", {"123e4567-e89b-12d3-a456-426614174000"}, {"123e4567e89b12d3a456426614174000"}},
               {"ipv4", {"0.0.0.0", "255.10.199.249"}, {"256.1.1.1", "1.1.1", "01.1.1.1"}},
               {"email", {"a.b+c@example.org"}, {"a@b", "@x.org", "a b@x.org"}},
               {"hostname", {"a.example-1.org"}, {"-a.org", "a..b"}},
               {"uri", {"https://example.org/a?b=c#d"}, {"example.org", "http://"}}};
  for (const auto& c : cases) {
    const auto constraint = compiled(schema(std::string(R"({"type":"string","format":")") + c.format + "\"}"));
    for (const std::string yes : c.yes) EXPECT_TRUE(accepts(*constraint, '"' + yes + '"')) << c.format << yes;
    for (const std::string no : c.no) EXPECT_FALSE(accepts(*constraint, '"' + no + '"')) << c.format << no;
  }
}

TEST(Schema, RefusalsNameTheKeywordAndThePlace) {
  const std::pair<const char*, const char*> cases[] = {
      {"{", "malformed"},
      {"3", "a schema is neither"},
      {R"({"type":"object","properties":{"a":{"not":{}}}})", "the keyword not is not supported at #/properties/a"},
      {R"({"patternProperties":{}})", "patternProperties"},
      {R"({"type":"array","contains":{}})", "contains"},
      {R"({"if":{}})", "the keyword if"},
      {R"({"type":"array","uniqueItems":true})", "uniqueItems"},
      {R"({"type":"array","items":[{}]})", "items as a list"},
      {R"({"type":"integer","multipleOf":3})", "multipleOf"},
      {R"({"type":"text"})", "\"text\" is unknown"},
      {R"({"type":"string","format":"color"})", "the format color"},
      {R"x({"type":"string","pattern":"(?=a)"})x", "look-around"},
      {R"({"type":"string","pattern":"a","minLength":2})", "only one of"},
      {R"({"$ref":"#/$defs/none"})", "leads nowhere"},
      {R"({"$ref":"http://example.org/x"})", "leads out"},
      {R"({"type":"array","minItems":3,"maxItems":2})", "maxItems is below minItems"},
      {R"({"type":"array","minItems":-1})", "minItems is no whole number"},
      {R"({"type":"string","maxLength":1e300})", "maxLength is no whole number"},
      {R"({"enum":[]})", "no value is left"},
      {R"({"enum":[1],"type":"string"})", "no value is left"},
      {R"({"enum":["a"],"minLength":1})", "minLength beside enum"},
      {R"({"anyOf":[]})", "anyOf"},
      {R"({"anyOf":[{"minLength":1}],"minLength":2})", "minLength"},
      {R"({"type":"object","properties":{"a":{}},"minProperties":1})", "minProperties"},
      {R"({"required":["a"],"additionalProperties":false})", "required names a"},
      {R"({"required":[1]})", "required"},
      {R"({"type":"object","properties":{"x":{"$ref":"#"}},"required":["x"]})", "no text has the required form"},
      {R"({"type":"integer","minimum":"1"})", "minimum is no number"},
  };
  for (const auto& [text, words] : cases) {
    EXPECT_NE(refusal(schema(text)).find(words), std::string::npos) << text << ": " << refusal(schema(text));
  }
  std::string deep = "true";
  for (int i = 0; i < 50; ++i) deep = R"({"type":"array","items":)" + deep + "}";
  EXPECT_EQ(refusal(schema(deep)), "");
  for (int i = 0; i < 20; ++i) deep = R"({"type":"array","items":)" + deep + "}";
  EXPECT_NE(refusal(schema(deep)).find("nested"), std::string::npos);
  EXPECT_NE(refusal(schema(R"({"type":"string","minLength":90000})")).find("too large"), std::string::npos);
}

// `n` alternatives, each joined with the `length` bytes of a name that stand beside them.
std::string joined_schema(int n, size_t length) {
  std::string text = R"({"type":"object","required":[")" + std::string(length, 'a') + R"("],"anyOf":[)";
  for (int i = 0; i < n; ++i) text += i ? R"(,{"required":["b"]})" : R"({"required":["b"]})";
  return text + "]}";
}
std::string objects_members(int n) {
  std::string text = R"({"x-names":{)";
  for (int i = 0; i < n; ++i) text += (i ? ",\"" : "\"") + std::to_string(i) + "\":0";
  return text + "}}";
}

TEST(Schema, WhatAllJoinsCopyIsBounded) {
  EXPECT_EQ(refusal(schema(joined_schema(4, 1000))), "");
  EXPECT_NE(refusal(schema(joined_schema(1001, 1))).find("more than 1000 schemas are to be joined"), std::string::npos);
  // 40 copies of 100 KB are under 4 MiB, 43 are over it.
  EXPECT_EQ(refusal(schema(joined_schema(40, 100'000))).find("bytes of schemas are to be joined"), std::string::npos);
  EXPECT_NE(refusal(schema(joined_schema(43, 100'000))).find("more than 4194304 bytes of schemas are to be joined"),
            std::string::npos);
  // What stands beside a $ref is joined with what it names.
  std::string references =
      R"({"$defs":{"large":{"required":[")" + std::string(100'000, 'a') + R"("]}},"prefixItems":[)";
  for (int i = 0; i < 44; ++i) references += i ? R"(,{"$ref":"#/$defs/large","type":"object"})" : "true";
  EXPECT_NE(refusal(schema(references + "]}")).find("more than 4194304 bytes"), std::string::npos);
}
TEST(Schema, MembersOfAnObjectAndTypesAreBounded) {
  EXPECT_EQ(refusal(schema(objects_members(5000))), "");
  EXPECT_NE(refusal(schema(objects_members(5001))).find("more than 5000 members"), std::string::npos);
  EXPECT_NE(refusal(schema(R"({"enum":[1],"type":["null","null","null","null","null","null","null","integer"]})"))
                .find("more than 7 types"),
            std::string::npos);
}
TEST(Schema, ARequiredNameIsJoinedOnce) {
  const auto constraint = compiled(schema(
      R"({"type":"object","required":["a","a","b"],"allOf":[{"required":["b","c","c"]}],"additionalProperties":{"type":"null"}})"));
  EXPECT_TRUE(accepts(*constraint, R"({"a":null,"b":null,"c":null})"));
  EXPECT_FALSE(accepts(*constraint, R"({"a":null,"b":null})"));
}

TEST(Schema, ThousandsOfPropertiesAreQuick) {
  std::string text = R"({"type":"object","properties":{)";
  for (int i = 0; i < 3000; ++i)
    text += (i ? "," : "") + ("\"property" + std::to_string(i)) + R"(":{"type":"integer"})";
  const auto constraint = compiled(schema(text + "}}"));
  EXPECT_TRUE(accepts(*constraint, R"({"property7":1,"property2999":2})"));
  EXPECT_FALSE(accepts(*constraint, R"({"property7":1,"property6":2})")) << "they keep the order of the schema";
}

}  // namespace
}  // namespace mhub::constraint::test
