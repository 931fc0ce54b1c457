// SPDX-License-Identifier: Apache-2.0
#include "cuda/grouped_tiles.h"

#include <algorithm>

#include "cuda/attention/tensor_core.cuh"
#include "cuda/element.cuh"

namespace mhub::kernels::cuda {
namespace {

constexpr int kTileRows = 64, kTileColumns = 128, kStepK = 64;
constexpr int kThreads = 128;  // two by two warps, each with 32 rows and 64 columns
constexpr int kSteps = 3;      // in shared memory
constexpr int kRowBytes = kStepK * 2;
constexpr int kXBytes = kTileRows * kRowBytes, kStepBytes = kXBytes + kTileColumns * kRowBytes;
constexpr int kSharedBytes = kSteps * kStepBytes;

// Where the 16 bytes `piece` of a row lie: pieces are exchanged by row, so that a matrix load meets every bank once.
__device__ inline uint32_t place(int row, int piece) {
  return row * kRowBytes + (piece ^ (row % 8)) * 16;
}

// Tile `wanted` of all experts' row tiles: its expert and rows.
struct TileRows {
  int expert, begin, end;  // expert -1: there is no such tile
};
__device__ TileRows find_rows(const int32_t* offsets, int experts, int wanted) {
  __shared__ TileRows found;
  __shared__ int tiles_of_warp[kThreads / 32];
  if (threadIdx.x == 0) found = {-1, 0, 0};
  int before = 0;
  for (int first = 0; first < experts; first += kThreads) {
    const int e = first + threadIdx.x, lane = threadIdx.x % 32;
    const int begin = e < experts ? offsets[e] : 0, end = e < experts ? offsets[e + 1] : 0;
    const int tiles = (end - begin + kTileRows - 1) / kTileRows;
    int sum = tiles;
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2) {
      const int other = __shfl_up_sync(~0u, sum, offset);
      if (lane >= offset) sum += other;
    }
    __syncthreads();
    if (lane == 31) tiles_of_warp[threadIdx.x / 32] = sum;
    __syncthreads();
    int total = 0;
    for (int w = 0; w < kThreads / 32; ++w) {
      if (w < static_cast<int>(threadIdx.x) / 32) sum += tiles_of_warp[w];
      total += tiles_of_warp[w];
    }
    const int tile = wanted - (before + sum - tiles);
    if (tile >= 0 && tile < tiles) {
      const int row = begin + tile * kTileRows;
      found = {e, row, min(end, row + kTileRows)};
    }
    before += total;
    if (before > wanted) break;
  }
  __syncthreads();
  return found;
}

template <class T>
class Tile {
 public:
  __device__ Tile(const GroupedProduct& p, const TileRows& rows, int first_column, uint32_t shared)
      : p_(p), rows_(rows), shared_(shared), first_column_(first_column) {
    const int row = threadIdx.x / kPiecesOfRow;
#pragma unroll
    for (int i = 0; i < kXCopies; ++i) {
      const int at = rows.begin + row + i * kRowsAtOnce;
      const int64_t known = at < rows.end ? at : rows.begin;
      x_[i] = static_cast<const T*>(p.x) + (p.row_tokens != nullptr ? p.row_tokens[known] : known) * p.x_stride;
    }
  }

  __device__ void run() {
    const int steps = (p_.k + kStepK - 1) / kStepK;
    for (int s = 0; s < kSteps - 1; ++s) copy(s, steps);
    for (int s = 0; s < steps; ++s) {
      copy_async_wait<kSteps - 2>();
      __syncthreads();
      copy(s + kSteps - 1, steps);
      multiply_step(shared_ + s % kSteps * kStepBytes);
    }
    write();
  }

 private:
  static constexpr int kPiecesOfRow = kStepK / 8, kRowsAtOnce = kThreads / kPiecesOfRow;
  static constexpr int kXCopies = kTileRows / kRowsAtOnce, kWeightCopies = kTileColumns / kRowsAtOnce;

