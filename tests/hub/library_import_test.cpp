// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "library_fixture.h"
#include "store/sha256.h"

namespace mhub::hub {
namespace {
using namespace test;
using ::testing::HasSubstr;

using Import = LibraryTest;

TEST_F(Import, ADirectoryOfSafetensors) {
  write_model_directory(dir_ / "source");
  const auto model = import(dir_ / "source", "mine");
  EXPECT_EQ(model.name, "local/mine");
  EXPECT_EQ(model.source, "local");
  EXPECT_EQ(model.format, "safetensors");
  EXPECT_EQ(model.quantization, "F32");
  EXPECT_EQ(model.architecture, "LlamaForCausalLM");
  EXPECT_TRUE(model.in_store);
  EXPECT_TRUE(model.complete);
  EXPECT_EQ(model.commit.size(), 40u);
  EXPECT_EQ(model.path, (config_.home / "models/local/local/mine" / model.commit).string());
  ASSERT_EQ(model.files.size(), 3u);
  for (const auto& file : model.files) {
    const std::string content = read_file(fs::path(model.path) / file.path);
    EXPECT_EQ(content, read_file(dir_ / "source" / file.path));
    EXPECT_EQ(file.sha256, sha256_hex(content));
    EXPECT_EQ(file.bytes, content.size());
  }
  EXPECT_EQ(fs::hard_link_count(fs::path(model.path) / "model.safetensors"), 2u) << "linked, not copied";
  EXPECT_TRUE(partial_is_empty());
  reopen();
  const auto found = library_->find("local/mine");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->files.size(), 3u);
  EXPECT_TRUE(library_->verify("local/mine", {})->problems.empty());
}

TEST_F(Import, AGgufFileWithoutItsNeighbours) {
  write_file(dir_ / "in/tiny.F32.gguf", gguf_file());
  write_file(dir_ / "in/other.txt", "x");
  const auto model = import(dir_ / "in/tiny.F32.gguf");
  EXPECT_EQ(model.name, "local/tiny.F32");
  EXPECT_EQ(model.format, "gguf");
  EXPECT_EQ(model.quantization, "F32");
  ASSERT_EQ(model.files.size(), 1u);
  EXPECT_EQ(model.files[0].path, "tiny.F32.gguf");
}

TEST_F(Import, EveryPartOfASplitGguf) {
  for (uint32_t part = 0; part < 2; ++part) {
    mhub::test::GgufBuilder builder;
    builder.text("general.architecture", "llama")
        .raw("split.no", mhub::test::GgufBuilder::kU16, mhub::test::GgufBuilder::le(part, 2))
        .raw("split.count", mhub::test::GgufBuilder::kU16, mhub::test::GgufBuilder::le(2, 2))
        .raw("split.tensors.count", mhub::test::GgufBuilder::kI32, mhub::test::GgufBuilder::le(2, 4))
        .tensor_f32("t" + std::to_string(part), {4}, {1, 2, 3, 4});
    write_file(dir_ / ("m-0000" + std::to_string(part + 1) + "-of-00002.gguf"), builder.build());
  }
  const auto model = import(dir_ / "m-00001-of-00002.gguf", "split");
  ASSERT_EQ(model.files.size(), 2u);
  EXPECT_EQ(model.files[1].path, "m-00002-of-00002.gguf");
}

TEST_F(Import, LinksOfAHuggingFaceCacheAreFollowed) {
  write_model_directory(dir_ / "blobs");
  fs::create_directories(dir_ / "snapshot");
  for (const char* name : {"config.json", "model.safetensors"}) {
    fs::create_symlink(fs::path("../blobs") / name, dir_ / "snapshot" / name);
  }
  const auto model = import(dir_ / "snapshot", "cached");
  EXPECT_EQ(model.files.size(), 2u);
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(fs::path(model.path) / "config.json")));
}

TEST_F(Import, WhatClientsLeaveBesideAModelStaysOut) {
  write_model_directory(dir_ / "source");
  for (const char* name : {".git/HEAD", ".cache/huggingface/x", ".msc", ".mv", "onnx/.DS_Store"}) {
    write_file(dir_ / "source" / name, "x");
  }
  EXPECT_EQ(import(dir_ / "source", "clean").files.size(), 3u);
}

TEST_F(Import, TheSameContentTwiceIsOneModelAndHeals) {
  write_model_directory(dir_ / "source");
  const auto first = import(dir_ / "source", "mine");
  fs::remove(fs::path(first.path) / "config.json");
  EXPECT_FALSE(library_->verify("mine", {})->problems.empty());
  const auto second = import(dir_ / "source", "mine");
  EXPECT_EQ(second.id, first.id);
  EXPECT_EQ(second.path, first.path);
  EXPECT_EQ(library_->list()->size(), 1u);
  EXPECT_TRUE(library_->verify("mine", {})->problems.empty());
  EXPECT_TRUE(partial_is_empty());
}

TEST_F(Import, OtherContentIsAnotherCommitAndTheNewestWins) {
  write_model_directory(dir_ / "one", 1);
  write_model_directory(dir_ / "two", 2);
  const auto first = import(dir_ / "one", "mine"), second = import(dir_ / "two", "mine");
  EXPECT_NE(first.commit, second.commit);
  EXPECT_EQ(library_->find("mine")->commit, second.commit);
  EXPECT_EQ(library_->find("local/mine@" + first.commit)->commit, first.commit);
}

