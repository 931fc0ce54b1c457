// SPDX-License-Identifier: Apache-2.0
// Rotation, the paged cache and attention of the CUDA back end against double references. Everything in the cache that
// no sequence owns is NaN. Skipped where there is no device.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "device.h"
#include "support/random_matrix.h"
#include "support/ref_ops.h"

namespace mhub::kernels {
namespace {

using mhub::testing::random_floats;
using testing::cuda_backend;
using testing::DeviceTensor;
using testing::rounded;
using testing::tolerance;

struct Sequence {
  int64_t past = 0, fresh = 0;  // tokens in the cache before the step, and of the step
};

struct Case {
  const char* name;
  int64_t kv_heads, group, dim, block_size;
  std::vector<Sequence> sequences;
  int64_t rotary = 0;
  RopeStyle style = RopeStyle::kHalf;
  AttentionOptions options = {};
  bool sinks = false;
  int64_t padding = 0;  // rows behind the sequences'
};

std::vector<Case> cases() {
  std::vector<Case> all = {
      {"one_token", 1, 1, 64, 16, {{0, 1}}},
      {"odd_group_and_pages", 2, 3, 24, 4, {{0, 5}, {3, 1}, {4, 1}, {7, 2}}, 10},
      {"page_borders", 2, 7, 128, 16, {{14, 1}, {15, 1}, {16, 1}, {15, 2}, {0, 16}, {0, 17}}, 128},
      {"interleaved", 2, 2, 32, 16, {{0, 9}, {20, 3}}, 32, RopeStyle::kInterleaved},
      {"decode_of_many", 2, 4, 128, 16, {}, 128, RopeStyle::kHalf, {}, false, 5},
      {"long_decode", 2, 4, 128, 16, {{2000, 1}, {3, 1}, {700, 1}}, 128},
      {"long_chunk", 2, 2, 64, 32, {{300, 170}, {0, 64}}, 64},
      {"wide_heads", 1, 2, 256, 16, {{70, 3}, {5, 1}}, 256},
      {"window", 2, 2, 64, 16, {{100, 1}, {30, 50}, {2, 1}}, 64, RopeStyle::kHalf, {.window = 33}},
      {"soft_cap", 2, 2, 64, 16, {{40, 1}, {3, 20}}, 64, RopeStyle::kHalf, {.soft_cap = 2.0f}},
      {"sinks", 2, 8, 64, 16, {{40, 1}, {3, 20}}, 64, RopeStyle::kHalf, {.window = 16}, true},
  };
  for (int64_t i = 0; i < 40; ++i) all[4].sequences.push_back({i * 7 % 90, 1});
  return all;
}

class CudaAttention : public ::testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    std::string why;
    backend_ = cuda_backend(type_, &why);
    if (!backend_) GTEST_SKIP() << why;
  }
  std::unique_ptr<Buffer> upload(const std::vector<float>& values) {
    auto buffer = backend_->allocate(values.size() * sizeof(float));
    backend_->copy_to_device(buffer->data(), values.data(), values.size() * sizeof(float));
    return buffer;
  }
  void run(const Case& c, bool announced);

  const DType type_ = GetParam();
  std::mt19937 rng_{11};
  std::unique_ptr<Backend> backend_;
};

