// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "mhub/text/chat_template.h"
#include "support/temp_dir.h"

namespace mhub::text {
namespace {

std::vector<std::pair<std::string, std::string>> read(const test::TempDir& dir) {
  const auto templates = read_chat_templates(dir.path());
  EXPECT_TRUE(templates.has_value());
  std::vector<std::pair<std::string, std::string>> out;
  if (templates) {
    for (const auto& t : *templates) out.emplace_back(t.name, t.source);
  }
  return out;
}
using Templates = std::vector<std::pair<std::string, std::string>>;

TEST(ChatTemplateFiles, TheOwnFileWinsOverTheConfig) {
  const test::TempDir dir;
  EXPECT_EQ(read(dir), Templates{});
  test::write_file(dir / "tokenizer_config.json", R"({"chat_template":"from config"})");
  EXPECT_EQ(read(dir), (Templates{{"default", "from config"}}));
  test::write_file(dir / "chat_template.json", R"({"chat_template":"from json"})");
  EXPECT_EQ(read(dir), (Templates{{"default", "from json"}}));
  test::write_file(dir / "chat_template.jinja", "from file");
  test::write_file(dir / "additional_chat_templates/tool_use.jinja", "with tools");
  EXPECT_EQ(read(dir), (Templates{{"default", "from file"}, {"tool_use", "with tools"}}));
}

TEST(ChatTemplateFiles, AListHasNames) {
  const test::TempDir dir;
  test::write_file(
      dir / "tokenizer_config.json",
      R"({"chat_template":[{"name":"default","template":"a"},{"name":"tool_use","template":"b"},{"name":"bad"}]})");
  EXPECT_EQ(read(dir), (Templates{{"default", "a"}, {"tool_use", "b"}}));
}

TEST(ChatTemplateFiles, DamageIsNamed) {
  const test::TempDir dir;
  test::write_file(dir / "tokenizer_config.json", "{");
  const auto damaged = read_chat_templates(dir.path());
  ASSERT_FALSE(damaged.has_value());
  EXPECT_EQ(damaged.error().code, ErrorCode::kBadModel);
  EXPECT_NE(damaged.error().message.find("tokenizer_config.json"), std::string::npos);
}

TEST(ChatTemplateFiles, Gguf) {
  formats::GgufFile gguf;
  gguf.metadata["tokenizer.chat_template"] = std::string("a");
  gguf.metadata["tokenizer.chat_template.tool_use"] = std::string("b");
  gguf.metadata["tokenizer.chat_templates"] = std::string("no");
  const auto templates = chat_templates_from_gguf(gguf);
  ASSERT_EQ(templates.size(), 2u);
  EXPECT_EQ(templates[0].name, "default");
  EXPECT_EQ(templates[1].name, "tool_use");
  EXPECT_EQ(templates[1].source, "b");
}

}  // namespace
}  // namespace mhub::text
