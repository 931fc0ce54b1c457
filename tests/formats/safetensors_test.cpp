// SPDX-License-Identifier: Apache-2.0
#include "mhub/formats/safetensors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include <chrono>
#include <random>

#include "support/safetensors_builder.h"

namespace mhub::formats {
namespace {
using test::bytes_of;
using test::SafetensorsBuilder;

Result<SafetensorsHeader> parse(std::string_view file) {
  return parse_safetensors(bytes_of(file), "x.safetensors");
}

// kBadModel whose message names the file and holds `what`.
void expect_refused(std::string_view file, std::string_view what) {
  const auto result = parse(file);
  ASSERT_FALSE(result) << "accepted, expected: " << what;
  EXPECT_EQ(result.error().code, ErrorCode::kBadModel);
  EXPECT_NE(result.error().message.find("x.safetensors"), std::string::npos) << result.error().message;
  EXPECT_NE(result.error().message.find(what), std::string::npos) << result.error().message << "\nexpected: " << what;
}
void expect_header_refused(std::string_view header, std::string_view what, size_t data_bytes = 0) {
  SCOPED_TRACE(header.substr(0, 200));
  expect_refused(SafetensorsBuilder::file(header, std::string(data_bytes, 'd')), what);
}

std::string sample() {
  return SafetensorsBuilder()
      .metadata("format", "pt")
      .add_f32("model.norm.weight", {3}, {1, 2, 3})
      .add("b", "U8", {2, 5}, "0123456789")
      .add("scalar", "BF16", {}, "zz")
      .add("empty", "F32", {0, 7}, "")
      .build();
}

TEST(Safetensors, ReadsTensorsInFileOrder) {
  const std::string file = sample();
  const auto header = parse(file);
  ASSERT_TRUE(header) << header.error().message;
  ASSERT_EQ(header->tensors.size(), 4u);
  EXPECT_EQ(header->metadata.at("format"), "pt");
  const auto& norm = header->tensors[0];
  EXPECT_EQ(norm.name, "model.norm.weight");
  EXPECT_EQ(norm.dtype, kernels::DType::kF32);
  EXPECT_EQ(norm.shape, std::vector<int64_t>{3});
  EXPECT_EQ(norm.offset, header->data_begin);
  EXPECT_EQ(norm.bytes, 12u);
  const auto& last = header->tensors.back();
  EXPECT_EQ(last.offset + last.bytes, file.size());
}

TEST(Safetensors, EveryCutIsRefused) {  // F01
  const std::string file = sample();
  for (size_t length = 0; length < file.size(); ++length) {
    const std::string cut = file.substr(0, length);
    const auto result = parse(cut);
    ASSERT_FALSE(result) << "cut at " << length;
    EXPECT_EQ(result.error().code, ErrorCode::kBadModel);
  }
  expect_refused(file + "x", "1 bytes after the last tensor");
}

TEST(Safetensors, HeaderLengthBoundaries) {  // S01
  const std::string file = sample();
  for (const uint64_t length : std::initializer_list<uint64_t>{0, 1, 2, file.size() - 8, file.size() - 7, 100'000'000,
                                                               100'000'001, 1ull << 63, UINT64_MAX, UINT64_MAX - 7}) {
    std::string changed = file;
    std::memcpy(changed.data(), &length, 8);
    EXPECT_FALSE(parse(changed)) << length;
  }
  EXPECT_TRUE(parse(SafetensorsBuilder::file("{}", "")));
  EXPECT_TRUE(parse(SafetensorsBuilder::file("{}      ", "")));
}

TEST(Safetensors, HeaderOverTheLimitIsRefused) {
  std::string header(100'000'001, ' ');
  header.replace(0, 2, "{}");
  expect_refused(SafetensorsBuilder::file(header, ""), "over the limit of 100000000");
  EXPECT_TRUE(parse(SafetensorsBuilder::file(header.substr(0, 100'000'000), "")));
}

TEST(Safetensors, StrictJson) {  // S02
  const std::string good = R"("dtype":"U8","shape":[1],"data_offsets":[0,1])";
  ASSERT_TRUE(parse(SafetensorsBuilder::file("{\"a\":{" + good + "}}", "d")));
  ASSERT_FALSE(parse(SafetensorsBuilder::file("{ \"a\"\n:\t{" + good + "} }\r  ", "d")));
  ASSERT_TRUE(parse(SafetensorsBuilder::file("{ \"a\"\n:\t{" + good + "} }  ", "d")));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {" {}", "does not start with '{'"},
      {"[]", "does not start with '{'"},
      {"{} x", "text after the closing brace"},
      {std::string("{}\0", 3), "text after the closing brace"},
      {"{}{}", "text after the closing brace"},
      {"{\"a\":{" + good + "},}", "expected '\"'"},
      {"{\"a\":{" + good + ",}}", "expected '\"'"},
      {"{\"a\":{" + good + "}", "the header ends"},
      {"{\"a\":{" + good + "},\"a\":{" + good + "}}", "duplicate key \"a\""},
      {R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "duplicate key \"dtype\""},
      {R"({"a":{"dtype":"U8","shape":[1]}})", "lacks dtype, shape or data_offsets"},
      {R"({"a":{}})", "expected '\"'"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1]}})", "unknown field \"strides\""},
      {R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,1]}})", "expected '\"'"},
      {R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", "expected an integer"},
      {R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", "expected '['"},
      {R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", "expected an integer"},
      {R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", "expected an integer"},
      {R"({"a":{"dtype":"U8","shape":[1e3],"data_offsets":[0,1]}})", "expected an integer"},
      {R"({"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}})", "leading zero"},
      {R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})", "expected an integer"},
      {R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}})", "2^63 or more"},
      {R"({"a":{"dtype":"U8","shape":[1,],"data_offsets":[0,1]}})", "expected an integer"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", "expected ','"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", "expected ']'"},
      {R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", "more than 8 dimensions"},
      {R"({"a":null})", "expected '{'"},
      {R"({"__metadata__":{"a":1}})", "expected '\"'"},
      {R"({"__metadata__":{"a":{"b":"c"}}})", "expected '\"'"},
      {R"({"__metadata__":{"a":"1","a":"2"}})", "duplicate key in __metadata__"},
      {R"({"__metadata__":[]})", "expected '{'"},
      {R"({"__metadata__":{},"__metadata__":{}})", "duplicate key \"__metadata__\""},
      {"{\"\":{" + good + "}}", "empty tensor name"},
      {"{\"a\\u0000b\":{" + good + "}}", "control character in a tensor name"},
      {"{\"a\\nb\":{" + good + "}}", "control character in a tensor name"},
      {"{\"a\nb\":{" + good + "}}", "control character in a string"},
      {"{\"a\\x\":{" + good + "}}", "unknown escape"},
      {"{\"a\\ud800\":{" + good + "}}", "lone high surrogate"},
      {"{\"a\\udc00\":{" + good + "}}", "lone low surrogate"},
      {"{\"a\\ud800\\u0041\":{" + good + "}}", "high surrogate without a low one"},
      {"{\"a\xff\":{" + good + "}}", "not UTF-8 at byte 11"},
      {"{\"a\xc0\x80\":{" + good + "}}", "not UTF-8"},
      {"{\"a\xed\xa0\x80\":{" + good + "}}", "not UTF-8"},
      {"{\"a\xf4\x90\x80\x80\":{" + good + "}}", "not UTF-8"},
      {"{\"" + std::string(1025, 'n') + "\":{" + good + "}}", "longer than 1024 bytes"},
      {"{'a':{" + good + "}}", "expected '\"'"},
      {"{\"a\":{" + good + "}} //", "text after the closing brace"},
  };
  for (const auto& [header, what] : cases) expect_header_refused(header, what, 1);
  const std::string longest(1024, 'n');
  EXPECT_TRUE(parse(SafetensorsBuilder::file("{\"" + longest + "\":{" + good + "}}", "d")));
}

