// SPDX-License-Identifier: Apache-2.0
#include "mhub/formats/gguf.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include <random>

#include "support/gguf_builder.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace mhub::formats {
namespace {
using test::bytes_of;
using test::GgufBuilder;

Result<GgufPart> parse(std::string_view file) {
  return parse_gguf(bytes_of(file), "x.gguf");
}

void expect_refused(std::string_view file, std::string_view what) {
  const auto result = parse(file);
  ASSERT_FALSE(result) << "accepted, expected: " << what;
  EXPECT_EQ(result.error().code, ErrorCode::kBadModel);
  EXPECT_NE(result.error().message.find("x.gguf"), std::string::npos) << result.error().message;
  EXPECT_NE(result.error().message.find(what), std::string::npos) << result.error().message << "\nexpected: " << what;
}

GgufBuilder sample() {
  GgufBuilder b;
  b.text("general.architecture", "llama").u32("llama.block_count", 2).f32("llama.eps", 0.5f).boolean("flag", true);
  b.texts("tokenizer.ggml.tokens", {"a", "", "\u0120b"}).i32s("types", {1, -3}).f32s("scores", {0.5f, -1.5f});
  b.tensor_f32("one", {3}, {1, 2, 3});
  b.tensor("blk.0.q", {64, 2}, test::kGgmlQ4_0, std::string(4 * 18, 'q'));
  b.tensor("half", {1, 2, 3}, test::kGgmlF16, std::string(12, 'h'));
  return b;
}

TEST(Gguf, ReadsMetadataAndTensors) {
  const std::string file = sample().build();
  auto part = parse(file);
  ASSERT_TRUE(part) << part.error().message;
  GgufFile gguf;
  gguf.metadata = part->metadata;
  EXPECT_EQ(gguf.string("general.architecture"), "llama");
  EXPECT_EQ(gguf.integer("llama.block_count"), 2);
  EXPECT_EQ(gguf.number("llama.eps"), 0.5);
  EXPECT_EQ(gguf.number("llama.block_count"), 2.0);
  EXPECT_EQ(gguf.boolean("flag"), true);
  EXPECT_EQ(gguf.integer("flag"), std::nullopt);
  EXPECT_EQ(gguf.integer("absent"), std::nullopt);
  const auto& tokens = std::get<std::vector<std::string_view>>(*gguf.find("tokenizer.ggml.tokens"));
  EXPECT_EQ(tokens, (std::vector<std::string_view>{"a", "", "\u0120b"}));
  EXPECT_GE(tokens[0].data(), file.data());  // a view into the file
  EXPECT_LT(tokens[0].data(), file.data() + file.size());
  EXPECT_EQ(std::get<std::vector<int64_t>>(*gguf.find("types")), (std::vector<int64_t>{1, -3}));
  ASSERT_EQ(part->tensors.size(), 3u);
  const auto& q = part->tensors[1];
  EXPECT_EQ(q.dtype, kernels::DType::kQ4_0);
  EXPECT_EQ(q.shape, (std::vector<int64_t>{2, 64}));
  EXPECT_EQ(q.bytes, 72u);
  EXPECT_EQ(file.substr(q.offset, q.bytes), std::string(72, 'q'));
  EXPECT_EQ(part->tensors[2].shape, (std::vector<int64_t>{3, 2, 1}));
}

TEST(Gguf, EveryCutIsRefused) {  // F01
  const std::string file = sample().build();
  const auto part = parse(file);
  ASSERT_TRUE(part);
  const uint64_t end = part->tensors.back().offset + part->tensors.back().bytes;
  for (size_t length = 0; length < end; ++length) {
    const std::string cut = file.substr(0, length);
    ASSERT_FALSE(parse(cut)) << "cut at " << length;
  }
  EXPECT_TRUE(parse(file.substr(0, end)));  // without the padding behind the last tensor
  expect_refused(file.substr(0, end + 1), "but the file has");
  expect_refused(file + "x", "but the file has");
}

TEST(Gguf, CountsMustFitTheFile) {  // G01
  const auto b = sample();
  for (const uint64_t n : std::initializer_list<uint64_t>{65'536, 65'537, 1ull << 31, 1ull << 63, UINT64_MAX}) {
    expect_refused(b.build_with_counts(n, 0), n > 65'536 ? "over the limit of 65536" : "cannot fit");
    expect_refused(b.build_with_counts(0, n), "over the limit of 16384");
  }
  expect_refused(b.build_with_counts(3, 16'384), "cannot fit");
  expect_refused(b.build_with_counts(3, 8), "");
  expect_refused(b.build_with_counts(4, 7), "");
}

TEST(Gguf, KeyCountLimit) {
  const auto build = [](int count) {
    GgufBuilder b;
    for (int i = 0; i < count; ++i) b.boolean(fmt::format("k{}", i), true);
    return b.build();
  };
  EXPECT_TRUE(parse(build(16'384)));
  expect_refused(build(16'385), "over the limit of 16384");
}

TEST(Gguf, TensorCountLimit) {
  const auto build = [](int count) {
    GgufBuilder b;
    for (int i = 0; i < count; ++i)
      b.tensor_at(fmt::format("t{}", i), {8}, test::kGgmlF32, static_cast<uint64_t>(i) * 32);
    return b.build() + std::string(static_cast<size_t>(count) * 32, 'd');
  };
  EXPECT_TRUE(parse(build(65'536)));
  expect_refused(build(65'537), "over the limit of 65536");
}

TEST(Gguf, StringsAndArraysAreBoundedByTheFile) {  // G02
  const auto with = [](uint32_t type, const std::string& payload) {
    return GgufBuilder().raw("k", type, payload).build();
  };
  for (const uint64_t n : {uint64_t{100}, uint64_t{64u << 20}, UINT64_MAX, uint64_t{1} << 63}) {
    expect_refused(with(GgufBuilder::kString, GgufBuilder::le(n, 8) + "abc"), "");
    expect_refused(with(GgufBuilder::kArray, GgufBuilder::le(GgufBuilder::kU8, 4) + GgufBuilder::le(n, 8) + "abc"), "");
    expect_refused(with(GgufBuilder::kArray, GgufBuilder::le(GgufBuilder::kString, 4) + GgufBuilder::le(n, 8) + "abc"),
                   "");
  }
  expect_refused(with(GgufBuilder::kString, GgufBuilder::le((64u << 20) + 1, 8)), "over the limit of 67108864");
  expect_refused(with(GgufBuilder::kArray, GgufBuilder::le(GgufBuilder::kU8, 4) + GgufBuilder::le((16u << 20) + 1, 8)),
                 "over the limit of 16777216");
  expect_refused(with(GgufBuilder::kArray, GgufBuilder::le(13, 4) + GgufBuilder::le(1, 8) + "aaaa"),
                 "unknown element type 13");
  for (const int depth : {1, 2, 100'000}) {
    std::string nested;
    for (int i = 0; i < depth; ++i) nested += GgufBuilder::le(GgufBuilder::kArray, 4) + GgufBuilder::le(1, 8);
    expect_refused(with(GgufBuilder::kArray, nested), "arrays of arrays are refused");
  }
  EXPECT_TRUE(parse(with(GgufBuilder::kArray, GgufBuilder::le(GgufBuilder::kU64, 4) + GgufBuilder::le(0, 8))));
}

TEST(Gguf, EveryValueType) {
  const std::vector<std::pair<uint32_t, int>> sizes = {{0, 1}, {1, 1}, {2, 2},  {3, 2},  {4, 4}, {5, 4},
                                                       {6, 4}, {7, 1}, {10, 8}, {11, 8}, {12, 8}};
  for (const auto& [type, bytes] : sizes) {
    SCOPED_TRACE(type);
    auto part = parse(GgufBuilder().raw("k", type, GgufBuilder::le(1, bytes)).build());
    ASSERT_TRUE(part) << part.error().message;
    auto list = parse(GgufBuilder()
                          .raw("k", 9,
                               GgufBuilder::le(type, 4) + GgufBuilder::le(2, 8) + GgufBuilder::le(1, bytes) +
                                   GgufBuilder::le(0, bytes))
                          .build());
    ASSERT_TRUE(list) << list.error().message;
  }
  const auto negative = parse(GgufBuilder().raw("k", GgufBuilder::kI8, "\xff").build());
  EXPECT_EQ(std::get<int64_t>(negative->metadata.at("k")), -1);
  const auto largest = parse(GgufBuilder().raw("k", GgufBuilder::kU64, GgufBuilder::le(INT64_MAX, 8)).build());
  EXPECT_EQ(std::get<int64_t>(largest->metadata.at("k")), INT64_MAX);
  expect_refused(GgufBuilder().raw("k", GgufBuilder::kU64, GgufBuilder::le(1ull << 63, 8)).build(), "2^63 or more");
}

TEST(Gguf, UnknownTypesVersionsAndBooleans) {  // G03
  for (uint32_t type = 13; type < 256; ++type) {
    expect_refused(GgufBuilder().raw("k", type, std::string(16, 'x')).build(),
                   fmt::format("unknown value type {}", type));
  }
  expect_refused(GgufBuilder().raw("k", 0x80000000u, std::string(16, 'x')).build(), "unknown value type 2147483648");
  for (int value = 2; value < 256; ++value) {
    expect_refused(GgufBuilder().raw("k", GgufBuilder::kBool, GgufBuilder::le(value, 1)).build(),
                   fmt::format("boolean is {}", value));
  }
  for (const uint32_t version : {0u, 1u, 4u, 255u, 1u << 31, 3u << 24}) {
    GgufBuilder b = sample();
    b.version = version;
    expect_refused(b.build(), version == 1u << 31 || version == 3u << 24
                                  ? "big-endian"
                                  : fmt::format("version {} is not supported", version));
  }
  GgufBuilder two = sample();
  two.version = 2;
  EXPECT_TRUE(parse(two.build()));
  GgufBuilder other = sample();
  other.magic = "GGML";
  expect_refused(other.build(), "magic is \"GGML\"");
  other.magic = "PK\x03\x04";
  expect_refused(other.build(), "pickle");
}

TEST(Gguf, EveryElementTypeIsReadOrNamed) {  // G03
  int read = 0;
  for (uint32_t type = 0; type < 256; ++type) {
    GgufBuilder b;
    b.tensor_at("t", {256}, type, 0);
    const auto result = parse(b.build() + std::string(256 * 8, 'x'));
    const std::string message = result ? "" : result.error().message;
    if (message.find("which this build does not read") == std::string::npos) ++read;
    if (type >= 97) {
      EXPECT_NE(message.find("fork"), std::string::npos) << message;
    }
  }
  EXPECT_EQ(read, 4 + 4 + 13);  // float types, integer types, block types
}

TEST(Gguf, AlignmentKeysAndNames) {  // G04
  for (const uint32_t n : {0u, 1u, 3u, 4u, 33u, 131'072u, 1u << 31}) {
    expect_refused(GgufBuilder().u32("general.alignment", n).build(), "must be a power of two from 8 to 65536");
  }
  for (const uint32_t n : {8u, 64u, 65'536u}) {
    EXPECT_TRUE(parse(GgufBuilder()
                          .u32("general.alignment", n)
                          .alignment(n)
                          .tensor_f32("a", {1}, {1})
                          .tensor_f32("b", {1}, {2})
                          .build()))
        << n;
  }
  for (const uint32_t type : {0u, 5u, 6u, 8u, 10u}) {
    const std::string payload = type == 8 ? GgufBuilder::str("32")
                                          : GgufBuilder::le(32, type == 0    ? 1
                                                                : type == 10 ? 8
                                                                             : 4);
    expect_refused(GgufBuilder().raw("general.alignment", type, payload).build(), "general.alignment is not a u32");
  }
  expect_refused(GgufBuilder().u32("k", 1).u32("k", 1).build(), "duplicate key k");
  expect_refused(GgufBuilder().u32("", 1).build(), "empty key");
  expect_refused(GgufBuilder().u32(std::string("a\0b", 3), 1).build(), "control characters");
  expect_refused(GgufBuilder().u32("a\xff", 1).build(), "not UTF-8");
  EXPECT_TRUE(parse(GgufBuilder().u32(std::string(65'535, 'k'), 1).build()));
  expect_refused(GgufBuilder().u32(std::string(65'536, 'k'), 1).build(), "over the limit of 65535");
  const auto named = [](const std::string& name) { return GgufBuilder().tensor_f32(name, {1}, {1}).build(); };
  expect_refused(GgufBuilder().tensor_f32("t", {1}, {1}).tensor_f32("t", {1}, {1}).build(), "duplicate tensor t");
  expect_refused(named(""), "empty tensor name");
  expect_refused(named(std::string("t\0", 2)), "control characters");
  EXPECT_TRUE(parse(named(std::string(63, 'n'))));
  expect_refused(named(std::string(64, 'n')), "over the limit of 63");
}

TEST(Gguf, DimensionsAndSizes) {  // G05
  const auto with = [](const std::vector<uint64_t>& ne, uint32_t type) {
    return GgufBuilder().tensor_at("t", ne, type, 0).build() + std::string(4096, 'x');
  };
  expect_refused(with({}, 0), "0 dimensions");
  expect_refused(with({1, 1, 1, 1, 1}, 0), "5 dimensions");
  expect_refused(with({0}, 0), "dimension of 0");
  expect_refused(with({4, 0}, 0), "dimension of 0");
  expect_refused(with({UINT64_MAX}, 0), "dimension of -1");
  expect_refused(with({1ull << 63}, 0), "a dimension of");
  expect_refused(with({1ull << 32, 1ull << 32}, 0), "overflows");
  expect_refused(with({1ull << 62}, 0), "overflows");
  expect_refused(with({32, 1ull << 60}, test::kGgmlQ4_0), "overflows");
  expect_refused(with({1ull << 61}, 0), "it is cut");
  for (uint64_t n = 1; n < 256; ++n) {
    if (n % 32 != 0) expect_refused(with({n}, test::kGgmlQ4_0), "no multiple of Q4_0's block of 32");
    expect_refused(with({n}, test::kGgmlQ4_K), "no multiple of Q4_K's block of 256");
  }
  for (uint64_t blocks = 1; blocks < 8; ++blocks) {
    const std::string data(blocks * 18, 'x');
    EXPECT_TRUE(parse(GgufBuilder().tensor("t", {32 * blocks}, test::kGgmlQ4_0, data).build()));
  }
}

// G06: every pair of offsets for two of four tensors; only the contiguous placing passes.
TEST(Gguf, OffsetsMustBeContiguous) {
  const auto build = [](const std::vector<uint64_t>& offsets) {
    GgufBuilder b;
    for (size_t i = 0; i < offsets.size(); ++i) b.tensor_at(fmt::format("t{}", i), {8}, test::kGgmlF32, offsets[i]);
    return b.build() + std::string(32 * offsets.size(), 'd');
  };
  const std::vector<uint64_t> good = {0, 32, 64, 96};
  ASSERT_TRUE(parse(build(good)));
  for (size_t t = 0; t < good.size(); ++t) {
    for (const uint64_t offset : std::initializer_list<uint64_t>{0, 1, 16, 31, 32, 33, 64, 96, 128, 160, 1ull << 32,
                                                                 1ull << 63, UINT64_MAX - 31, UINT64_MAX}) {
      if (offset == good[t]) continue;
      auto offsets = good;
      offsets[t] = offset;
      expect_refused(build(offsets),
                     fmt::format("tensor t{}: offset {} in the data section, expected {}", t, offset, good[t]));
    }
  }
  // A size that fits only when the sum wraps.
  expect_refused(GgufBuilder().tensor_at("t", {(1ull << 62) - 32}, test::kGgmlF32, 0).build(), "");
  expect_refused(GgufBuilder().tensor_at("t", {9}, test::kGgmlF32, 0).build() + std::string(32, 'd'), "it is cut");
}

TEST(Gguf, RandomBytesNeverCrash) {
  std::mt19937 random(11);
  const std::string file = sample().build();
  for (int round = 0; round < 20'000; ++round) {
    std::string changed = file;
    for (int k = 0; k < 1 + static_cast<int>(random() % 4); ++k)
      changed[random() % changed.size()] = static_cast<char>(random());
    if (const auto result = parse(changed)) {
      for (const auto& tensor : result->tensors) EXPECT_LE(tensor.offset + tensor.bytes, changed.size());
    }
  }
}

class GgufSplit : public ::testing::Test {  // G09
 protected:
  static GgufBuilder part(uint16_t number, uint16_t count, int tensors_in_all) {
    GgufBuilder b;
    b.raw("split.no", GgufBuilder::kU16, GgufBuilder::le(number, 2))
        .raw("split.count", GgufBuilder::kU16, GgufBuilder::le(count, 2));
    b.raw("split.tensors.count", GgufBuilder::kI32, GgufBuilder::le(static_cast<uint64_t>(tensors_in_all), 4));
    return b;
  }
  void put(int number, int count, const GgufBuilder& b) {
    test::write_file(dir / fmt::format("m-{:05}-of-{:05}.gguf", number, count), b.build());
  }
  void put_good() {
    put(1, 3, part(0, 3, 2).text("general.architecture", "llama"));
    put(2, 3, part(1, 3, 2).tensor_f32("a", {1}, {1}));
    put(3, 3, part(2, 3, 2).tensor_f32("b", {1}, {2}));
  }
  void expect_refused(const std::string& what, const std::string& file = "m-00001-of-00003.gguf") {
    const auto gguf = open_gguf(dir / file);
    ASSERT_FALSE(gguf) << "accepted, expected " << what;
    EXPECT_EQ(gguf.error().code, ErrorCode::kBadModel) << gguf.error().message;
    EXPECT_NE(gguf.error().message.find(what), std::string::npos) << gguf.error().message;
  }
  test::TempDir dir;
};

TEST_F(GgufSplit, PartsAreMerged) {
  put_good();
  const auto gguf = open_gguf(dir / "m-00001-of-00003.gguf");
  ASSERT_TRUE(gguf) << gguf.error().message;
  EXPECT_EQ(gguf->table.files.size(), 3u);
  EXPECT_EQ(gguf->table.find("b")->file, 2u);
  EXPECT_EQ(gguf->string("general.architecture"), "llama");
  float x = 0;
  std::memcpy(&x, gguf->table.data(*gguf->table.find("b")), 4);
  EXPECT_EQ(x, 2);
}

TEST_F(GgufSplit, EightWaysToLie) {
  put_good();
  expect_refused("it is part 2 of 3", "m-00002-of-00003.gguf");
  put(2, 3, part(2, 3, 2).tensor_f32("a", {1}, {1}));
  expect_refused("split.no is 2, expected 1");
  put(2, 3, part(1, 4, 2).tensor_f32("a", {1}, {1}));
  expect_refused("split.count is 4, part 1 says 3");
  put(2, 3, part(1, 3, 2).tensor_f32("b", {1}, {1}));
  expect_refused("tensor b is also in part 2");
  put(2, 3, part(1, 3, 2).text("general.architecture", "qwen2").tensor_f32("a", {1}, {1}));
  expect_refused("key general.architecture differs from part 1");
  put(2, 3, part(1, 3, 2).u32("surprise", 1).tensor_f32("a", {1}, {1}));
  expect_refused("key surprise is not in part 1");
  put(2, 3, part(1, 3, 2));
  expect_refused("split.tensors.count is 2, the parts hold 1");
  put_good();
  std::filesystem::remove(dir / "m-00003-of-00003.gguf");
  expect_refused("No such file");
  put_good();
  std::filesystem::rename(dir / "m-00001-of-00003.gguf", dir / "other.gguf");
  expect_refused("does not end in -00001-of-00003.gguf", "other.gguf");
  put(1, 3, part(0, 65'535, 2));
  expect_refused("split.count is 65535, must be 1 to 1000");
}

}  // namespace
}  // namespace mhub::formats
