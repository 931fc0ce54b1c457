// SPDX-License-Identifier: Apache-2.0
#include "cuda/attention/attention.h"

#include <gtest/gtest.h>

#include "attention_case.h"
#include "device_array.h"

namespace mhub::kernels::cuda {
namespace {

constexpr uint16_t kUntouched = 0x5a5a;

// A case on the device, ready to run.
class OnDevice {
 public:
  explicit OnDevice(const AttentionCase& c, int max_seqs = 0)
      : case_(c),
        data_(make_data(c)),
        q_(data_.q),
        kv_(data_.kv),
        cu_(data_.cu_seqlens_q),
        lens_(data_.seq_lens),
        tables_(data_.block_tables),
        sinks_(data_.sinks),
        out_(static_cast<size_t>(data_.num_tokens) * static_cast<size_t>(out_stride())) {
    const int seqs = static_cast<int>(c.seqs.size());
    check(prepare_attention(c.shape, {std::max(seqs, max_seqs), data_.num_tokens}, &setup_));
    plan_ = std::make_unique<DeviceArray<char>>(setup_.plan_bytes);
    scratch_ = std::make_unique<DeviceArray<char>>(setup_.scratch_bytes);
    plan_->fill_bytes(0xff);
    scratch_->fill_bytes(0xff);
    out_.fill_bytes(0x5a);
    batch_ = {cu_.get(), lens_.get(), tables_.get(), data_.max_blocks, seqs, data_.num_tokens};
    call_.out = out_.get();
    call_.q = q_.get();
    call_.out_stride = out_stride();
    call_.q_stride = data_.q_stride;
    call_.kv = kv_.get();
    call_.scale = data_.scale;
    call_.soft_cap = c.soft_cap;
    call_.sinks = c.sinks ? sinks_.get() : nullptr;
    call_.plan = plan_->get();
    call_.scratch = scratch_->get();
  }
  void plan(cudaStream_t stream = nullptr) {
    check(plan_attention(setup_, batch_, {case_.window, case_.batch_invariant}, plan_->get(), stream));
  }
  void attend(cudaStream_t stream = nullptr) {
    check(attention_decode(setup_, batch_, call_, stream));
    check(attention_prefill(setup_, batch_, call_, stream));
  }
  void decode(cudaStream_t stream) { check(attention_decode(setup_, batch_, call_, stream)); }
  void set_lens(const std::vector<int32_t>& lens) { lens_.set(lens); }
  void clear() { out_.fill_bytes(0x5a); }
  std::vector<uint16_t> out() {
    check(cudaDeviceSynchronize());
    return out_.host();
  }
  const AttentionData& data() const { return data_; }
  int64_t out_stride() const { return static_cast<int64_t>(case_.shape.num_q_heads) * case_.shape.head_dim; }

 private:
  AttentionCase case_;
  AttentionData data_;
  DeviceArray<uint16_t> q_, kv_;
  DeviceArray<int32_t> cu_, lens_, tables_;
  DeviceArray<float> sinks_;
  DeviceArray<uint16_t> out_;
  std::unique_ptr<DeviceArray<char>> plan_, scratch_;
  AttentionSetup setup_;
  AttentionBatch batch_;
  AttentionCall call_;
};

void expect_reference(const AttentionCase& c, const AttentionData& d, const std::vector<uint16_t>& out) {
  const int stride = c.shape.num_q_heads * c.shape.head_dim;
  double worst = 0;
  for (size_t seq = 0; seq < c.seqs.size(); ++seq) {
    for (int token = 0; token < c.seqs[seq].q_len; ++token) {
      const uint16_t* row = &out[static_cast<size_t>(d.cu_seqlens_q[seq] + token) * static_cast<size_t>(stride)];
      if (c.seqs[seq].len == 0) {
        for (int x = 0; x < stride; ++x) ASSERT_EQ(row[x], kUntouched) << "padding row written, sequence " << seq;
        continue;
      }
      // Long prompts: some rows of each sequence, the first and last tokens among them.
      if (c.seqs[seq].q_len > 40 && token % 37 != 5 && token > 1 && token + 2 < c.seqs[seq].q_len) continue;
      for (int head = 0; head < c.shape.num_q_heads; ++head) {
        const ReferenceRow expected = reference_row(c, d, static_cast<int>(seq), token, head);
        for (int x = 0; x < c.shape.head_dim; ++x) {
          const double got = from_bits(c.shape.type, row[head * c.shape.head_dim + x]);
          const auto i = static_cast<size_t>(x);
          const double error = std::fabs(got - expected.out[i]);
          ASSERT_LE(error, expected.bound[i])
              << "sequence " << seq << " (" << c.seqs[seq].q_len << " of " << c.seqs[seq].len << "), token " << token
              << ", head " << head << ", element " << x << ": " << got << " for " << expected.out[i];
          worst = std::max(worst, error / expected.bound[i]);
        }
      }
    }
  }
  ::testing::Test::RecordProperty("worst_share_of_bound", std::to_string(worst));
}

class CudaAttention : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_device()) GTEST_SKIP() << "no CUDA device";
  }
  static void expect_right(const AttentionCase& c) {
    OnDevice device(c);
    device.plan();
    device.attend();
    expect_reference(c, device.data(), device.out());
    if (::testing::Test::HasFatalFailure()) return;
    const std::vector<uint16_t> once = device.out();
    device.clear();
    device.attend();  // another layer with the same plan
    EXPECT_EQ(device.out(), once);
  }
};

