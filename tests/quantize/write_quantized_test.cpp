// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "mhub/base/bytes.h"
#include "mhub/formats/model_config.h"
#include "mhub/formats/safetensors.h"
#include "mhub/kernels/matrix.h"
#include "mhub/quantize/quantize.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"
#include "support/tiny_llama.h"

namespace mhub::quantize {
namespace {
namespace fs = std::filesystem;
using test::read_file;
using test::write_file;

const std::string kQ = "model.layers.1.self_attn.q_proj.";

class WriteQuantized : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(source());
    model.write_directory(source());
    write_file(dir / "m.gguf", model.gguf().build());
  }
  fs::path source() const { return dir / "source"; }
  fs::path output() const { return dir / "out"; }
  WriteReport good(const fs::path& from, const QuantizeOptions& options = {.bits = 4, .group_size = 32}) {
    const auto report = write_quantized(from, output(), options, {});
    EXPECT_TRUE(report) << report.error().message;
    return report ? *report : WriteReport{};
  }
  void refused(const fs::path& from, const QuantizeOptions& options, ErrorCode code, const std::string& what) {
    const auto report = write_quantized(from, output(), options, {});
    ASSERT_FALSE(report) << "accepted, expected " << what;
    EXPECT_EQ(report.error().code, code) << report.error().message;
    EXPECT_NE(report.error().message.find(what), std::string::npos) << report.error().message;
  }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()));
  }
  std::vector<float> dequantized(const formats::TensorTable& table, const std::string& stem, int bits, int64_t group) {
    const auto* packed = table.find(stem + "weight_packed");
    const auto* scale = table.find(stem + "weight_scale");
    const auto* shape = table.find(stem + "weight_shape");
    const auto* zero = table.find(stem + "weight_zero_point");
    kernels::MatrixSource m;
    m.dtype = bits == 4 ? kernels::DType::kU4 : kernels::DType::kI8;
    m.packed_i8 = bits == 8;
    m.rows = load_le<int64_t>(table.data(*shape));
    m.cols = load_le<int64_t>(table.data(*shape) + 8);
    m.data = table.data(*packed);
    m.group_size = group == 0 ? m.cols : group;
    m.scales = table.data(*scale);
    m.scale_dtype = scale->dtype;
    m.zeros = zero ? table.data(*zero) : nullptr;
    std::vector<float> out(static_cast<size_t>(m.rows * m.cols));
    kernels::dequantize_rows(m, 0, m.rows, out.data());
    return out;
  }
  double rms_error(const std::vector<float>& got, const std::vector<float>& want) {
    EXPECT_EQ(got.size(), want.size());
    double sum = 0;
    for (size_t i = 0; i < want.size(); ++i) sum += std::pow(got[i] - want[i], 2);
    return std::sqrt(sum / static_cast<double>(want.size()));
  }

  test::TinyLlama model;
  test::TempDir dir;
};

TEST_F(WriteQuantized, EveryDecoderMatrixAndNothingElse) {
  const auto report = good(source());
  const auto table = formats::open_safetensors_dir(output());
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->tensors.size(), 2u * (7 * 4 + 2) + 2);
  for (const auto& [name, values] : model.weights) {
    if (name.find("_proj") == std::string::npos) {  // kept to the bit
      const auto* kept = table->find(name);
      ASSERT_TRUE(kept) << name;
      EXPECT_EQ(kept->dtype, kernels::DType::kF32);
      EXPECT_EQ(std::memcmp(table->data(*kept), values.data(), kept->bytes), 0) << name;
      continue;
    }
    EXPECT_EQ(table->find(name), nullptr);
    const std::string stem = name.substr(0, name.size() - 6);
    EXPECT_LT(rms_error(dequantized(*table, stem, 4, 32), values), 0.012) << name;
  }
  EXPECT_EQ(table->find(kQ + "weight_packed")->shape, (std::vector<int64_t>{64, 8}));
  EXPECT_EQ(table->find(kQ + "weight_scale")->shape, (std::vector<int64_t>{64, 2}));
  EXPECT_EQ(table->find(kQ + "weight_zero_point")->shape, (std::vector<int64_t>{8, 2}));
  EXPECT_EQ(report.bits_per_weight, 4 + 16.0 / 32 + 4.0 / 32);
  EXPECT_EQ(report.source_bytes, fs::file_size(source() / "model.safetensors"));
  EXPECT_EQ(report.quantized_bytes, fs::file_size(output() / "model.safetensors"));
  for (const auto& [name, entry] : table->tensors)
    EXPECT_EQ(entry.offset % kernels::dtype_info(entry.dtype).block_bytes, 0u) << name;
}

