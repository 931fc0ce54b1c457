// SPDX-License-Identifier: Apache-2.0
// Boxes of a matrix copied to shared memory by the copy engine of a processor (sm_90 and later), and the barriers that
// count the bytes of such copies.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace mhub::kernels::cuda {

// What the second cache should do with what is read.
enum class Keep : uint64_t {
  kNotLong = 0x12f0000000000000,  // read once: goes first
  kLong = 0x14f0000000000000,     // read by every thread block
};

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
// This thread's arrival, and that so many bytes are to come before the phase is complete.
__device__ inline void barrier_expect(uint32_t barrier, int bytes) {
  asm volatile("{.reg .b64 t; mbarrier.arrive.expect_tx.shared::cta.b64 t, [%0], %1;}" ::"r"(barrier), "r"(bytes)
               : "memory");
}
__device__ inline void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// The box at (column, row); outside of the matrix are zeros.
__device__ inline void copy_box(uint32_t to, const CUtensorMap& matrix, int column, int row, uint32_t barrier,
                                Keep keep) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.L2::cache_hint "
      "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
      "l"(&matrix), "r"(column), "r"(row), "r"(barrier), "l"(static_cast<uint64_t>(keep))
      : "memory");
}
__device__ inline void fetch_map(const CUtensorMap& matrix) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&matrix) : "memory");
}
#endif

}  // namespace mhub::kernels::cuda
