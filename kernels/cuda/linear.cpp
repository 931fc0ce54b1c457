// SPDX-License-Identifier: Apache-2.0
#include "cuda/linear.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <vector>

#include "cuda/elementwise.h"
#include "cuda/products/plain_linear.h"
#include "cuda/products/skinny_linear.h"
#include "cuda/rows.h"

namespace mhub::kernels::cuda {
namespace {

constexpr size_t kWorkspaceBytes = size_t{64} << 20;
constexpr size_t kFlushBytes = size_t{128} << 20;
constexpr int kCandidates = 12;
constexpr size_t kRounds = 5;
constexpr int64_t kLongRows = 1024;  // from here on a product takes long enough to be measured less often
constexpr size_t kLongRounds = 3;
constexpr size_t kMaxPlans = 4096;
// Own products in a step differ from what they are alone. The many thread blocks of skinny_linear() come to lie
// unevenly where they start before another kernel's end, which costs long products most. Short ones gain: they find
// room beside attention, where StreamedLinear must wait for shared memory.
constexpr size_t kShortBytes = size_t{16} << 20;
constexpr int64_t kShortRows = 8;
constexpr float kStreamedWorth = 0.95f;      // of its time alone: unlike cuBLASLt it leaves no gaps between kernels
constexpr int64_t kNeighbourColumns = 2048;  // of the small kernels around a product that is measured

cudaDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return CUDA_R_32F;
    case DType::kF16:
      return CUDA_R_16F;
    case DType::kBF16:
      return CUDA_R_16BF;
    default:
      fail("linear", {}, "activations are F32, F16 or BF16");
  }
}

void check_lt(cublasStatus_t status, const char* operation, std::initializer_list<int64_t> shape = {}) {
  if (status != CUBLAS_STATUS_SUCCESS) fail(operation, shape, cublasLtGetStatusString(status));
}

}  // namespace

// cuBLASLt is column-major: it computes out^T [N, T] = W [N, K] * x^T [K, T].
struct Linear::Plan {
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t weight = nullptr, x = nullptr, out = nullptr;
  Choice choice;
  bool plain = false;  // cuBLASLt has no algorithm for this shape

  Plan(const TensorView& o, const TensorView& i, const TensorView& w, bool bias) {
    const cudaDataType_t in = type_of(w.dtype), result = type_of(o.dtype);
    const auto u = [](int64_t side) { return static_cast<uint64_t>(side); };
    // Products of float32 stay float32: no TF32.
    check_lt(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "linear");
    const cublasOperation_t transposed = CUBLAS_OP_T;
    check_lt(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof(transposed)),
             "linear");
    if (bias) {
      const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
      check_lt(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof(epilogue)),
               "linear");
    }
    check_lt(cublasLtMatrixLayoutCreate(&weight, in, u(w.cols), u(w.rows), w.stride), "linear");
    check_lt(cublasLtMatrixLayoutCreate(&x, in, u(i.cols), u(i.rows), i.stride), "linear");
    check_lt(cublasLtMatrixLayoutCreate(&out, result, u(o.cols), u(o.rows), o.stride), "linear");
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    cublasLtMatrixLayoutDestroy(out);
    cublasLtMatrixLayoutDestroy(x);
    cublasLtMatrixLayoutDestroy(weight);
    cublasLtMatmulDescDestroy(operation);
  }
  void set_bias(const void* bias) const {
    if (bias == nullptr) return;
    check_lt(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof(bias)),
             "linear");
  }
};

int64_t Linear::bucket_of(int64_t rows) {
  if (rows <= 8) return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
  if (rows <= 64) return (rows + 7) / 8 * 8;
  if (rows <= 512) return (rows + 63) / 64 * 64;
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
}

Linear::Linear(cudaStream_t stream) : stream_(stream), workspace_(DeviceMemory::allocate(kWorkspaceBytes)) {
  check_lt(cublasLtCreate(&handle_), "start cuBLASLt");
  require(static_cast<bool>(workspace_), "start cuBLASLt", {static_cast<int64_t>(kWorkspaceBytes)},
          "no memory for its workspace");
}

Linear::~Linear() {
  plans_.clear();
  cublasLtDestroy(handle_);
}

cublasStatus_t Linear::multiply(const Plan& plan, const cublasLtMatmulAlgo_t& algorithm, TensorView out, TensorView x,
                                TensorView weight) const {
  const float one = 1.0f, zero = 0.0f;
  return cublasLtMatmul(handle_, plan.operation, &one, weight.data, plan.weight, x.data, plan.x, &zero, out.data,
                        plan.out, out.data, plan.out, &algorithm, workspace_.as<>(), workspace_.bytes(), stream_);
}