  __device__ void copy(int step, int steps) {
    if (step < steps) {
      const uint32_t to = shared_ + step % kSteps * kStepBytes;
      const int row = threadIdx.x / kPiecesOfRow, piece = threadIdx.x % kPiecesOfRow, k = step * kStepK + piece * 8;
#pragma unroll
      for (int i = 0; i < kXCopies; ++i) {
        const int at = row + i * kRowsAtOnce;
        copy_async(to + place(at, piece), x_[i] + k, k < p_.k && rows_.begin + at < rows_.end);
      }
#pragma unroll
      for (int i = 0; i < kWeightCopies; ++i) {
        const int at = row + i * kRowsAtOnce, column = first_column_ + at;
        const bool known = k < p_.k && column < p_.n;
        const int64_t weight_row = static_cast<int64_t>(rows_.expert) * p_.n + (known ? column : 0);
        copy_async(to + kXBytes + place(at, piece),
                   static_cast<const T*>(p_.weight) + weight_row * p_.weight_stride + k, known);
      }
    }
    copy_async_commit();
  }
  __device__ void multiply_step(uint32_t step) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < kStepK / 16; ++k) {
      Matrices x[2];
#pragma unroll
      for (int m = 0; m < 2; ++m)
        x[m] = load_matrices(step + place(warp_row() + m * 16 + lane % 16, 2 * k + lane / 16));
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const Matrices w = load_matrices(
            step + kXBytes + place(warp_column() + n * 16 + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2));
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          multiply<T>(sums_[m][2 * n], x[m], w.r[0], w.r[1]);
          multiply<T>(sums_[m][2 * n + 1], x[m], w.r[2], w.r[3]);
        }
      }
    }
  }
  __device__ void write() const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int n = 0; n < 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int row = rows_.begin + warp_row() + m * 16 + i / 2 * 8 + lane / 4;
          const int column = first_column_ + warp_column() + n * 8 + lane % 4 * 2 + i % 2;
          if (row >= rows_.end || column >= p_.n) continue;
          const float add = p_.bias != nullptr ? p_.bias[static_cast<int64_t>(rows_.expert) * p_.n + column] : 0.0f;
          static_cast<T*>(p_.out)[row * p_.out_stride + column] = from_float<T>(sums_[m][n][i] + add);
        }
      }
    }
  }
  __device__ static int warp_row() {
    return static_cast<int>(threadIdx.x) / 64 * 32;
  }
  __device__ static int warp_column() {
    return static_cast<int>(threadIdx.x) / 32 % 2 * 64;
  }

  const GroupedProduct& p_;
  const TileRows rows_;
  const uint32_t shared_;
  const int first_column_;
  const T* x_[kXCopies];
  float sums_[2][8][4] = {};
};

// A thread block per tile, those of the same rows in succession. There may be fewer tiles of rows than blocks for them.
template <class T>
__global__ void __launch_bounds__(kThreads) tiles_kernel(const __grid_constant__ GroupedProduct p) {
  extern __shared__ __align__(128) char shared[];
  const int columns = (p.n + kTileColumns - 1) / kTileColumns;
  const TileRows rows = find_rows(p.offsets, p.experts, blockIdx.x / columns);
  if (rows.expert < 0) return;
  Tile<T>(p, rows, blockIdx.x % columns * kTileColumns, shared_address(shared)).run();
}

template <class T>
void launch(const GroupedProduct& product, cudaStream_t stream) {
  const int64_t most_tiles = product.rows / kTileRows + std::min<int64_t>(product.experts, product.rows);
  const int64_t columns = (product.n + kTileColumns - 1) / kTileColumns;
  check(cudaFuncSetAttribute(tiles_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes),
        "grouped_linear");
  tiles_kernel<T><<<static_cast<unsigned>(most_tiles * columns), kThreads, kSharedBytes, stream>>>(product);
}

}  // namespace

void grouped_tiles(const GroupedProduct& product, DType dtype, cudaStream_t stream) {
  dtype == DType::kBF16 ? launch<__nv_bfloat16>(product, stream) : launch<__half>(product, stream);
}

}  // namespace mhub::kernels::cuda