void CudaAttention::run(const Case& c, bool announced) {
  SCOPED_TRACE(c.name);
  constexpr int64_t kLayers = 2, kLayer = 1;
  const int64_t kv_cols = c.kv_heads * c.dim, heads = c.kv_heads * c.group;
  int64_t longest = 1, num_blocks = 3;
  for (const Sequence& s : c.sequences) {
    longest = std::max(longest, s.past + s.fresh);
    num_blocks += (s.past + s.fresh + c.block_size - 1) / c.block_size + 1;
  }
  KvShape shape{kLayers, num_blocks, c.block_size, c.kv_heads, c.dim};
  auto cache = backend_->make_kv_cache(shape, type_);
  ASSERT_NE(cache, nullptr);
  const int64_t half = c.rotary / 2;
  const std::vector<float> table = random_floats(rng_, std::max<int64_t>(longest * c.rotary, 1));
  const auto cos_sin = upload(table);
  const auto write = [&](const std::vector<float>& k, const std::vector<float>& v, std::vector<int32_t> positions,
                         std::vector<int32_t> slots, int64_t rotary) {
    const auto rows = static_cast<int64_t>(slots.size());
    DeviceTensor q(*backend_, type_, rows, kv_cols, std::vector<float>(k.size(), 0.0f));
    DeviceTensor keys(*backend_, type_, rows, kv_cols, k), values(*backend_, type_, rows, kv_cols, v);
    backend_->rope_and_write_kv(q.view(), keys.view(), values.view(), positions, slots,
                                static_cast<const float*>(cos_sin->data()), rotary, c.style, *cache, kLayer);
    q.read();  // before the host arrays go away
  };
  {  // poison
    const auto slots = static_cast<size_t>(num_blocks * c.block_size);
    std::vector<int32_t> all(slots), zeros(slots, 0);
    std::iota(all.begin(), all.end(), 0);
    const std::vector<float> nan(slots * static_cast<size_t>(kv_cols), NAN);
    write(nan, nan, zeros, all, 0);
  }
  std::vector<int32_t> blocks(static_cast<size_t>(num_blocks));
  std::iota(blocks.begin(), blocks.end(), 0);
  std::shuffle(blocks.begin(), blocks.end(), rng_);

  const int64_t max_blocks = (longest + c.block_size - 1) / c.block_size;
  std::vector<int32_t> cu = {0}, lens, tables, positions, slots;
  std::vector<std::vector<float>> keys, values;  // per sequence, rotated and rounded, [tokens, kv_cols]
  std::vector<float> fresh_k, fresh_v;
  size_t next_block = 0;
  for (const Sequence& s : c.sequences) {
    const int64_t length = s.past + s.fresh;
    std::vector<int32_t> own;
    for (int64_t b = 0; b * c.block_size < length; ++b) own.push_back(blocks[next_block++]);
    const std::vector<float> k = rounded(type_, random_floats(rng_, length * kv_cols));
    const std::vector<float> v = rounded(type_, random_floats(rng_, length * kv_cols));
    std::vector<float> rotated;
    std::vector<int32_t> all_positions, all_slots;
    for (int64_t t = 0; t < length; ++t) {
      all_positions.push_back(static_cast<int32_t>(t));
      all_slots.push_back(
          static_cast<int32_t>(own[static_cast<size_t>(t / c.block_size)] * c.block_size + t % c.block_size));
      for (int64_t h = 0; h < c.kv_heads; ++h) {
        const auto turned = ref::rope(k.data() + t * kv_cols + h * c.dim, c.dim, table.data() + t * c.rotary, half,
                                      c.style == RopeStyle::kInterleaved);
        rotated.insert(rotated.end(), turned.begin(), turned.end());
      }
    }
    const auto cut = static_cast<size_t>(s.past), at = static_cast<size_t>(s.past * kv_cols);
    if (s.past > 0)
      write({k.begin(), k.begin() + static_cast<int64_t>(at)}, {v.begin(), v.begin() + static_cast<int64_t>(at)},
            {all_positions.begin(), all_positions.begin() + s.past}, {all_slots.begin(), all_slots.begin() + s.past},
            c.rotary);
    fresh_k.insert(fresh_k.end(), k.begin() + static_cast<int64_t>(at), k.end());
    fresh_v.insert(fresh_v.end(), v.begin() + static_cast<int64_t>(at), v.end());
    positions.insert(positions.end(), all_positions.begin() + static_cast<int64_t>(cut), all_positions.end());
    slots.insert(slots.end(), all_slots.begin() + static_cast<int64_t>(cut), all_slots.end());
    keys.push_back(rounded(type_, rotated));
    values.push_back(v);
    cu.push_back(static_cast<int32_t>(cu.back() + s.fresh));
    lens.push_back(static_cast<int32_t>(length));
    own.resize(static_cast<size_t>(max_blocks), 0);
    tables.insert(tables.end(), own.begin(), own.end());
  }
  for (int64_t i = 0; i < c.padding; ++i) {
    fresh_k.insert(fresh_k.end(), static_cast<size_t>(kv_cols), NAN);
    fresh_v.insert(fresh_v.end(), static_cast<size_t>(kv_cols), NAN);
    positions.push_back(0);
    slots.push_back(-1);
    cu.push_back(cu.back() + 1);
    lens.push_back(0);
    tables.insert(tables.end(), static_cast<size_t>(max_blocks), 0);
  }
  const int64_t rows = cu.back();
  const std::vector<float> q = rounded(type_, random_floats(rng_, rows * heads * c.dim));
  DeviceTensor queries(*backend_, type_, rows, heads * c.dim, q, 16);
  DeviceTensor k(*backend_, type_, rows, kv_cols, fresh_k, 8), v(*backend_, type_, rows, kv_cols, fresh_v, 8);
  DeviceTensor out(*backend_, type_, rows, heads * c.dim, 8);
  const AttentionMetadata metadata{cu, lens, tables, max_blocks};
  const std::vector<int32_t> no_tokens(static_cast<size_t>(rows), 0);
  if (announced) backend_->begin_step({no_tokens, positions, slots, metadata});
  backend_->rope_and_write_kv(queries.view(), k.view(), v.view(), positions, slots,
                              static_cast<const float*>(cos_sin->data()), c.rotary, c.style, *cache, kLayer);
  const std::vector<float> sinks = random_floats(rng_, heads);
  const auto device_sinks = upload(sinks);
  AttentionOptions options = c.options;
  options.scale = 1.0f / std::sqrt(static_cast<float>(c.dim));
  if (c.sinks) options.sinks = static_cast<const float*>(device_sinks->data());
  backend_->attention(out.view(), queries.view(), metadata, options, *cache, kLayer);
  const std::vector<float> found = out.read(), turned = queries.read();
  if (announced) backend_->begin_step({});  // the arrays go away

  for (size_t s = 0; s < c.sequences.size(); ++s) {
    for (int64_t row = cu[s]; row < cu[s + 1]; ++row) {
      const int64_t context = lens[s] - (cu[s + 1] - 1 - row);
      const int64_t oldest = options.window > 0 ? std::max<int64_t>(0, context - options.window) : 0;
      for (int64_t h = 0; h < heads; ++h) {
        const float* query = turned.data() + row * heads * c.dim + h * c.dim;
        const auto expected_query =
            ref::rope(q.data() + row * heads * c.dim + h * c.dim, c.dim, table.data() + (context - 1) * c.rotary, half,
                      c.style == RopeStyle::kInterleaved);
        std::vector<const float*> head_keys, head_values;
        for (int64_t t = oldest; t < context; ++t) {
          head_keys.push_back(keys[s].data() + t * kv_cols + h / c.group * c.dim);
          head_values.push_back(values[s].data() + t * kv_cols + h / c.group * c.dim);
        }
        const auto expected = ref::attend(query, head_keys, head_values, c.dim, options.scale, c.dim,
                                          {options.soft_cap, c.sinks ? &sinks[static_cast<size_t>(h)] : nullptr});
        for (int64_t d = 0; d < c.dim; ++d) {
          const auto i = static_cast<size_t>(d);
          ASSERT_NEAR(query[i], expected_query[i], tolerance(type_) * (1 + std::abs(expected_query[i])));
          ASSERT_NEAR(found[static_cast<size_t>((row * heads + h) * c.dim + d)], expected[i],
                      tolerance(type_) * (0.5 + std::abs(expected[i])))
              << "sequence " << s << " row " << row << " head " << h << " element " << d;
        }
      }
    }
  }
}