TEST_F(WriteQuantized, ConfigIsReadBackAndKeepsItsOtherFields) {
  good(source(), {.bits = 4, .group_size = 64, .symmetric = true});
  const auto config = formats::read_model_config(output());
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_TRUE(config->quantization);
  EXPECT_EQ(config->quantization->format, "pack-quantized");
  EXPECT_EQ(config->quantization->num_bits, 4);
  EXPECT_EQ(config->quantization->group_size, 64);
  EXPECT_TRUE(config->quantization->symmetric);
  EXPECT_EQ(config->quantization->ignore, std::vector<std::string>{"lm_head"});
  EXPECT_EQ(Json::parse(read_file(output() / "config.json"))["zebra"], "kept");
  EXPECT_EQ(read_file(output() / "tokenizer.json"), read_file(source() / "tokenizer.json"));
  EXPECT_FALSE(fs::exists(output() / "model.safetensors.index.json"));
}

TEST_F(WriteQuantized, EightBitsPerRow) {
  const auto report = good(source(), {.bits = 8, .group_size = 0});
  const auto table = formats::open_safetensors_dir(output());
  ASSERT_TRUE(table);
  EXPECT_EQ(table->find(kQ + "weight_scale")->shape, (std::vector<int64_t>{64, 1}));
  EXPECT_LT(rms_error(dequantized(*table, kQ, 8, 0), model.weights[kQ + "weight"]), 0.002);
  EXPECT_GT(report.bits_per_weight, 8);
  EXPECT_EQ(formats::read_model_config(output())->quantization->group_size, 0);
}

TEST_F(WriteQuantized, GgufGivesTheSameModelInHuggingFaceOrder) {
  good(dir / "m.gguf");
  const auto from_gguf = formats::open_safetensors_dir(output());
  ASSERT_TRUE(from_gguf);
  const auto second = write_quantized(source(), dir / "out2", {.bits = 4, .group_size = 32}, {});
  ASSERT_TRUE(second);
  const auto from_dir = formats::open_safetensors_dir(dir / "out2");
  ASSERT_EQ(from_gguf->tensors.size(), from_dir->tensors.size());
  for (const auto& [name, entry] : from_dir->tensors) {
    const auto* other = from_gguf->find(name);
    ASSERT_TRUE(other) << name;
    EXPECT_EQ(other->shape, entry.shape) << name;
    if (name.find("_proj") == std::string::npos) {
      EXPECT_EQ(other->dtype, kernels::DType::kBF16) << name;  // the directory's are float32
      continue;
    }
    EXPECT_EQ(std::memcmp(from_gguf->data(*other), from_dir->data(entry), entry.bytes), 0) << name;
  }
  const auto a = formats::read_model_config(output()), b = formats::read_model_config(source());
  ASSERT_TRUE(a) << a.error().message;
  EXPECT_EQ(a->hidden_size, b->hidden_size);
  EXPECT_EQ(a->num_key_value_heads, b->num_key_value_heads);
  EXPECT_EQ(a->rope_theta, b->rope_theta);
  EXPECT_EQ(a->vocab_size, b->vocab_size);
  EXPECT_TRUE(a->tie_word_embeddings);
  EXPECT_FLOAT_EQ(static_cast<float>(a->rms_norm_eps), 1e-5f);
  EXPECT_EQ(a->eos_token_ids, std::vector<int64_t>{0});
}

