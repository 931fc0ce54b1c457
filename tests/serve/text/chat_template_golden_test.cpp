// SPDX-License-Identifier: Apache-2.0
// Published chat templates against stored renderings of the reference. Needs MHUB_SHARED_DIR; skipped without.
#include <gtest/gtest.h>

#include "mhub/text/chat_template.h"
#include "support/shared_dir.h"
#include "support/temp_dir.h"

namespace mhub::text {
namespace {

OrderedJson read_json(const std::filesystem::path& file) {
  return OrderedJson::parse(test::read_file(file));
}

std::filesystem::path templates_dir() {
  const auto shared = test::shared_dir();
  return shared ? *shared / "templates" : std::filesystem::path();
}

std::optional<std::string> optional_text(const OrderedJson& json, const char* key) {
  return json.contains(key) && json[key].is_string() ? std::optional(json[key].get<std::string>()) : std::nullopt;
}

TEST(ChatTemplateGolden, AllTemplatesAndConversations) {
  if (templates_dir().empty()) GTEST_SKIP() << "no MHUB_SHARED_DIR";
  const OrderedJson golden = read_json(templates_dir() / "golden.json");
  int cases = 0;
  for (const auto& [file, entry] : golden["templates"].items()) {
    const auto compiled = ChatTemplate::compile(test::read_file(templates_dir() / file));
    ASSERT_TRUE(compiled.has_value()) << file << ": " << compiled.error().one_line();
    for (const OrderedJson& wanted : entry["cases"]) {
      const std::string name = wanted["conversation"];
      const OrderedJson& conversation = golden["conversations"][name];
      RenderRequest request;
      request.messages = conversation["messages"];
      request.tools = conversation["tools"];
      request.documents = conversation["documents"];
      request.add_generation_prompt = conversation["add_generation_prompt"];
      request.continue_final_message = conversation["continue_final_message"];
      request.kwargs = conversation["kwargs"];
      request.bos_token = optional_text(entry, "bos_token");
      request.eos_token = optional_text(entry, "eos_token");
      request.now = golden["now"].get<std::string>();
      const auto rendered = compiled->render(request);
      ++cases;
      if (wanted.contains("output")) {
        ASSERT_TRUE(rendered.has_value()) << file << " " << name << ": " << rendered.error().one_line();
        EXPECT_EQ(rendered->text, wanted["output"].get<std::string>()) << file << " " << name;
      } else {
        EXPECT_FALSE(rendered.has_value()) << file << " " << name << " should fail: " << wanted["error"];
        if (rendered.has_value() || wanted["error_kind"] != "raise") continue;
        EXPECT_EQ(rendered.error().message, wanted["error"].get<std::string>()) << file << " " << name;
        EXPECT_EQ(rendered.error().code, ErrorCode::kInvalidRequest);
      }
    }
  }
  EXPECT_GT(cases, 900);
}

TEST(ChatTemplateGolden, Micro) {
  if (templates_dir().empty()) GTEST_SKIP() << "no MHUB_SHARED_DIR";
  const OrderedJson micro = read_json(templates_dir() / "micro.json");
  for (const OrderedJson& entry : micro["cases"]) {
    const std::string label = entry["id"].get<std::string>() + " " + entry["template"].get<std::string>();
    const auto compiled = ChatTemplate::compile(entry["template"]);
    if (!compiled) {
      EXPECT_TRUE(entry.contains("error")) << label << ": " << compiled.error().one_line();
      continue;
    }
    RenderRequest request;
    request.kwargs = entry["context"];
    request.messages = OrderedJson::array();
    request.now = micro["now"].get<std::string>();
    const auto rendered = compiled->render(request);
    if (entry.contains("output")) {
      ASSERT_TRUE(rendered.has_value()) << label << ": " << rendered.error().one_line();
      EXPECT_EQ(rendered->text, entry["output"].get<std::string>()) << label;
    } else {
      EXPECT_FALSE(rendered.has_value()) << label;
    }
  }
}

}  // namespace
}  // namespace mhub::text