TEST(Safetensors, EscapedNamesAreDecoded) {
  const auto header = parse(
      SafetensorsBuilder::file(R"({"\u00e9\ud83d\ude00\/":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "d"));
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->tensors[0].name, "\u00e9\U0001F600/");
  // The same name spelled twice is a duplicate, however it is escaped.
  expect_header_refused(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}})",
      "duplicate key", 1);
}

TEST(Safetensors, DepthBombEndsAtOnce) {
  const std::string bomb = "{\"__metadata__\":" + std::string(1'000'000, '{');
  expect_header_refused(bomb, "expected '\"'");
  expect_header_refused("{\"a\":{\"shape\":" + std::string(1'000'000, '['), "expected an integer");
}

// S03: all pairs of offsets of two of six tensors swapped for others; only the contiguous cover passes.
TEST(Safetensors, OffsetsMustCoverTheDataExactly) {
  constexpr int kTensors = 6;
  const auto build = [](const std::vector<std::pair<int, int>>& ranges) {
    std::string header = "{";
    for (int i = 0; i < kTensors; ++i) {
      const int n = std::max(0, ranges[i].second - ranges[i].first);
      header += fmt::format(R"({}"t{}":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}})", i ? "," : "", i, n,
                            ranges[i].first, ranges[i].second);
    }
    return SafetensorsBuilder::file(header + "}", std::string(kTensors, 'd'));
  };
  std::vector<std::pair<int, int>> good;
  for (int i = 0; i < kTensors; ++i) good.emplace_back(i, i + 1);
  ASSERT_TRUE(parse(build(good)));
  int accepted = 0, tried = 0;
  for (int t = 0; t < kTensors; ++t) {
    for (int begin = 0; begin <= kTensors + 1; ++begin) {
      for (int end = 0; end <= kTensors + 1; ++end) {
        auto ranges = good;
        ranges[t] = {begin, end};
        ++tried;
        if (parse(build(ranges))) {
          ++accepted;
          EXPECT_EQ(ranges[t], good[t]);
        }
      }
    }
  }
  EXPECT_EQ(accepted, kTensors);
  EXPECT_EQ(tried, 6 * 64);
  std::swap(good[0], good[5]);  // order in the header is free
  EXPECT_TRUE(parse(build(good)));
}

