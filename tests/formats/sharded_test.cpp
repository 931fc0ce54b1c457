// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>

#include "mhub/formats/tensor_table.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace mhub::formats {
namespace {
using test::SafetensorsBuilder;
using test::TempDir;
using test::write_file;

const char* const kFirst = "model-00001-of-00002.safetensors";
const char* const kSecond = "model-00002-of-00002.safetensors";

class Sharded : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(dir / kFirst,
               SafetensorsBuilder().metadata("who", "first").add_f32("a", {1}, {1}).add_f32("both", {1}, {10}).build());
    write_file(dir / kSecond, SafetensorsBuilder().add_f32("b", {1}, {2}).add_f32("both", {1}, {20}).build());
  }
  void index(const std::string& weight_map) {
    write_file(dir / "model.safetensors.index.json",
               R"({"metadata":{"total_size":1},"weight_map":)" + weight_map + "}");
  }
  void expect_refused(const std::string& what) {
    const auto table = open_safetensors_dir(dir.path());
    ASSERT_FALSE(table) << "accepted, expected " << what;
    EXPECT_EQ(table.error().code, ErrorCode::kBadModel);
    EXPECT_NE(table.error().message.find(what), std::string::npos) << table.error().message;
  }
  static float value(const TensorTable& table, const char* name) {
    float x = 0;
    std::memcpy(&x, table.data(*table.find(name)), 4);
    return x;
  }
  TempDir dir;
};

TEST_F(Sharded, TheIndexDecidesWhichCopyCounts) {
  index(R"({"a":"model-00001-of-00002.safetensors","both":"model-00002-of-00002.safetensors"})");
  const auto table = open_safetensors_dir(dir.path());
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->tensors.size(), 2u);
  EXPECT_EQ(value(*table, "both"), 20);
  EXPECT_EQ(value(*table, "a"), 1);
  EXPECT_EQ(table->find("b"), nullptr);  // not in the index
  EXPECT_EQ(table->metadata.at("who"), "first");
}

TEST_F(Sharded, WithoutAnIndexATensorTwiceIsAnError) {
  expect_refused("tensor \"both\" is also in model-00001-of-00002.safetensors");
  write_file(dir / kSecond, SafetensorsBuilder().add_f32("b", {1}, {2}).build());
  const auto table = open_safetensors_dir(dir.path());
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->tensors.size(), 3u);
  std::filesystem::remove(dir / kFirst);
  expect_refused("1 of 2 shards are there");
}

TEST_F(Sharded, CraftedIndexesAreRefused) {  // F07
  const std::string first = R"("model-00001-of-00002.safetensors")";
  index(R"({"a":"model-00003-of-00002.safetensors"})");
  expect_refused("shard model-00003-of-00002.safetensors is missing");
  index("{\"zz\":" + first + "}");
  expect_refused("/weight_map/zz: shard model-00001-of-00002.safetensors has no such tensor");
  for (const char* bad : {"../model.safetensors", "/etc/passwd.safetensors", "a/b.safetensors", "..", ".", "",
                          "a\\\\b.safetensors", "C:x.safetensors", "a\\u0000.safetensors", "a\\n.safetensors"}) {
    index(std::string("{\"a\":\"") + bad + "\"}");
    expect_refused("is not a plain file name");
  }
  index(R"({"a":"pytorch_model.bin"})");
  expect_refused("is not a .safetensors file");
  index(R"({"a":7})");
  expect_refused("/weight_map/a: not a string");
  index("{}");
  expect_refused("/weight_map: empty");
  index("[]");
  expect_refused("/weight_map: missing or not an object");
  index("{\"a\":" + first + ",\"a\":" + first + "}");
  expect_refused("duplicate key");
  write_file(dir / "model.safetensors.index.json", "{");
  expect_refused("malformed JSON");
  write_file(dir / "model.safetensors.index.json", "");
  expect_refused("model.safetensors.index.json");
}

TEST_F(Sharded, ABadShardIsNamed) {
  write_file(dir / kSecond, "short");
  index(R"({"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"})");
  expect_refused("model-00002-of-00002.safetensors: 5 bytes");
}

TEST(SafetensorsDir, SingleFileAndNothing) {
  const TempDir dir;
  const auto none = open_safetensors_dir(dir.path());
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("neither model.safetensors nor"), std::string::npos);
  write_file(dir / "consolidated.safetensors", SafetensorsBuilder().add_f32("x", {1}, {9}).build());
  EXPECT_FALSE(open_safetensors_dir(dir.path()));  // never by glob
  write_file(dir / "model.safetensors", SafetensorsBuilder().add_f32("a", {1}, {1}).build());
  const auto table = open_safetensors_dir(dir.path());
  ASSERT_TRUE(table);
  EXPECT_EQ(table->tensors.size(), 1u);
}

}  // namespace
}  // namespace mhub::formats
