// SPDX-License-Identifier: Apache-2.0
// The examples of docs/download.md, docs/provisioning.md and docs/memory.md are run: every line of their ```sh blocks,
// against a loopback hub that stands for both public ones.
#include <gmock/gmock.h>

#include <sstream>

#include "contract/cli_fixture.h"
#include "support/fake_hub.h"

namespace mhub::test {
namespace {

namespace fs = std::filesystem;

struct Examples {
  std::vector<std::string> commands;
  std::string yaml;
};

Examples examples_of(const std::string& page) {
  Examples examples;
  std::istringstream in(page);
  std::string fence;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("```")) {
      fence = fence.empty() ? line.substr(3) : "";
    } else if (fence == "sh" && !line.empty()) {
      examples.commands.push_back(line);
    } else if (fence == "yaml") {
      examples.yaml += line + "\n";
    }
  }
  return examples;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

class DocsExamples : public CliTest {
 protected:
  DocsExamples() {
    const std::string config = source("tests/data/deepseek-r1/distill-qwen-1.5b.json");
    hub_.set_file("config.json", config);
    hub_.set_file("model.safetensors", SafetensorsBuilder().add_f32("w", {4}, {1, 2, 3, 4}).build());
    hub_.set_hook([](const HubRequest& request, HubReply& reply) {
      if (request.path == "/api/whoami-v2") {
        reply = HubReply();
        reply.body = R"({"name":"ada"})";
      }
      if (request.path == "/api/models") {
        reply = HubReply();
        reply.body = R"([{"id":"org/name"}])";
      }
    });
    options_.environment["MODELSCOPE_ENDPOINT"] = hub_.url();
    options_.environment["HF_ENDPOINT"] = hub_.url();
    options_.environment["TOKEN"] = "a-token";
    options_.environment["HOME"] = dir_.path().string();
    write_file(dir_ / "config.json", config);
  }
  static std::string source(const std::string& path) {
    return read_file(std::string(std::getenv("MHUB_SOURCE_DIR")) + "/" + path);
  }
  void run_page(const std::string& page, size_t fewest) {
    const Examples examples = examples_of(source(page));
    EXPECT_GE(examples.commands.size(), fewest);
    if (!examples.yaml.empty()) {
      write_file(dir_ / "site.yaml", replaced(examples.yaml, "Qwen/Qwen2.5-0.5B-Instruct", "org/name"));
    }
    for (const std::string& line : examples.commands) {
      ASSERT_TRUE(line.starts_with("mhub ")) << line;
      const std::string command = replaced(line, "Qwen/Qwen2.5-0.5B-Instruct", "org/name");
      const std::string script = "cd '" + dir_.path().string() + "'; mhub() { '" + program_ + "' \"$@\"; }; " + command;
      const ProcessResult result = run_process({"/bin/sh", "-c", script}, options_);
      EXPECT_EQ(result.exit_code, 0) << page << ": " << line << "\n" << result.err << result.out;
    }
  }
  FakeHub hub_;
};

TEST_F(DocsExamples, Download) {
  run_page("docs/download.md", 15);
}
TEST_F(DocsExamples, Provisioning) {
  run_page("docs/provisioning.md", 6);
  EXPECT_TRUE(fs::exists(dir_ / "units/mhub-chat.service"));
  EXPECT_TRUE(fs::exists(dir_ / "mhub.lock"));
}
TEST_F(DocsExamples, Memory) {
  run_page("docs/memory.md", 2);
}

}  // namespace
}  // namespace mhub::test