template <class F>
float Linear::measure(size_t rounds, int64_t rows, F multiply_once) {
  // In a step small kernels stand around a product, and what they overlap with it is part of its worth.
  const int64_t few = std::min<int64_t>(rows, kLongRows);
  const auto half = workspace_.bytes() / 2;
  const TensorView neighbour{workspace_.as<char>() + half, DType::kF32, few, kNeighbourColumns, kNeighbourColumns};
  const auto neighbour_kernel = [&] {
    rms_norm(neighbour, neighbour, nullptr, reinterpret_cast<const float*>(workspace_.as<char>() + half), 1.0f,
             stream_);
  };
  std::vector<float> times(rounds);
  for (float& time : times) {
    if (flush_) check(cudaMemsetAsync(flush_.as<>(), 0, flush_.bytes(), stream_), "measure linear");
    check(cudaEventRecord(begin_.get(), stream_), "measure linear");
    neighbour_kernel();
    if (!multiply_once()) return std::numeric_limits<float>::infinity();
    neighbour_kernel();
    check(cudaEventRecord(end_.get(), stream_), "measure linear");
    check(cudaEventSynchronize(end_.get()), "measure linear");
    check(cudaEventElapsedTime(&time, begin_.get(), end_.get()), "measure linear");
  }
  std::sort(times.begin(), times.end());
  return times[rounds / 2];
}

bool Linear::capturing() const {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream_, &status), "linear");
  return status != cudaStreamCaptureStatusNone;
}

void Linear::choose_algorithm(Plan& plan, TensorView out, TensorView x, TensorView weight, const void* bias) {
  cublasLtMatmulPreference_t preference = nullptr;
  check_lt(cublasLtMatmulPreferenceCreate(&preference), "linear");
  const size_t workspace = workspace_.bytes();
  check_lt(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                                sizeof(workspace)),
           "linear");
  const auto alignment = [](const TensorView& view) {
    const auto bits = reinterpret_cast<uintptr_t>(view.data) | 256;
    return static_cast<uint32_t>(bits & ~(bits - 1));
  };
  const std::array<std::pair<cublasLtMatmulPreferenceAttributes_t, uint32_t>, 4> alignments = {
      {{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(weight)},
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(x)},
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(out)},
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(out)}}};
  for (const auto& [attribute, bytes] : alignments)
    check_lt(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &bytes, sizeof(bytes)), "linear");
  std::array<cublasLtMatmulHeuristicResult_t, kCandidates> found{};
  int count = 0;
  const bool measured = x.dtype != DType::kF32;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle_, plan.operation, plan.weight, plan.x, plan.out, plan.out, preference,
                                     measured ? kCandidates : 1, found.data(), &count);
  cublasLtMatmulPreferenceDestroy(preference);
  if (status != CUBLAS_STATUS_SUCCESS || count == 0) {
    plan.plain = true;
    return;
  }
  plan.choice.algorithm = found[0].algo;
  if (!measured || capturing()) return;
  if (!flush_) flush_ = DeviceMemory::allocate(kFlushBytes);  // without it, measured with a warm cache
  plan.set_bias(bias);
  const size_t rounds = x.rows < kLongRows ? kRounds : kLongRounds;
  float best = std::numeric_limits<float>::infinity();
  for (int i = 0; i < count; ++i) {
    const cublasLtMatmulAlgo_t& algorithm = found[static_cast<size_t>(i)].algo;
    const float time =
        measure(rounds, x.rows, [&] { return multiply(plan, algorithm, out, x, weight) == CUBLAS_STATUS_SUCCESS; });
    if (time >= best * 0.98f) continue;  // a tie stays with what cuBLASLt ranks higher
    best = time;
    plan.choice.algorithm = algorithm;
  }
  const auto challenge = [&](const Choice& choice) {
    const float time = measure(rounds, x.rows, [&] {
      run_own(choice, out, x, weight, bias);
      return true;
    });
    if (time * (choice.streamed ? kStreamedWorth : 1.0f) >= best) return;
    best = time;
    plan.choice.skinny = choice.skinny;
    plan.choice.streamed = choice.streamed;
  };
  const auto bytes = static_cast<size_t>(weight.rows * weight.cols) * dtype_info(weight.dtype).block_bytes;
  const bool skinny = skinny_linear_fits(out, x, weight), is_short = skinny && bytes < kShortBytes;
  const bool streamed = streamed_.fits(out, x, weight) && !(is_short && x.rows <= kShortRows);
  if (streamed) challenge({.streamed = true});
  for (int variant = 0; variant < kSkinnyVariants && skinny && (is_short || !streamed); ++variant)
    challenge({.skinny = variant});
}