TEST(Safetensors, ShapeMustGiveExactlyTheBytes) {  // S04
  const auto header = [](const std::string& dtype, const std::string& shape, uint64_t end) {
    return fmt::format(R"({{"a":{{"dtype":"{}","shape":[{}],"data_offsets":[0,{}]}}}})", dtype, shape, end);
  };
  expect_header_refused(header("F32", "2", 7), "the shape needs 8 bytes, the offsets give 7", 7);
  expect_header_refused(header("F32", "2", 9), "the shape needs 8 bytes, the offsets give 9", 9);
  expect_header_refused(header("F32", "4294967296,4294967296", 0), "not a whole number of bytes below 2^64");
  expect_header_refused(header("F32", "0,4294967296,4294967296", 0), "not a whole number of bytes below 2^64");
  expect_header_refused(header("F64", "9223372036854775807", 8), "not a whole number of bytes below 2^64", 8);
  expect_header_refused(header("U8", "9223372036854775807,2", 8), "not a whole number of bytes below 2^64", 8);
  expect_header_refused(header("F32", "", 3), "the shape needs 4 bytes", 3);
}

TEST(Safetensors, EveryDtype) {  // S05
  const std::vector<std::pair<std::string, int>> readable = {
      {"BOOL", 8},  {"U8", 8},   {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"I16", 16}, {"U16", 16}, {"F16", 16},
      {"BF16", 16}, {"I32", 32}, {"U32", 32}, {"F32", 32},    {"I64", 64},    {"U64", 64}, {"F64", 64}};
  for (const auto& [dtype, bits] : readable) {
    SCOPED_TRACE(dtype);
    const auto header = parse(
        SafetensorsBuilder().add("pad", "U8", {1}, "p").add("a", dtype, {3}, std::string(3 * bits / 8, 'x')).build());
    ASSERT_TRUE(header) << header.error().message;
    ASSERT_EQ(header->tensors.size(), 2u);
    EXPECT_EQ(kernels::dtype_info(header->tensors[1].dtype).name, dtype);
    EXPECT_EQ(header->tensors[1].offset, header->data_begin + 1);  // misaligned is legal
  }
  // Known to the format, not to this build: the tensor is set aside, the file stays readable.
  for (const auto& [dtype, bits] :
       std::vector<std::pair<std::string, int>>{{"C64", 64}, {"F8_E8M0", 8}, {"F4", 4}, {"F6_E2M3", 6}}) {
    SCOPED_TRACE(dtype);
    const auto header =
        parse(SafetensorsBuilder().add("a", dtype, {8}, std::string(bits, 'x')).add("b", "U8", {1}, "y").build());
    ASSERT_TRUE(header) << header.error().message;
    EXPECT_EQ(header->unsupported.at("a"), dtype);
    EXPECT_EQ(header->tensors.size(), 1u);
    EXPECT_FALSE(parse(SafetensorsBuilder().add("a", dtype, {8}, std::string(bits + 1, 'x')).build()));
  }
  EXPECT_FALSE(parse(SafetensorsBuilder().add("a", "F4", {3}, "xx").build()));  // 12 bits
  const auto future = parse(SafetensorsBuilder().add("a", "Q4_0", {32}, std::string(18, 'x')).build());
  ASSERT_TRUE(future);
  EXPECT_EQ(future->unsupported.at("a"), "Q4_0");
}

TEST(Safetensors, TensorCountLimit) {  // S06
  const auto build = [](int count) {
    std::string header = "{";
    for (int i = 0; i < count; ++i) {
      header += fmt::format(R"({}"t{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", i ? "," : "", i);
    }
    return SafetensorsBuilder::file(header + "}", "");
  };
  EXPECT_TRUE(parse(build(65'536)));
  expect_refused(build(65'537), "more than 65536 tensors");
}

TEST(Safetensors, HugeHeaderIsReadInBoundedTime) {  // S06
  std::string header = "{\"__metadata__\":{\"k\":\"";
  header.append(99'000'000, 'v').append("\"}}");
  const auto file = SafetensorsBuilder::file(header, "");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(parse(file));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));  // generous: sanitizer builds
}

TEST(Safetensors, OtherFormatsAreNamed) {  // F08
  expect_refused("GGUF" + std::string(100, 'x'), "it is a GGUF file");
  expect_refused("PK\x03\x04" + std::string(100, 'x'), "pickle");
  expect_refused("\x80\x02}q" + std::string(100, 'x'), "pickle");
}

TEST(Safetensors, RandomBytesNeverPassOrCrash) {
  std::mt19937 random(7);
  const std::string file = sample();
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string changed = file;
    for (int k = 0; k < 1 + static_cast<int>(random() % 4); ++k)
      changed[random() % changed.size()] = static_cast<char>(random());
    const auto result = parse(changed);
    if (!result) continue;
    ++accepted;  // a change in the data or in a name
    uint64_t end = result->data_begin;
    for (const auto& tensor : result->tensors) {
      EXPECT_GE(tensor.offset, end);  // a hole only where a dtype became unknown
      end = tensor.offset + tensor.bytes;
    }
    EXPECT_LE(end, changed.size());
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace mhub::formats