TEST_P(CudaAttention, ArraysCopiedOnTheSpot) {
  for (const Case& c : cases()) run(c, false);
}

TEST_P(CudaAttention, ArraysAnnounced) {
  for (const Case& c : cases()) run(c, true);
}

TEST_P(CudaAttention, RefusesWhatPointsOutside) {
  auto cache = backend_->make_kv_cache({1, 2, 16, 1, 16}, type_);
  DeviceTensor x(*backend_, type_, 1, 16, std::vector<float>(16, 1.0f)), out(*backend_, type_, 1, 16);
  const auto cos_sin = upload({1, 0});
  const auto write = [&](int32_t slot) {
    const std::vector<int32_t> position = {0}, slots = {slot};
    backend_->rope_and_write_kv(x.view(), x.view(), x.view(), position, slots,
                                static_cast<const float*>(cos_sin->data()), 0, RopeStyle::kHalf, *cache, 0);
    out.read();
  };
  EXPECT_NO_THROW(write(31));
  EXPECT_THROW(write(32), BackendError);
  EXPECT_THROW(write(-2), BackendError);
  const auto attend = [&](int32_t length, int32_t block) {
    const std::vector<int32_t> cu = {0, 1}, lens = {length}, table = {block};
    backend_->paged_attention(out.view(), x.view(), {cu, lens, table, 1}, 1.0f, *cache, 0);
    out.read();
  };
  EXPECT_NO_THROW(attend(16, 1));
  EXPECT_THROW(attend(17, 1), BackendError);
  EXPECT_THROW(attend(16, 2), BackendError);
}

