// SPDX-License-Identifier: Apache-2.0
// Device sampling beside the host's sampler, which is what users see on machines without a GPU.
#include "cuda/sampling/sampling.h"

#include <cuda_bf16.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "device_array.h"
#include "sampling/race.h"
#include "sampling/sampler.h"

namespace mhub::kernels::cuda {
namespace {

using model::SamplingParams;

enum class Shape { kPeaked, kFlat, kCoarse, kEqual, kSorted };

std::vector<float> make_logits(Shape shape, int vocab, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> logits(static_cast<size_t>(vocab));
  for (float& x : logits) {
    const float z = normal(random);
    switch (shape) {
      case Shape::kPeaked:
        x = 3.0f * z + (random() % 1000 == 0 ? 9.0f : 0.0f);
        break;
      case Shape::kFlat:
        x = 0.4f * z;
        break;
      case Shape::kCoarse:
        x = std::round(8.0f * z) / 8.0f;
        break;
      case Shape::kEqual:
        x = 1.5f;
        break;
      case Shape::kSorted:
        x = 3.0f * z;
        break;
    }
  }
  if (shape == Shape::kSorted) std::sort(logits.begin(), logits.end(), std::greater<>());
  return logits;
}

SampleRow to_row(const SamplingParams& p, size_t output_index) {
  SampleRow row;
  row.temperature = p.temperature;
  row.top_p = p.top_p;
  row.min_p = p.min_p;
  row.top_k = p.top_k;
  row.race_key = model::ExponentialRace(p.seed, output_index).key();
  row.repetition_penalty = p.repetition_penalty;
  row.frequency_penalty = p.frequency_penalty;
  row.presence_penalty = p.presence_penalty;
  return row;
}

// One batch through the device.
struct Drawn {
  std::vector<int32_t> ids;
  std::vector<float> logprobs;
};
template <typename T>
Drawn draw(const std::vector<T>& logits, int vocab, const std::vector<SampleRow>& rows,
           DeviceArray<uint16_t>* seen = nullptr, const DeviceArray<float>* bias = nullptr) {
  const int count = static_cast<int>(rows.size());
  const DeviceArray<T> device_logits(logits);
  const DeviceArray<SampleRow> device_rows(rows);
  const DeviceArray<int32_t> ids(rows.size());
  const DeviceArray<float> logprobs(rows.size());
  DeviceArray<char> workspace(sampling_workspace_bytes(count, vocab));
  workspace.fill_bytes(0xff);
  SampleBatch batch;
  batch.logits = device_logits.get();
  batch.logits_stride = vocab;
  batch.type = sizeof(T) == 4 ? LogitType::kFloat32 : LogitType::kBFloat16;
  batch.vocab = vocab;
  batch.num_rows = count;
  batch.rows = device_rows.get();
  batch.seen = seen ? seen->get() : nullptr;
  batch.bias = bias ? bias->get() : nullptr;
  batch.ids = ids.get();
  batch.logprobs = logprobs.get();
  batch.workspace = workspace.get();
  check(sample_tokens(batch, nullptr));
  check(cudaDeviceSynchronize());
  return {ids.host(), logprobs.host()};
}

std::vector<SamplingParams> every_filter() {
  std::vector<SamplingParams> all;
  const auto add = [&](float temperature, int top_k, float top_p, float min_p) {
    SamplingParams p;
    p.temperature = temperature;
    p.top_k = top_k;
    p.top_p = top_p;
    p.min_p = min_p;
    p.logprobs = 0;
    all.push_back(p);
  };
  add(0.0f, 0, 1.0f, 0.0f);
  add(1.0f, 0, 1.0f, 0.0f);
  add(0.7f, 0, 1.0f, 0.0f);
  add(2.5f, 0, 1.0f, 0.0f);
  for (const int k : {1, 2, 20, 300, 1024, 1025, 5000}) add(0.8f, k, 1.0f, 0.0f);
  for (const float p : {0.05f, 0.5f, 0.9f, 0.999f}) add(1.0f, 0, p, 0.0f);
  for (const float m : {0.02f, 0.5f, 1.0f}) add(1.3f, 0, 1.0f, m);
  add(0.6f, 20, 0.95f, 0.0f);
  add(1.0f, 3000, 0.9f, 0.0f);
  add(1.0f, 50, 0.8f, 0.05f);
  add(1.5f, 0, 0.7f, 0.01f);  // tokens too light to matter without min_p count here
  add(2.0f, 0, 0.3f, 0.001f);
  add(2.0f, 2000, 0.3f, 0.0f);
  return all;
}

class CudaSampling : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_device()) GTEST_SKIP() << "no CUDA device";
  }
};

