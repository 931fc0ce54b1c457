// SPDX-License-Identifier: Apache-2.0
// The launchers of one head size.
#pragma once

#include "cuda/attention/decode.cuh"
#include "cuda/attention/launch.cuh"
#include "cuda/attention/prefill.cuh"

namespace mhub::kernels::cuda {

template <int D>
struct HeadDim {
  template <typename T>
  static cudaError_t prepare_type(AttentionSetup* setup) {
    cudaError_t error = cudaFuncSetAttribute(decode_kernel<T, D>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                             static_cast<int>(setup->decode_smem));
    if (error == cudaSuccess)
      error = cudaFuncSetAttribute(prefill_kernel<T, D>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(setup->prefill_smem));
    if (error == cudaSuccess)
      error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&setup->decode_ctas, decode_kernel<T, D>, kDecodeThreads,
                                                            setup->decode_smem);
    return error;
  }
  static cudaError_t prepare(AttentionSetup* setup, int max_smem) {
    setup->decode_smem = has_large_shared(setup->compute_major) ? DecodeLayout<D>::template kBytes<true>
                                                                : DecodeLayout<D>::template kBytes<false>;
    setup->prefill_smem = PrefillLayout<D>::kBytes;
    if (setup->decode_smem > static_cast<size_t>(max_smem) || setup->prefill_smem > static_cast<size_t>(max_smem))
      return cudaErrorInvalidValue;
    const cudaError_t error =
        setup->shape.type == AttentionType::kFloat16 ? prepare_type<__half>(setup) : prepare_type<__nv_bfloat16>(setup);
    return error == cudaSuccess && D == 128 ? prepare_wide_prefill(setup) : error;
  }
  static cudaError_t decode(const AttentionSetup& setup, const AttentionParams& params, bool overlap,
                            cudaStream_t stream) {
    const auto kernel =
        setup.shape.type == AttentionType::kFloat16 ? decode_kernel<__half, D> : decode_kernel<__nv_bfloat16, D>;
    return launch(kernel, setup.decode_ctas, kDecodeThreads, setup.decode_smem, overlap, stream, params);
  }
  static cudaError_t prefill(const AttentionSetup& setup, const AttentionParams& params, int tiles, bool overlap,
                             cudaStream_t stream) {
    if (setup.wide_prefill) return wide_prefill(setup, params, tiles, overlap, stream);
    const auto kernel =
        setup.shape.type == AttentionType::kFloat16 ? prefill_kernel<__half, D> : prefill_kernel<__nv_bfloat16, D>;
    return launch(kernel, tiles * setup.shape.num_kv_heads, kPrefillThreads, setup.prefill_smem, overlap, stream,
                  params);
  }
  static constexpr AttentionKernels kKernels{prepare, decode, prefill};
};

}  // namespace mhub::kernels::cuda
