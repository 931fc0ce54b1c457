// SPDX-License-Identifier: Apache-2.0
#include "cuda/invariant_linear.h"

#include <algorithm>
#include <array>

#include "cuda/products/plain_linear.h"

namespace mhub::kernels::cuda {
namespace {

constexpr size_t kWorkspaceBytes = size_t{32} << 20;
constexpr int kCandidates = 16;
constexpr int64_t kTypicalRows = 256;  // that the algorithm is chosen for
constexpr std::array<int64_t, 3> kTriedRows = {1, 9, 8192};

cudaDataType_t type_of(DType dtype) {
  return dtype == DType::kF32 ? CUDA_R_32F : dtype == DType::kF16 ? CUDA_R_16F : CUDA_R_16BF;
}

void check_lt(cublasStatus_t status) {
  if (status != CUBLAS_STATUS_SUCCESS) fail("linear", {}, cublasLtGetStatusString(status));
}

uint64_t side(int64_t length) {
  return static_cast<uint64_t>(length);
}

}  // namespace

// What cuBLASLt wants to know of one product. It is column-major: out^T [N, T] = W [N, K] * x^T [K, T].
struct InvariantLinear::Call {
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t weight = nullptr, x = nullptr, out = nullptr;

  Call(const TensorView& o, const TensorView& i, const TensorView& w, int64_t rows, bool bias) {
    check_lt(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    const cublasOperation_t transposed = CUBLAS_OP_T;
    check_lt(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof(transposed)));
    const cublasLtEpilogue_t epilogue = bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    check_lt(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof(epilogue)));
    check_lt(cublasLtMatrixLayoutCreate(&weight, type_of(w.dtype), side(w.cols), side(w.rows), w.stride));
    check_lt(cublasLtMatrixLayoutCreate(&x, type_of(i.dtype), side(i.cols), side(rows), i.stride));
    check_lt(cublasLtMatrixLayoutCreate(&out, type_of(o.dtype), side(o.cols), side(rows), o.stride));
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {
    cublasLtMatrixLayoutDestroy(out);
    cublasLtMatrixLayoutDestroy(x);
    cublasLtMatrixLayoutDestroy(weight);
    cublasLtMatmulDescDestroy(operation);
  }
};

InvariantLinear::InvariantLinear(cudaStream_t stream)
    : stream_(stream), workspace_(DeviceMemory::allocate(kWorkspaceBytes)) {
  check_lt(cublasLtCreate(&handle_));
  require(static_cast<bool>(workspace_), "start cuBLASLt", {static_cast<int64_t>(kWorkspaceBytes)},
          "no memory for its workspace");
}

InvariantLinear::~InvariantLinear() {
  cublasLtDestroy(handle_);
}

bool InvariantLinear::takes(const Call& call, const cublasLtMatmulAlgo_t& algorithm) const {
  cublasLtMatmulHeuristicResult_t facts{};
  return cublasLtMatmulAlgoCheck(handle_, call.operation, call.weight, call.x, call.out, call.out, &algorithm,
                                 &facts) == CUBLAS_STATUS_SUCCESS &&
         facts.workspaceSize <= workspace_.bytes();
}

const InvariantLinear::Choice& InvariantLinear::choice_for(const TensorView& out, const TensorView& x,
                                                           const TensorView& weight, bool bias) {
  const Key key{out.cols, x.cols, out.stride, x.stride, weight.stride, weight.dtype, out.dtype, bias};
  const auto [found, is_new] = choices_.try_emplace(key);
  if (!is_new) return found->second;
  cublasLtMatmulPreference_t preference = nullptr;
  check_lt(cublasLtMatmulPreferenceCreate(&preference));
  const size_t workspace = workspace_.bytes();
  const uint32_t no_split_sums = CUBLASLT_REDUCTION_SCHEME_NONE;
  check_lt(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                                sizeof(workspace)));
  check_lt(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &no_split_sums,
                                                sizeof(no_split_sums)));
  const Call typical(out, x, weight, kTypicalRows, bias);
  std::array<cublasLtMatmulHeuristicResult_t, kCandidates> candidates{};
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle_, typical.operation, typical.weight, typical.x, typical.out, typical.out,
                                     preference, kCandidates, candidates.data(), &count);
  cublasLtMatmulPreferenceDestroy(preference);
  Choice& choice = found->second;
  choice.plain = true;
  for (int i = 0; status == CUBLAS_STATUS_SUCCESS && i < count && choice.plain; ++i) {
    const cublasLtMatmulAlgo_t& algorithm = candidates[static_cast<size_t>(i)].algo;
    if (!std::all_of(kTriedRows.begin(), kTriedRows.end(),
                     [&](int64_t rows) { return takes(Call(out, x, weight, rows, bias), algorithm); }))
      continue;
    choice = {algorithm, false};
  }
  return choice;
}

void InvariantLinear::run(TensorView out, TensorView x, TensorView weight, const void* bias) {
  require(x.cols == weight.cols && out.cols == weight.rows && out.rows == x.rows && x.dtype == weight.dtype &&
              (out.dtype == x.dtype || out.dtype == DType::kF32),
          "linear", {x.rows, x.cols, weight.rows, weight.cols}, "shapes or types differ");
  if (out.rows == 0 || out.cols == 0) return;
  const Choice& choice = choice_for(out, x, weight, bias != nullptr);
  if (choice.plain) return plain_linear(out, x, weight, bias, stream_);
  const Call call(out, x, weight, x.rows, bias != nullptr);
  if (bias != nullptr)
    check_lt(cublasLtMatmulDescSetAttribute(call.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof(bias)));
  const float one = 1.0f, zero = 0.0f;
  const cublasStatus_t status =
      cublasLtMatmul(handle_, call.operation, &one, weight.data, call.weight, x.data, call.x, &zero, out.data, call.out,
                     out.data, call.out, &choice.algorithm, workspace_.as<>(), workspace_.bytes(), stream_);
  require(status == CUBLAS_STATUS_SUCCESS, "linear", {x.rows, x.cols, weight.rows}, cublasLtGetStatusString(status));
}

}  // namespace mhub::kernels::cuda
