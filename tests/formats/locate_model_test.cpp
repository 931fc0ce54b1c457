// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "mhub/formats/model_config.h"
#include "support/gguf_builder.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace mhub::formats {
namespace {
using test::write_file;
using Kind = ModelLocation::Kind;

class Locate : public ::testing::Test {
 protected:
  void refused(const std::filesystem::path& path, const std::string& what, const std::string& hint = "") {
    const auto found = locate_model(path);
    ASSERT_FALSE(found) << "accepted, expected " << what;
    EXPECT_EQ(found.error().code, ErrorCode::kBadModel);
    EXPECT_NE(found.error().message.find(what), std::string::npos) << found.error().message;
    EXPECT_NE(found.error().hint.find(hint), std::string::npos) << found.error().hint;
  }
  const std::string gguf = test::GgufBuilder().tensor_f32("a", {1}, {1}).build();
  const std::string safetensors = test::SafetensorsBuilder().add_f32("a", {1}, {1}).build();
  test::TempDir dir;
};

TEST_F(Locate, Directories) {
  refused(dir.path(), "there is no config.json and no *.gguf");
  write_file(dir / "pytorch_model.bin", "x");
  refused(dir.path(), "only pickle weights (pytorch_model.bin)", "pickle can run code");
  write_file(dir / "config.json", "{}");
  refused(dir.path(), "only pickle weights");
  write_file(dir / "model.safetensors", safetensors);
  EXPECT_EQ(locate_model(dir.path())->kind, Kind::kSafetensorsDir);
  EXPECT_EQ(locate_model(dir.path())->path, dir.path());
  std::filesystem::remove(dir / "config.json");
  refused(dir.path(), "config.json is missing");
}

TEST_F(Locate, WhatIsNotThereIsNoBadModel) {
  const auto found = locate_model(dir / "absent");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kModelNotFound);
  EXPECT_NE(found.error().message.find("absent: no such file or directory"), std::string::npos);
}

TEST_F(Locate, DirectoryWithGguf) {
  write_file(dir / "config.json", "{}");
  refused(dir.path(), "there is a config.json, but no *.safetensors or *.gguf");
  write_file(dir / "m-00001-of-00002.gguf", gguf);
  write_file(dir / "m-00002-of-00002.gguf", gguf);
  write_file(dir / "mmproj-m.gguf", gguf);
  const auto found = locate_model(dir.path());
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->kind, Kind::kGguf);
  EXPECT_EQ(found->path.filename(), "m-00001-of-00002.gguf");
  write_file(dir / "other.gguf", gguf);
  refused(dir.path(), "2 GGUF models are there", "one of them");
}

TEST_F(Locate, FilesByContent) {  // F08
  write_file(dir / "anything", gguf);
  EXPECT_EQ(locate_model(dir / "anything")->kind, Kind::kGguf);
  const std::vector<std::pair<std::string, std::string>> contents = {{"PK\x03\x04zip", "pickle"},
                                                                     {"\x80\x02}q", "pickle"},
                                                                     {safetensors, "one safetensors file is no model"},
                                                                     {"", "not a GGUF file"},
                                                                     {"#!/bin/sh\n", "not a GGUF file"}};
  for (const char* name : {"m.gguf", "m.safetensors", "m", "m.txt", "m.zip"}) {
    for (const auto& [content, what] : contents) {
      SCOPED_TRACE(std::string(name) + ": " + what);
      write_file(dir / name, content);
      refused(dir / name, what);
    }
  }
  write_file(dir / "m.bin", "whatever");
  refused(dir / "m.bin", "pickle", "safetensors or GGUF");
}

}  // namespace
}  // namespace mhub::formats