void Linear::run_own(const Choice& choice, TensorView out, TensorView x, TensorView weight, const void* bias) const {
  if (choice.skinny >= 0)
    skinny_linear(out, x, weight, bias, choice.skinny, stream_);
  else
    streamed_.run(out, x, weight, bias, stream_);
}

bool Linear::usable(const Plan& plan, const Choice& choice) const {
  if (choice.skinny >= 0 || choice.streamed) return true;
  cublasLtMatmulHeuristicResult_t facts{};
  return cublasLtMatmulAlgoCheck(handle_, plan.operation, plan.weight, plan.x, plan.out, plan.out, &choice.algorithm,
                                 &facts) == CUBLAS_STATUS_SUCCESS &&
         facts.workspaceSize <= workspace_.bytes();
}

Linear::Plan& Linear::plan_for(TensorView out, TensorView x, TensorView weight, const void* bias) {
  const auto key_for = [&](int64_t rows) {
    return Key{out.cols, rows, x.cols, x.stride, out.stride, weight.dtype, out.dtype, bias != nullptr};
  };
  const Key key = key_for(x.rows), bucket = key_for(bucket_of(x.rows));
  if (const auto known = plans_.find(key); known != plans_.end()) return *known->second;
  if (plans_.size() >= kMaxPlans) plans_.clear();
  auto plan = std::make_unique<Plan>(out, x, weight, bias != nullptr);
  const auto chosen = choices_.find(bucket);
  if (chosen != choices_.end() && usable(*plan, chosen->second)) {
    plan->choice = chosen->second;
  } else {
    choose_algorithm(*plan, out, x, weight, bias);
    if (!plan->plain) choices_.insert_or_assign(bucket, plan->choice);
  }
  return *plans_.emplace(key, std::move(plan)).first->second;
}

void Linear::run(TensorView out, TensorView x, TensorView weight, const void* bias) {
  require(x.cols == weight.cols && out.cols == weight.rows && out.rows == x.rows, "linear",
          {x.rows, x.cols, weight.rows, weight.cols}, "shapes differ");
  require(x.dtype == weight.dtype && (out.dtype == x.dtype || out.dtype == DType::kF32), "linear",
          {x.rows, x.cols, weight.rows}, "types differ");
  if (out.rows == 0 || out.cols == 0) return;
  const Plan& plan = plan_for(out, x, weight, bias);
  if (plan.plain) return plain_linear(out, x, weight, bias, stream_);
  const bool own = (plan.choice.skinny >= 0 && skinny_linear_fits(out, x, weight)) ||
                   (plan.choice.streamed && streamed_.fits(out, x, weight));
  if (own) return run_own(plan.choice, out, x, weight, bias);
  plan.set_bias(bias);
  check_lt(multiply(plan, plan.choice.algorithm, out, x, weight), "linear", {x.rows, x.cols, weight.rows});
}

bool Linear::streams_gated(TensorView out, TensorView gate_up, TensorView x, TensorView weight, const void* bias,
                           const GatedActivation& activation) {
  const Key bucket{gate_up.cols, bucket_of(x.rows), x.cols,    x.stride,
                   out.stride,   weight.dtype,      out.dtype, bias != nullptr};
  if (const auto known = gated_.find(bucket); known != gated_.end()) return known->second;
  if (capturing()) return false;
  if (!flush_) flush_ = DeviceMemory::allocate(kFlushBytes);
  run(gate_up, x, weight, bias);  // is measured itself, the first time
  const float apart = measure(kRounds, x.rows, [&] {
    run(gate_up, x, weight, bias);
    gated_activation(out, gate_up, activation, stream_);
    return true;
  });
  const float together = measure(kRounds, x.rows, [&] {
    streamed_.run_gated(out, x, weight, bias, activation.kind, stream_);
    return true;
  });
  return gated_.emplace(bucket, together * kStreamedWorth < apart).first->second;
}

void Linear::run_gated(TensorView out, TensorView gate_up, TensorView x, TensorView weight, const void* bias,
                       const GatedActivation& activation) {
  require(gate_up.rows == out.rows && gate_up.cols == 2 * out.cols && out.rows == x.rows &&
              weight.rows == gate_up.cols && x.cols == weight.cols && out.dtype == gate_up.dtype,
          "gated_linear", {x.rows, x.cols, weight.rows}, "shapes differ");
  if (out.rows == 0 || out.cols == 0) return;
  if (streamed_.fits_gated(out, x, weight, activation) && streams_gated(out, gate_up, x, weight, bias, activation))
    return streamed_.run_gated(out, x, weight, bias, activation.kind, stream_);
  run(gate_up, x, weight, bias);
  gated_activation(out, gate_up, activation, stream_);
}

}  // namespace mhub::kernels::cuda