AttentionShape shape(int q_heads, int kv_heads, int head_dim, int block_size = 16,
                     AttentionType type = AttentionType::kBFloat16) {
  return {q_heads, kv_heads, head_dim, block_size, type};
}

const std::vector<SequenceCase> kDecodeLengths = {{1, 1},  {1, 0}, {1, 15},  {1, 16},  {1, 17},  {1, 63},   {1, 64},
                                                  {1, 65}, {1, 0}, {1, 129}, {1, 200}, {1, 777}, {1, 2049}, {1, 0}};
const std::vector<SequenceCase> kMixed = {{1, 40},   {37, 37}, {1, 300}, {1, 0},  {130, 130}, {64, 333},
                                          {17, 500}, {1, 1},   {2, 2},   {5, 70}, {300, 300}, {33, 1025}};

TEST_F(CudaAttention, DecodeOfEveryGroupSize) {
  for (const int group : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16}) {
    SCOPED_TRACE(group);
    AttentionCase c{shape(2 * group, 2, 128), kDecodeLengths};
    expect_right(c);
  }
}

TEST_F(CudaAttention, EveryHeadSizeAndType) {
  for (const AttentionType type : {AttentionType::kFloat16, AttentionType::kBFloat16}) {
    for (const int head_dim : {64, 80, 96, 128, 256}) {
      SCOPED_TRACE(head_dim);
      expect_right({shape(6, 2, head_dim, 16, type), kDecodeLengths});
      expect_right({shape(6, 2, head_dim, 16, type), kMixed});
    }
  }
}

TEST_F(CudaAttention, EveryBlockSize) {
  for (const int block_size : {16, 32, 64, 128, 256}) {
    SCOPED_TRACE(block_size);
    expect_right({shape(4, 1, 128, block_size), kMixed});
  }
}

TEST_F(CudaAttention, MixedBatchesOfEveryGroupSize) {
  for (const int group : {1, 2, 3, 4, 5, 6, 7, 8, 16}) {
    SCOPED_TRACE(group);
    expect_right({shape(group, 1, 64), kMixed});
    expect_right({shape(2 * group, 2, 128), {{50, 50}, {1, 100}, {100, 260}}});
  }
}

TEST_F(CudaAttention, SlidingWindow) {
  for (const int window : {1, 16, 33, 64, 100, 4096}) {
    SCOPED_TRACE(window);
    AttentionCase c{shape(8, 2, 128), kMixed};
    c.window = window;
    expect_right(c);
    c.seqs = kDecodeLengths;
    expect_right(c);
  }
}

TEST_F(CudaAttention, SoftCapAndSinks) {
  AttentionCase c{shape(8, 2, 64), kMixed};
  c.soft_cap = 20.0f;
  expect_right(c);
  c.sinks = true;
  c.window = 70;
  expect_right(c);
  c.soft_cap = 0.0f;
  expect_right(c);
}