// Rounding may turn a draw where two scores, or a cut, are nearly equal; in none of these.
void expect_host_answers(Shape shape, int vocab) {
  std::vector<float> logits;
  std::vector<SampleRow> rows;
  std::vector<SamplingParams> params;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    for (SamplingParams p : every_filter()) {
      p.seed = seed * 977 + 5;
      params.push_back(p);
      rows.push_back(to_row(p, seed));
      const std::vector<float> row = make_logits(shape, vocab, static_cast<uint32_t>(rows.size()));
      logits.insert(logits.end(), row.begin(), row.end());
    }
  }
  const Drawn drawn = draw(logits, vocab, rows);
  model::Sampler sampler;
  int different = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<float> row(logits.begin() + static_cast<std::ptrdiff_t>(i * static_cast<size_t>(vocab)),
                           logits.begin() + static_cast<std::ptrdiff_t>((i + 1) * static_cast<size_t>(vocab)));
    const std::vector<int32_t> output(params[i].seed / 977);
    model::StepRow step;
    step.params = &params[i];
    step.output = output;
    const model::RowResult expected = sampler.sample(row, step);
    if (drawn.ids[i] != *expected.token) {
      ++different;
      std::printf("shape %d vocab %d: T %g k %d p %g m %g: %d for %d\n", static_cast<int>(shape), vocab,
                  static_cast<double>(params[i].temperature), params[i].top_k, static_cast<double>(params[i].top_p),
                  static_cast<double>(params[i].min_p), drawn.ids[i], *expected.token);
      continue;
    }
    EXPECT_NEAR(drawn.logprobs[i], expected.logprobs->chosen.logprob, 1e-4f);
  }
  EXPECT_EQ(different, 0) << "of " << rows.size();
}

TEST_F(CudaSampling, DrawsWhatTheHostDraws) {
  for (const int vocab : {1, 17, 4096, 4097, 32000, 50257, 151936}) {
    for (const Shape shape : {Shape::kPeaked, Shape::kFlat, Shape::kCoarse, Shape::kSorted}) {
      SCOPED_TRACE(vocab);
      expect_host_answers(shape, vocab);
    }
  }
}

TEST_F(CudaSampling, ManyEqualLogits) {
  for (const int vocab : {1000, 30000}) expect_host_answers(Shape::kEqual, vocab);
}

TEST_F(CudaSampling, PenaltiesAndBiasAsOnTheHost) {
  constexpr int kVocab = 5000;
  const std::vector<int32_t> prompt{1, 7, 7, 4999, 20}, output{7, 8, 8, 8, 20};
  std::vector<float> logits;
  std::vector<SampleRow> rows;
  std::vector<SamplingParams> params;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SamplingParams p;
    p.temperature = seed % 4 == 0 ? 0.0f : 0.9f;
    p.top_k = seed % 4 == 2 ? 40 : 0;
    p.top_p = seed % 4 == 3 ? 0.8f : 1.0f;
    p.repetition_penalty = 1.7f;
    p.frequency_penalty = 0.6f;
    p.presence_penalty = -0.4f;
    p.seed = seed;
    p.logprobs = 0;
    p.logit_bias = {{8, 4.0f}, {100, -50.0f}, {4, 2.5f}};
    params.push_back(p);
    rows.push_back(to_row(p, output.size()));
    rows.back().seen_slot = static_cast<int32_t>(seed % 2 + 1);
    rows.back().bias_slot = 1;
    std::vector<float> row = make_logits(Shape::kFlat, kVocab, static_cast<uint32_t>(seed));
    for (const int token : {1, 7, 8, 20, 100, 4999}) row[static_cast<size_t>(token)] += 5.0f;
    logits.insert(logits.end(), row.begin(), row.end());
  }
  std::vector<uint16_t> seen(3 * kVocab);
  for (const int slot : {1, 2}) {
    for (const int32_t t : prompt) seen[static_cast<size_t>(slot * kVocab + t)] |= kSeenInPrompt;
    for (const int32_t t : output) ++seen[static_cast<size_t>(slot * kVocab + t)];
  }
  std::vector<float> bias(2 * kVocab);
  for (const auto& [token, value] : params[0].logit_bias) bias[static_cast<size_t>(kVocab + token)] = value;
  model::Sampler sampler;
  for (size_t i = 0; i < rows.size(); ++i) {  // one by one: a drawn token is counted in its slot
    DeviceArray<uint16_t> device_seen(seen);
    const DeviceArray<float> device_bias(bias);
    std::vector<float> row(logits.begin() + static_cast<std::ptrdiff_t>(i * kVocab),
                           logits.begin() + static_cast<std::ptrdiff_t>((i + 1) * kVocab));
    const Drawn drawn = draw(row, kVocab, {rows[i]}, &device_seen, &device_bias);
    model::StepRow step;
    step.params = &params[i];
    step.prompt = prompt;
    step.output = output;
    const model::RowResult expected = sampler.sample(row, step);
    EXPECT_EQ(drawn.ids[0], *expected.token) << i;
    EXPECT_NEAR(drawn.logprobs[0], expected.logprobs->chosen.logprob, 1e-4f);
    std::vector<uint16_t> counted = seen;
    ++counted[static_cast<size_t>(rows[i].seen_slot * kVocab + drawn.ids[0])];
    EXPECT_EQ(device_seen.host(), counted);
  }
}