TEST_P(CudaAttention, ReplayedStepsReadTheNewInputs) {
  constexpr int64_t kDim = 64, kBlocks = 40, kSlots = kBlocks * 16;
  auto cache = backend_->make_kv_cache({1, 64, 16, 1, kDim}, type_);
  const auto cos_sin = upload({1, 0});
  DeviceTensor x(*backend_, type_, 2, kDim, std::vector<float>(2 * kDim, 1.0f)), out(*backend_, type_, 2, kDim);
  int called = 0;
  std::vector<int32_t> tokens, positions, slots, cu, lens, tables;
  {  // values of block b are all b: a sequence within one block finds its number
    std::vector<float> values;
    for (int64_t s = 0; s < kSlots; ++s) values.insert(values.end(), kDim, static_cast<float>(s / 16));
    DeviceTensor ones(*backend_, type_, kSlots, kDim, std::vector<float>(values.size(), 1.0f));
    DeviceTensor v(*backend_, type_, kSlots, kDim, values);
    std::vector<int32_t> all(static_cast<size_t>(kSlots)), zeros(static_cast<size_t>(kSlots), 0);
    std::iota(all.begin(), all.end(), 0);
    backend_->rope_and_write_kv(ones.view(), ones.view(), v.view(), zeros, all,
                                static_cast<const float*>(cos_sin->data()), 0, RopeStyle::kHalf, *cache, 0);
    v.read();
  }
  for (int32_t step = 0; step < 6; ++step) {
    tokens = {0, 0}, positions = {0, 0}, slots = {-1, -1}, cu = {0, 1, 2};
    const bool longer = step == 4;  // more blocks than when it was recorded
    lens = {longer ? 17 : 1, step == 5 ? 0 : 1};
    tables = {step + 1, step + 20};
    if (longer) tables = {step + 1, step + 1, step + 20, 0};
    const AttentionMetadata metadata{cu, lens, tables, longer ? 2 : 1};
    backend_->begin_step({tokens, positions, slots, metadata});
    backend_->replay(1, [&] {
      ++called;
      backend_->paged_attention(out.view(), x.view(), metadata, 1.0f, *cache, 0);
    });
    const std::vector<float> found = out.read();
    EXPECT_EQ(found[0], static_cast<float>(step + 1));
    if (step < 5) {
      EXPECT_EQ(found[kDim], static_cast<float>(step + 20));
    }
  }
  EXPECT_LE(called, 2);
  tables = {1, 64};  // the recording's demands are those of the operation
  const AttentionMetadata metadata{cu, lens, tables, 1};
  backend_->begin_step({tokens, positions, slots, metadata});
  EXPECT_THROW(backend_->replay(1, [] {}), BackendError);
}

std::string type_name(const ::testing::TestParamInfo<DType>& param) {
  return std::string(dtype_info(param.param).name);
}
INSTANTIATE_TEST_SUITE_P(Types, CudaAttention, ::testing::Values(DType::kF32, DType::kBF16, DType::kF16), type_name);

}  // namespace
}  // namespace mhub::kernels
