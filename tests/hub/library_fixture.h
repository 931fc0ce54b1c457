// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "mhub/hub/model_library.h"
#include "support/gguf_builder.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace mhub::hub::test {

using mhub::test::read_file;
using mhub::test::TempDir;
using mhub::test::write_file;
namespace fs = std::filesystem;

inline std::string gguf_file(float value = 1) {
  return mhub::test::GgufBuilder()
      .text("general.architecture", "llama")
      .tensor_f32("token_embd.weight", {4, 2}, std::vector<float>(8, value))
      .build();
}

inline std::string safetensors_file(float value = 1) {
  return mhub::test::SafetensorsBuilder().add_f32("model.norm.weight", {4}, std::vector<float>(4, value)).build();
}

// A directory as a download leaves it, with a subdirectory.
inline void write_model_directory(const fs::path& dir, float value = 1) {
  write_file(dir / "config.json", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})");
  write_file(dir / "model.safetensors", safetensors_file(value));
  write_file(dir / "onnx/notes.txt", "notes");
}

// A library in an empty home, and a directory for sources on the same file system.
class LibraryTest : public ::testing::Test {
 protected:
  LibraryTest() {
    config_.home = dir_ / "home";
    reopen();
  }
  void reopen() {
    library_.reset();
    auto opened = ModelLibrary::open(config_);
    if (!opened) throw std::runtime_error(opened.error().one_line());
    library_ = *std::move(opened);
  }
  registry::ModelRecord import(const fs::path& path, const std::string& name = "") {
    auto model = library_->import(path, name);
    EXPECT_TRUE(model) << model.error().one_line();
    return model ? *std::move(model) : registry::ModelRecord();
  }
  ErrorCode find_code(const std::string& model) {
    auto found = library_->find(model);
    return found ? ErrorCode::kInternal : found.error().code;
  }
  bool partial_is_empty() { return !fs::exists(config_.home / "partial") || fs::is_empty(config_.home / "partial"); }

  TempDir dir_;
  HubConfig config_;
  std::unique_ptr<ModelLibrary> library_;
};

}  // namespace mhub::hub::test