TEST_F(Import, NamesComeFromThePathOrAreChecked) {
  write_model_directory(dir_ / "My Model (v2)");
  EXPECT_EQ(import(dir_ / "My Model (v2)").name, "local/My-Model--v2-");
  EXPECT_EQ(import(dir_ / "My Model (v2)/").name, "local/My-Model--v2-");
  EXPECT_EQ(import(dir_ / "My Model (v2)", "org/name").name, "org/name");
  for (const char* name :
       {"a/b/c", "../x", "a/..", "ms:a/b", "a/b@v1", "http://h/a/b", "a b", ".x", "-x", "x/con", "x.part"}) {
    const auto refused = library_->import(dir_ / "My Model (v2)", name);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::kUsage) << name;
  }
}

TEST_F(Import, ABadFileChangesNothing) {
  write_file(dir_ / "bad.gguf", gguf_file().substr(0, 60));
  write_model_directory(dir_ / "bad");
  write_file(dir_ / "bad/model.safetensors", safetensors_file().substr(0, 40));
  write_model_directory(dir_ / "config");
  write_file(dir_ / "config/config.json", "{");
  fs::create_directories(dir_ / "empty");
  for (const char* name : {"bad.gguf", "bad", "config", "empty", "none"}) {
    const auto refused = library_->import(dir_ / name, "x");
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, fs::exists(dir_ / name) ? ErrorCode::kBadModel : ErrorCode::kModelNotFound) << name;
  }
  EXPECT_TRUE(library_->list()->empty());
  EXPECT_FALSE(fs::exists(config_.home / "models"));
  EXPECT_TRUE(partial_is_empty());
}

TEST_F(Import, AnUnsafeFileNameRefusesAll) {
  write_model_directory(dir_ / "source");
  write_file(dir_ / "source/evil\nname", "x");
  const auto refused = library_->import(dir_ / "source", "x");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPolicy);
  EXPECT_TRUE(partial_is_empty());
}

TEST_F(Import, CanBeInterrupted) {
  write_model_directory(dir_ / "source");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(library_->import(dir_ / "source", "x", stop.get_token()).error().code, ErrorCode::kInterrupted);
  EXPECT_TRUE(partial_is_empty());
}

TEST_F(Import, QuantizedConfigsAreNamed) {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights":
          {"num_bits": 4, "type": "int", "group_size": 128}}}})",
       "int4-g128"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights":
          {"num_bits": 8, "type": "int", "group_size": null, "strategy": "channel"}}}})",
       "int8"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 8, "type": "float"}}}})",
       "fp8"},
      {R"({"quant_method": "gptq", "bits": 4, "group_size": 128})", "gptq-int4-g128"},
      {R"({"quant_method": "fp8", "weight_block_size": [128, 128]})", "fp8"},
      {R"({"quant_method": "compressed-tensors", "config_groups": 5})", "compressed-tensors"},
      {R"([1])", "F32"}};
  for (const auto& [quantization, expected] : cases) {
    write_model_directory(dir_ / "q");
    write_file(dir_ / "q/config.json", R"({"model_type": "llama", "quantization_config": )" + quantization + "}");
    const auto model = import(dir_ / "q", "q");
    EXPECT_EQ(model.quantization, expected) << quantization;
    EXPECT_EQ(model.architecture, "llama");
  }
}

using RegisterDirectory = LibraryTest;

TEST_F(RegisterDirectory, MovesAStagedDirectoryIntoTheStore) {
  const auto staged = library_->make_staging_directory();
  ASSERT_TRUE(staged);
  write_model_directory(*staged);
  registry::ModelRecord model;
  model.name = "mine-int4";
  model.card_json = R"({"same_top":0.99})";
  model.quantization = "int4-g128";
  const auto registered = library_->register_directory(*staged, model);
  ASSERT_TRUE(registered) << registered.error().one_line();
  EXPECT_FALSE(fs::exists(*staged));
  const auto found = library_->find("local/mine-int4");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->card_json, model.card_json);
  EXPECT_EQ(found->quantization, "int4-g128");
  EXPECT_EQ(found->format, "safetensors");
  EXPECT_EQ(found->files.size(), 3u);
  EXPECT_TRUE(library_->verify("mine-int4", {})->problems.empty());
}

TEST_F(RegisterDirectory, LeavesAnOutputDirectoryWhereItIs) {
  write_model_directory(dir_ / "out");
  registry::ModelRecord model;
  model.name = "out";
  model.in_store = false;
  const auto registered = library_->register_directory(dir_ / "out", model);
  ASSERT_TRUE(registered) << registered.error().one_line();
  EXPECT_EQ(registered->path, fs::canonical(dir_ / "out"));
  EXPECT_FALSE(library_->remove("out")->files_deleted);
  EXPECT_TRUE(fs::exists(dir_ / "out/config.json"));
}

TEST_F(RegisterDirectory, KeepsTheCallersWorkOnFailure) {
  const auto staged = library_->make_staging_directory();
  ASSERT_TRUE(staged);
  write_model_directory(*staged);
  write_file(config_.home / "models", "a file where the store should be");
  registry::ModelRecord model;
  model.name = "mine";
  EXPECT_FALSE(library_->register_directory(*staged, model));
  EXPECT_TRUE(fs::exists(*staged / "config.json"));
}

}  // namespace
}  // namespace mhub::hub
