// SPDX-License-Identifier: Apache-2.0
// docs/cli.md sections 1 to 3 for the commands that need no network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "cli_fixture.h"

namespace mhub::test {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

using Cli = CliTest;

TEST_F(Cli, NoArgumentsPrintHelpAndExit2) {
  const auto result = mhub({});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.out, ::testing::AllOf(HasSubstr("list"), HasSubstr("verify"), HasSubstr("import")));
}

TEST_F(Cli, VersionAndHelp) {
  EXPECT_TRUE(std::regex_match(mhub({"--version"}).out, std::regex(R"(mhub \d+\.\d+\.\d+\n)")));
  for (const char* command : {"list", "show", "verify", "rm", "import"}) {
    const auto help = mhub({command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_THAT(help.out, ::testing::AllOf(HasSubstr("Examples:"), HasSubstr("--json"))) << command;
  }
}

TEST_F(Cli, WrongUseIsOneLineAndExit2) {
  EXPECT_THAT(fails({"frobnicate"}, 2), HasSubstr("there is no command frobnicate; `mhub --help`"));
  EXPECT_THAT(fails({"lst"}, 2), HasSubstr("there is no command lst; did you mean list?"));
  EXPECT_THAT(fails({"list", "--bogus"}, 2), HasSubstr("list has no option --bogus; see `mhub list --help`"));
  EXPECT_THAT(fails({"serve", "tiny", "--prot", "1"}, 2), HasSubstr("no option --prot; did you mean --port?"));
  EXPECT_THAT(fails({"du", "more"}, 2), HasSubstr("du takes no argument more"));
  EXPECT_THAT(fails({"show"}, 2), HasSubstr("MODEL"));
  fails({"import", gguf_model().string(), "--name", "a/b/c"}, 2);
  EXPECT_THAT(fails({"import", (dir_ / "absent").string()}, 2), HasSubstr("PATH: Path does not exist"));
  EXPECT_EQ(fails_json({"show"}, 2), "usage");
}

TEST_F(Cli, SamplingDefaultsThatCannotBeAreAUsageError) {
  const std::pair<const char*, const char*> cases[] = {{"{", "malformed"},
                                                       {"[1]", "not a JSON object"},
                                                       {R"({"temperature":3})", "temperature must be in [0, 2]"},
                                                       {R"({"top_k":1.5})", "top_k must be a whole number"},
                                                       {R"({"max_new_tokens":0})", "max_new_tokens"},
                                                       {R"({"warmth":1})", "warmth is no sampling default"}};
  for (const auto& [json, words] : cases) {
    EXPECT_THAT(fails({"serve", "tiny", "--override-generation-config", json}, 2), HasSubstr(words));
  }
}

TEST_F(Cli, BadEnvironmentNamesTheVariable) {
  for (const auto& [name, value] : std::map<std::string, std::string>{{"MHUB_SOURCE", "github"},
                                                                      {"MHUB_RETRIES", "many"},
                                                                      {"MHUB_TIMEOUT", "-1"},
                                                                      {"MHUB_STALL_TIMEOUT", "nan"},
                                                                      {"MHUB_MAX_WORKERS", "0"},
                                                                      {"MHUB_REGISTRY_TIMEOUT", "1s"},
                                                                      {"HF_ENDPOINT", "http://user@host"},
                                                                      {"MODELSCOPE_ENDPOINT", "ftp://host"}}) {
    options_.environment[name] = value;
    EXPECT_THAT(fails({"list"}, 2), HasSubstr(name));
    options_.environment.erase(name);
  }
}

TEST_F(Cli, HomeFollowsXdgAndHome) {
  options_.environment = {{"HOME", (dir_ / "user").string()}};
  ASSERT_EQ(mhub({"list"}).exit_code, 0);
  EXPECT_TRUE(fs::exists(dir_ / "user/.local/share/mhub/registry.db"));
  options_.environment["XDG_DATA_HOME"] = (dir_ / "data").string();
  ASSERT_EQ(mhub({"list"}).exit_code, 0);
  EXPECT_TRUE(fs::exists(dir_ / "data/mhub/registry.db"));
  options_.environment.clear();
  EXPECT_THAT(fails({"list"}, 2), HasSubstr("MHUB_HOME"));
}

TEST_F(Cli, AnEmptyStoreListsNothing) {
  const auto text = mhub({"list"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_EQ(text.out, "");
  EXPECT_THAT(text.err, HasSubstr("mhub download"));
  EXPECT_EQ(json({"list", "--json"}), Json::parse(R"({"models": []})"));
}

TEST_F(Cli, ImportListShowVerifyRemove) {
  const auto imported = mhub({"import", gguf_model().string(), "--name", "tiny"});
  ASSERT_EQ(imported.exit_code, 0) << imported.err;
  const std::string path = imported.out.substr(0, imported.out.size() - 1);
  EXPECT_TRUE(fs::exists(fs::path(path) / "tiny.gguf")) << "the last line of stdout is the directory";
  const Json second = json({"import", safetensors_model().string(), "--name", "org/st", "--json"});
  EXPECT_EQ(second["name"], "org/st");

  const Json listed = json({"list", "--json"});
  ASSERT_EQ(listed["models"].size(), 2u);
  const Json& model = listed["models"][0];
  std::vector<std::string> keys;
  for (const auto& [key, value] : model.items()) keys.push_back(key);
  EXPECT_THAT(keys, ::testing::UnorderedElementsAre("name", "source", "revision", "commit", "path", "bytes", "files",
                                                    "format", "quantization", "architecture", "aliases", "verified",
                                                    "pinned", "complete"));
  EXPECT_EQ(model["name"], "local/tiny");
  EXPECT_EQ(model["source"], "local");
  EXPECT_EQ(model["path"], path);
  EXPECT_EQ(model["bytes"], fs::file_size(dir_ / "tiny.gguf"));
  EXPECT_EQ(model["files"], 1);
  EXPECT_EQ(model["format"], "gguf");
  EXPECT_EQ(model["quantization"], "F32");
  EXPECT_EQ(model["aliases"], Json::array());
  EXPECT_TRUE(
      std::regex_match(model["verified"].get<std::string>(), std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  const auto table = mhub({"list"});
  EXPECT_THAT(table.out, ::testing::AllOf(HasSubstr("NAME"), HasSubstr("local/tiny"), HasSubstr("LlamaForCausalLM")));
  EXPECT_EQ(table.out.find('\x1b'), std::string::npos) << "no colours into a pipe";

  const Json shown = json({"show", "tiny", "--json"});
  EXPECT_EQ(shown["path"], path);
  EXPECT_EQ(shown["file_list"][0]["path"], "tiny.gguf");
  EXPECT_EQ(shown["file_list"][0]["sha256"].get<std::string>().size(), 64u);
  EXPECT_THAT(mhub({"show", "org/st"}).out, HasSubstr("model.safetensors"));

  EXPECT_THAT(mhub({"verify", "tiny"}).out, HasSubstr("all good"));
  const Json summary = json({"verify", "tiny", "--json"});
  EXPECT_EQ(summary["event"], "summary");
  EXPECT_EQ(summary["ok"], true);

  const Json removed = json({"rm", "tiny", "--json"});
  EXPECT_EQ(removed["removed"][0]["name"], "local/tiny");
  EXPECT_EQ(removed["freed_bytes"], model["bytes"]);
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(fs::exists(dir_ / "tiny.gguf"));
  EXPECT_THAT(mhub({"rm", "org/st"}).out, HasSubstr("removed org/st"));
  EXPECT_EQ(json({"list", "--json"})["models"].size(), 0u);
}

TEST_F(Cli, DamageIsExit4) {
  const std::string path = json({"import", gguf_model().string(), "--name", "tiny", "--json"})["path"];
  fs::resize_file(fs::path(path) / "tiny.gguf", 100);
  const auto text = mhub({"verify", "tiny"});
  EXPECT_EQ(text.exit_code, 4);
  EXPECT_THAT(text.out, HasSubstr("tiny.gguf: damaged: 100 bytes"));
  EXPECT_EQ(std::count(text.err.begin(), text.err.end(), '\n'), 1);
  const auto events = mhub({"verify", "tiny", "--json"});
  EXPECT_EQ(events.exit_code, 4);
  EXPECT_EQ(events.err, "");
  const size_t line_end = events.out.find('\n');
  EXPECT_EQ(Json::parse(events.out.substr(0, line_end))["event"], "problem");
  const Json summary = Json::parse(events.out.substr(line_end + 1));
  EXPECT_EQ(summary["event"], "summary");
  EXPECT_EQ(summary["problems"], 1);
  EXPECT_EQ(summary["ok"], false);
}

TEST_F(Cli, UnknownModelsAreExit6) {
  for (const char* command : {"show", "verify", "rm"}) {
    EXPECT_THAT(fails({command, "org/unknown"}, 6), HasSubstr("org/unknown"));
    EXPECT_EQ(fails_json({command, "org/unknown"}, 6), "model_not_found");
    fails({command, (dir_ / "no-such.gguf").string()}, 6);
  }
  EXPECT_THAT(fails({"inspect", "./no-such"}, 6), HasSubstr("no such file"));
}

TEST_F(Cli, BadModelsAreExit7AndLeaveNothing) {
  const std::string good = read_file(gguf_model());
  for (int cut = 0; cut < 20; ++cut) {
    write_file(dir_ / "cut.gguf", good.substr(0, good.size() * static_cast<size_t>(cut) / 20));
    fails({"import", (dir_ / "cut.gguf").string()}, 7);
    fails({"show", (dir_ / "cut.gguf").string()}, 7);
  }
  const auto model = safetensors_model();
  const std::string whole = read_file(model / "model.safetensors");
  for (const std::string& bad : {whole.substr(0, 4), whole.substr(0, 20), whole + "x",
                                 SafetensorsBuilder::file("{\"w\": 5}", ""), SafetensorsBuilder::file("{", "")}) {
    write_file(model / "model.safetensors", bad);
    fails({"import", model.string()}, 7);
  }
  EXPECT_EQ(fails_json({"import", model.string()}, 7), "bad_model");
  EXPECT_EQ(json({"list", "--json"})["models"].size(), 0u);
  EXPECT_FALSE(fs::exists(home() / "models"));
}

TEST_F(Cli, UnsafeNamesAreExit8) {
  const auto model = safetensors_model();
  write_file(model / "\x1b[31mred", "x");
  const std::string line = fails({"import", model.string()}, 8);
  EXPECT_EQ(line.find('\x1b'), std::string::npos) << "escaped for the terminal";
}

TEST_F(Cli, ColoursAndQuestionsOnATerminalOnly) {
  ASSERT_EQ(mhub({"import", gguf_model().string(), "--name", "tiny"}).exit_code, 0);
  EXPECT_THAT(run_on_terminal(command({"list"}), "", options_).out, HasSubstr("\x1b[1m"));

  const auto kept = run_on_terminal(command({"rm", "tiny"}), "n\n", options_);
  EXPECT_EQ(kept.exit_code, 0);
  EXPECT_THAT(kept.out, HasSubstr("[y/N]"));
  EXPECT_EQ(json({"list", "--json"})["models"].size(), 1u);

  const auto unasked = run_on_terminal(command({"rm", "tiny", "--yes"}), "", options_);
  EXPECT_EQ(unasked.out.find("[y/N]"), std::string::npos);
  EXPECT_EQ(json({"list", "--json"})["models"].size(), 0u);

  ASSERT_EQ(mhub({"import", gguf_model().string(), "--name", "tiny"}).exit_code, 0);
  run_on_terminal(command({"rm", "tiny"}), "y\n", options_);
  EXPECT_EQ(json({"list", "--json"})["models"].size(), 0u);
}

}  // namespace
}  // namespace mhub::test
