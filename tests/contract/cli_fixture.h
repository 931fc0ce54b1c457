// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "mhub/base/json.h"
#include "support/gguf_builder.h"
#include "support/process.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace mhub::test {

// Drives the built program ($MHUB_BIN) in a home of its own.
class CliTest : public ::testing::Test {
 protected:
  CliTest() {
    const char* program = std::getenv("MHUB_BIN");
    if (!program) throw std::runtime_error("MHUB_BIN is not set");
    program_ = program;
    options_.environment["MHUB_HOME"] = home().string();
  }
  std::filesystem::path home() const { return dir_ / "home"; }
  std::vector<std::string> command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), program_);
    return arguments;
  }
  ProcessResult mhub(const std::vector<std::string>& arguments) { return run_process(command(arguments), options_); }
  // A success; stdout parsed as one JSON document.
  Json json(const std::vector<std::string>& arguments) {
    const ProcessResult result = mhub(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
    auto value = parse_json(result.out);
    EXPECT_TRUE(value) << result.out;
    return value ? *std::move(value) : Json();
  }
  // A failure as the contract has it: nothing on stdout, exactly one line on stderr, "mhub: tried: happened; to do".
  std::string fails(const std::vector<std::string>& arguments, int exit_code) {
    const ProcessResult result = mhub(arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_TRUE(result.err.starts_with("mhub: ")) << result.err;
    EXPECT_NE(result.err.find("; "), std::string::npos) << "no advice: " << result.err;
    return result.err;
  }
  // The same with --json: the error object on stdout, nothing on stderr. Returns its "code".
  std::string fails_json(std::vector<std::string> arguments, int exit_code) {
    arguments.push_back("--json");
    const ProcessResult result = mhub(arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.out;
    EXPECT_EQ(result.err, "");
    const auto value = parse_json(result.out);
    if (!value || !value->contains("error")) {
      ADD_FAILURE() << "no error object: " << result.out;
      return "";
    }
    const Json& error = (*value)["error"];
    EXPECT_TRUE(error["message"].is_string() && error["hint"].is_string()) << result.out;
    return error.value("code", "");
  }

  // A small GGUF model; other values give other content.
  std::filesystem::path gguf_model(const std::string& name = "tiny.gguf", float value = 1) {
    write_file(dir_ / name, GgufBuilder()
                                .text("general.architecture", "llama")
                                .tensor_f32("token_embd.weight", {64, 16}, std::vector<float>(1024, value))
                                .build());
    return dir_ / name;
  }
  std::filesystem::path safetensors_model(const std::string& name = "model") {
    write_file(dir_ / name / "config.json", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})");
    write_file(dir_ / name / "model.safetensors", SafetensorsBuilder().add_f32("w", {4}, {1, 2, 3, 4}).build());
    return dir_ / name;
  }

  TempDir dir_;
  std::string program_;
  ProcessOptions options_;
};

}  // namespace mhub::test