TEST_F(CudaAttention, LongAndSkewed) {
  expect_right({shape(32, 8, 128), {{1, 1024}}});
  AttentionCase c{shape(4, 1, 128), {{1, 9001}, {1, 3}, {1, 70}, {1, 1}}};
  for (int i = 0; i < 40; ++i) c.seqs.push_back({1, 1 + 13 * i});
  expect_right(c);
}

TEST_F(CudaAttention, MoreSequencesThanThreadBlocks) {
  AttentionCase c{shape(2, 2, 64), {}};
  for (int i = 0; i < 700; ++i) c.seqs.push_back({1, i % 5 == 0 ? 0 : i % 130 + 1});
  expect_right(c);
}

TEST_F(CudaAttention, NothingToDo) {
  const AttentionCase c{shape(4, 1, 128), {{1, 0}, {1, 0}}};
  OnDevice device(c);
  device.plan();
  device.attend();
  expect_reference(c, device.data(), device.out());
}

TEST_F(CudaAttention, BatchInvariantAnswersDoNotDependOnTheBatch) {
  AttentionCase together{shape(8, 2, 128), {{1, 1500}}};
  together.batch_invariant = true;
  for (int i = 0; i < 60; ++i) together.seqs.push_back({1, 1 + 31 * i});
  expect_right(together);
  OnDevice many(together);
  many.plan();
  many.attend();
  const std::vector<uint16_t> in_batch = many.out();
  std::vector<int32_t> lens(together.seqs.size(), 0);
  lens[0] = 1500;
  many.set_lens(lens);
  many.clear();
  many.plan();
  many.attend();
  const std::vector<uint16_t> by_itself = many.out();
  EXPECT_TRUE(std::equal(in_batch.begin(), in_batch.begin() + many.out_stride(), by_itself.begin()));
}

TEST_F(CudaAttention, CapturedGraphFollowsTheLengths) {
  AttentionCase c{shape(8, 2, 128), {{1, 400}, {1, 90}, {1, 1000}, {1, 17}}};
  OnDevice device(c);
  cudaStream_t stream;
  check(cudaStreamCreate(&stream));
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  device.plan(stream);
  device.decode(stream);
  device.decode(stream);
  check(cudaStreamEndCapture(stream, &graph));
  check(cudaGraphInstantiate(&exec, graph, 0));
  // The query stays that of the last position; a shorter length sees fewer keys.
  for (const std::vector<int32_t>& lens : {std::vector<int32_t>{400, 90, 1000, 17}, {64, 0, 333, 1}, {1, 65, 0, 0}}) {
    AttentionCase now = c;
    for (size_t i = 0; i < lens.size(); ++i) now.seqs[i].len = lens[i];
    device.set_lens(lens);
    device.clear();
    check(cudaGraphLaunch(exec, stream));
    expect_reference(now, device.data(), device.out());
  }
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

TEST_F(CudaAttention, HopperUsesWarpgroupProducts) {
  AttentionSetup setup;
  check(prepare_attention(shape(8, 2, 128), {1, 1}, &setup));
  if (setup.compute_major != 9) GTEST_SKIP() << "not Hopper";
  EXPECT_TRUE(setup.wide_prefill) << "built without sm_90a, or the kernel is empty";
}

TEST_F(CudaAttention, RefusesWhatNoKernelServes) {
  AttentionSetup setup;
  EXPECT_EQ(prepare_attention(shape(8, 2, 72), {1, 1}, &setup), cudaErrorInvalidValue);
  EXPECT_EQ(prepare_attention(shape(8, 3, 128), {1, 1}, &setup), cudaErrorInvalidValue);
  EXPECT_EQ(prepare_attention(shape(34, 2, 128), {1, 1}, &setup), cudaErrorInvalidValue);
  EXPECT_EQ(prepare_attention(shape(8, 2, 128, 24), {1, 1}, &setup), cudaErrorInvalidValue);
  EXPECT_EQ(prepare_attention(shape(8, 2, 128, 8), {1, 1}, &setup), cudaErrorInvalidValue);
}

}  // namespace
}  // namespace mhub::kernels::cuda