TEST_F(CudaSampling, RowsDoNotDependOnTheBatch) {
  constexpr int kVocab = 20011;
  const std::vector<SamplingParams> all = every_filter();
  std::vector<float> logits;
  std::vector<SampleRow> rows;
  for (size_t i = 0; i < 64; ++i) {
    rows.push_back(to_row(all[i % all.size()], i));
    const std::vector<float> row = make_logits(Shape::kFlat, kVocab, static_cast<uint32_t>(i));
    logits.insert(logits.end(), row.begin(), row.end());
  }
  const Drawn together = draw(logits, kVocab, rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::vector<float> row(logits.begin() + static_cast<std::ptrdiff_t>(i * kVocab),
                                 logits.begin() + static_cast<std::ptrdiff_t>((i + 1) * kVocab));
    EXPECT_EQ(draw(row, kVocab, {rows[i]}).ids[0], together.ids[i]) << i;
  }
}

TEST_F(CudaSampling, BFloat16LogitsAreTheirFloatValues) {
  constexpr int kVocab = 32000;
  const std::vector<SamplingParams> all = every_filter();
  std::vector<__nv_bfloat16> half;
  std::vector<float> full;
  std::vector<SampleRow> rows;
  for (size_t i = 0; i < all.size(); ++i) {
    rows.push_back(to_row(all[i], i));
    for (const float x : make_logits(Shape::kPeaked, kVocab, static_cast<uint32_t>(i))) {
      half.push_back(__float2bfloat16(x));
      full.push_back(__bfloat162float(half.back()));
    }
  }
  EXPECT_EQ(draw(half, kVocab, rows).ids, draw(full, kVocab, rows).ids);
}

TEST_F(CudaSampling, BrokenRowsGetNoToken) {
  constexpr int kVocab = 9000;
  const std::vector<SamplingParams> all = every_filter();
  std::vector<float> logits;
  std::vector<SampleRow> rows;
  for (size_t i = 0; i < 4 * all.size(); ++i) {
    std::vector<float> row = make_logits(Shape::kFlat, kVocab, static_cast<uint32_t>(i));
    if (i % 4 == 0) row[8999] = NAN;
    if (i % 4 == 1) row[5] = INFINITY;
    if (i % 4 == 2) std::fill(row.begin(), row.end(), -INFINITY);
    if (i % 4 == 3) {  // one token is possible
      std::fill(row.begin(), row.end(), -INFINITY);
      row[7777] = -4.0f;
    }
    rows.push_back(to_row(all[i / 4], 0));
    logits.insert(logits.end(), row.begin(), row.end());
  }
  const Drawn drawn = draw(logits, kVocab, rows);
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(drawn.ids[i], i % 4 == 3 ? 7777 : -1) << i;
}

TEST_F(CudaSampling, FrequenciesFollowTheProbabilities) {
  constexpr int kVocab = 50, kRows = 256, kRounds = 200;
  const std::vector<float> one = make_logits(Shape::kFlat, kVocab, 3);
  std::vector<float> logits;
  for (int i = 0; i < kRows; ++i) logits.insert(logits.end(), one.begin(), one.end());
  double sum = 0;
  for (const float x : one) sum += std::exp(static_cast<double>(x));
  std::vector<double> counts(kVocab);
  for (int round = 0; round < kRounds; ++round) {
    SamplingParams p;
    std::vector<SampleRow> rows;
    for (int i = 0; i < kRows; ++i) {
      p.seed = static_cast<uint64_t>(i);
      rows.push_back(to_row(p, static_cast<size_t>(round)));
    }
    for (const int32_t id : draw(logits, kVocab, rows).ids) ++counts[static_cast<size_t>(id)];
  }
  double chi_square = 0;
  for (int i = 0; i < kVocab; ++i) {
    const double expected = kRows * kRounds * std::exp(static_cast<double>(one[static_cast<size_t>(i)])) / sum;
    chi_square += std::pow(counts[static_cast<size_t>(i)] - expected, 2) / expected;
  }
  EXPECT_LT(chi_square, 95.0);  // 49 degrees of freedom: 99.99 % are below 96
}

}  // namespace
}  // namespace mhub::kernels::cuda