TEST_F(WriteQuantized, ShardsWithAnIndex) {
  const auto report = good(source(), {.bits = 4, .group_size = 32, .max_shard_bytes = 20'000});
  ASSERT_TRUE(fs::exists(output() / "model.safetensors.index.json"));
  const auto table = formats::open_safetensors_dir(output());
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_GT(table->files.size(), 3u);
  uint64_t bytes = 0;
  for (const auto& file : table->files) bytes += file->bytes().size();
  EXPECT_EQ(report.quantized_bytes, bytes);
  EXPECT_LT(rms_error(dequantized(*table, kQ, 4, 32), model.weights[kQ + "weight"]), 0.012);
  QualityCard card;
  ASSERT_TRUE(store_card(output(), card));
  EXPECT_TRUE(formats::open_safetensors_dir(output())->metadata.contains("mhub.quality"));
}

TEST_F(WriteQuantized, CardGoesIntoTheHeaderWithoutTouchingTheData) {
  good(source());
  const std::string before = read_file(output() / "model.safetensors");
  QualityCard card;
  card.method = "rtn";
  card.mean_kl = 0.0123456789012345;
  for (int twice = 0; twice < 2; ++twice) {
    const auto stored = store_card(output(), card);
    ASSERT_TRUE(stored) << stored.error().message;
  }
  const std::string after = read_file(output() / "model.safetensors");
  ASSERT_EQ(before.size(), after.size());
  const auto header = formats::parse_safetensors(test::bytes_of(after), "m");
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(before.substr(header->data_begin), after.substr(header->data_begin));
  EXPECT_EQ(header->metadata.at("format"), "pt");
  EXPECT_EQ(Json::parse(header->metadata.at("mhub.quality")), card.to_json());
  EXPECT_EQ(Json::parse(read_file(output() / "mhub_quality.json")), card.to_json());
}

TEST_F(WriteQuantized, RefusalsLeaveNothingBehind) {
  const size_t before = entries();
  refused(source(), {.bits = 4, .group_size = 128}, ErrorCode::kUsage,
          "--group-size 128 does not divide the 64 columns of");
  refused(source(), {.bits = 5, .group_size = 32}, ErrorCode::kUsage, "--bits 5");
  refused(dir / "nothing", {}, ErrorCode::kModelNotFound, "no such file");
  EXPECT_EQ(*default_group_size(source()), 64);

  auto broken = model;
  broken.weights[kQ + "weight"][70] = std::numeric_limits<float>::quiet_NaN();  // F10
  broken.write_directory(source());
  refused(source(), {.bits = 4, .group_size = 32}, ErrorCode::kBadModel,
          "q_proj.weight is not finite at row 1, column 6");
  broken.weights.erase(kQ + "weight");
  broken.write_directory(source());
  refused(source(), {.bits = 4, .group_size = 32}, ErrorCode::kBadModel, "tensor " + kQ + "weight is missing");
  EXPECT_EQ(entries(), before);

  model.write_directory(source());
  std::stop_source stop;
  const auto interrupted = write_quantized(
      source(), output(), {.bits = 4, .group_size = 32},
      [&](int64_t done, int64_t, const std::string&) {
        if (done == 3) stop.request_stop();
      },
      stop.get_token());
  ASSERT_FALSE(interrupted);
  EXPECT_EQ(interrupted.error().code, ErrorCode::kInterrupted);
  EXPECT_EQ(entries(), before);

  good(source());
  refused(source(), {.bits = 4, .group_size = 32}, ErrorCode::kUsage, "it exists already");
  fs::rename(output(), dir / "done");
  refused(dir / "done", {.bits = 4, .group_size = 32}, ErrorCode::kBadModel, "its weights are pack-quantized already");
}

TEST_F(WriteQuantized, DamagedFilesAreRefusedAsTheReadersRefuseThem) {  // G10
  const size_t before = entries();
  const std::string gguf = read_file(dir / "m.gguf"), weights = read_file(source() / "model.safetensors");
  for (int part = 1; part < 20; ++part) {
    write_file(dir / "m.gguf", gguf.substr(0, gguf.size() * static_cast<size_t>(part) / 20));
    refused(dir / "m.gguf", {.bits = 4, .group_size = 32}, ErrorCode::kBadModel, "m.gguf");
    write_file(source() / "model.safetensors", weights.substr(0, weights.size() * static_cast<size_t>(part) / 20));
    refused(source(), {.bits = 4, .group_size = 32}, ErrorCode::kBadModel, "model.safetensors");
  }
  EXPECT_EQ(entries(), before);
}

TEST_F(WriteQuantized, ProgressCountsTensors) {
  int64_t last = 0, total = 0;
  ASSERT_TRUE(write_quantized(source(), output(), {.bits = 4, .group_size = 32},
                              [&](int64_t done, int64_t all, const std::string& name) {
                                EXPECT_EQ(done, ++last);
                                EXPECT_TRUE(model.weights.contains(name));
                                total = all;
                              }));
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, static_cast<int64_t>(model.weights.size()));
}

}  // namespace
}  // namespace mhub::quantize
