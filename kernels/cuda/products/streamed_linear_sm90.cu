// SPDX-License-Identifier: Apache-2.0
// The batch is the 64 rows of a warpgroup's product, a tile of weight rows its columns; tiles are so high that one or a
// few for each processor cover the matrix. Two threads have the copy engine fill a ring of steps in shared memory, of
// which the weights do not wait for the kernel before, and a warpgroup for each 64 rows of the batch multiplies.
#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "cuda/element.cuh"
#include "cuda/products/bulk_copy.cuh"
#include "cuda/products/streamed_linear.h"
#include "cuda/products/tensor_map.h"
#include "cuda/products/warpgroup_product.cuh"

namespace mhub::kernels::cuda {
namespace {

constexpr int kMaxRows = 128;  // of the batch
constexpr int kGroupRows = 64;
constexpr int kMaxThreads = kMaxRows / kGroupRows * 128 + 64;
constexpr int kBoxColumns = 64;
constexpr int kRowBytes = kBoxColumns * 2;  // of a box
constexpr int kMaxSteps = 24;               // of the ring
constexpr int kBarrierBytes = kMaxSteps * 16;
constexpr int kAlignment = 1024;
// A product reads 64 rows of the batch, of which those that do not exist lie behind the ring.
constexpr int kOverrun = kGroupRows * kRowBytes;
constexpr int kSharedBytes = 222 << 10;  // small kernels find room beside it

struct Args {
  CUtensorMap weight, x;
  void* out;
  const void* bias;
  int64_t out_stride;
  int rows, n;       // of out
  int x_rows;        // in shared memory, a multiple of 8
  int tiles, steps;  // steps of a tile
  int ring;          // steps in shared memory
  bool wide;         // out is float32
  bool gated;
  bool pairs;  // two neighbours of out may be written at once
  Activation activation;
};

// Boxes of the weight in a step, so that a step is some 16 KiB.
template <int kTile>
constexpr int kBoxes = kTile <= 48   ? 4
                       : kTile <= 96 ? 2
                                     : 1;
// Sums that take turns over the products of a step: a product of few columns takes longer than its turn.
template <int kTile>
constexpr int kChains = kTile <= 32   ? 4
                        : kTile <= 64 ? 2
                                      : 1;

int step_bytes(int tile, int boxes, int x_rows) {
  return boxes * (tile + x_rows) * kRowBytes;
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
__device__ inline float activated(Activation kind, float gate) {
  if (kind == Activation::kGeluTanh)
    return 0.5f * gate * (1.0f + tanhf(0.7978845608028654f * (gate + 0.044715f * gate * gate * gate)));
  return __fdividef(gate, 1.0f + __expf(-gate));
}

struct Ring {
  uint32_t steps, barriers;
  int size, bytes;
  int at = 0, rounds = 0;

  __device__ int parity() const { return rounds % 2; }
  __device__ uint32_t step() const { return steps + at * bytes; }
  __device__ uint32_t full() const { return barriers + at * 16; }
  __device__ uint32_t empty() const { return barriers + at * 16 + 8; }
  __device__ void advance() {
    if (++at < size) return;
    at = 0;
    ++rounds;
  }
};

// Two threads, each for one operand of all steps.
template <int kTile>
class Copier {
 public:
  __device__ Copier(const Args& a, Ring ring, int waves) : a_(a), ring_(ring), waves_(waves) {}

  __device__ void copy_weights() {
    for (int tile = blockIdx.x; waves_-- > 0; tile += gridDim.x) {
      for (int step = 0; step < a_.steps; ++step, ring_.advance()) {
        wait_for_room();
        barrier_expect(ring_.full(), ring_.bytes);
        const int column = step * (kBoxes<kTile> * kBoxColumns);
#pragma unroll
        for (int b = 0; b < kBoxes<kTile>; ++b) {
          const uint32_t to = ring_.step() + b * (kTile * kRowBytes);
          if (a_.gated) {
            copy(to, a_.weight, column + b * kBoxColumns, tile * (kTile / 2), Keep::kNotLong);
            copy(to + kTile / 2 * kRowBytes, a_.weight, column + b * kBoxColumns, a_.n + tile * (kTile / 2),
                 Keep::kNotLong);
          } else {
            copy(to, a_.weight, column + b * kBoxColumns, tile * kTile, Keep::kNotLong);
          }
        }
      }
    }
  }
  __device__ void copy_x() {
    while (waves_-- > 0) {
      for (int step = 0; step < a_.steps; ++step, ring_.advance()) {
        wait_for_room();
        const int column = step * (kBoxes<kTile> * kBoxColumns);
#pragma unroll
        for (int b = 0; b < kBoxes<kTile>; ++b)
          copy(ring_.step() + (kBoxes<kTile> * kTile + b * a_.x_rows) * kRowBytes, a_.x, column + b * kBoxColumns, 0,
               Keep::kLong);
      }
    }
  }

 private:
  __device__ void wait_for_room() {
    if (ring_.rounds > 0) barrier_wait(ring_.empty(), ring_.parity() ^ 1);
  }
  __device__ void copy(uint32_t to, const CUtensorMap& from, int column, int row, Keep keep) const {
    copy_box(to, from, column, row, ring_.full(), keep);
  }
  const Args& a_;
  Ring ring_;
  int waves_;
};

template <class T, int kTile>
class Multiplier {
 public:
  __device__ explicit Multiplier(const Args& a) : a_(a) {}

  __device__ void run(Ring ring, int waves) {
    for (int wave = 0; wave < waves; ++wave) {
      multiply(ring, wave == waves - 1);
      const int tile = wave * gridDim.x + blockIdx.x;
      if (a_.gated)
        write_gated(tile * (kTile / 2));
      else
        write(tile * kTile);
    }
  }

 private:
  __device__ void release(uint32_t empty) const {
    if (thread_ % 32 == 0) barrier_arrive(empty);
  }
  using Chains = float[kChains<kTile>][kTile / 2];
  __device__ void multiply_box(Chains& chains, uint32_t x, uint32_t weights, int box, bool begun) const {
#pragma unroll
    for (int k = 0; k < kBoxColumns / 16; ++k)
      WarpgroupProduct<T, kTile>::add(
          chains[k % kChains<kTile>], operand(x + box * a_.x_rows * kRowBytes + k * 32, 1024, 16),
          operand(weights + box * (kTile * kRowBytes) + k * 32, 1024, 16), begun || k >= kChains<kTile>);
  }
  __device__ void multiply(Ring& ring, bool last) {
    Chains chains;
    uint32_t before = 0;
    for (int i = 0; i < a_.steps; ++i) {
      barrier_wait(ring.full(), ring.parity());
      if (last && i == a_.steps - 1) let_next_kernel_start();
      const uint32_t weights = ring.step(), x = weights + (kBoxes<kTile> * kTile + group_ * kGroupRows) * kRowBytes;
      warpgroup_begin();
#pragma unroll
      for (int b = 0; b < kBoxes<kTile>; ++b) multiply_box(chains, x, weights, b, i > 0 || b > 0);
      warpgroup_commit();
      if (i > 0) {
        warpgroup_wait<1>();
        release(before);
      }
      before = ring.empty();
      ring.advance();
    }
    warpgroup_wait<0>();
#pragma unroll
    for (auto& chain : chains) {
#pragma unroll
      for (float& sum : chain) asm volatile("" : "+f"(sum)::"memory");
    }
    release(before);
#pragma unroll
    for (int i = 0; i < kTile / 2; ++i) {
      sums_[i] = chains[0][i];
#pragma unroll
      for (int c = 1; c < kChains<kTile>; ++c) sums_[i] += chains[c][i];
    }
  }

  __device__ float bias(int column) const {
    if (a_.bias == nullptr) return 0.0f;
    return a_.wide ? static_cast<const float*>(a_.bias)[column] : to_float(static_cast<const T*>(a_.bias)[column]);
  }
  // Columns `column` and the next of a row.
  template <class Out>
  __device__ void put(int64_t row, int column, float first, float second) const {
    Out* const to = static_cast<Out*>(a_.out) + row * a_.out_stride + column;
    if (a_.pairs) {  // n is even
      struct alignas(2 * sizeof(Out)) Pair {
        Out first, second;
      };
      *reinterpret_cast<Pair*>(to) = {from_float<Out>(first), from_float<Out>(second)};
      return;
    }
    to[0] = from_float<Out>(first);
    if (column + 1 < a_.n) to[1] = from_float<Out>(second);
  }
  __device__ int row_of(int half) const {
    return group_ * kGroupRows + thread_ / 32 * 16 + half * 8 + thread_ % 32 / 4;
  }
  __device__ void write(int first_column) const {
#pragma unroll
    for (int j = 0; j < kTile / 8; ++j) {
      const int column = first_column + j * 8 + thread_ % 4 * 2;
      if (column >= a_.n) return;
      const float add[2] = {bias(column), column + 1 < a_.n ? bias(column + 1) : 0.0f};
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (row_of(half) >= a_.rows) continue;
        const float first = sums_[4 * j + 2 * half] + add[0], second = sums_[4 * j + 2 * half + 1] + add[1];
        if (a_.wide)
          put<float>(row_of(half), column, first, second);
        else
          put<T>(row_of(half), column, first, second);
      }
    }
  }
  __device__ void write_gated(int first_column) const {
    if constexpr (kTile % 16 == 0) {
#pragma unroll
      for (int j = 0; j < kTile / 16; ++j) {
        const int column = first_column + j * 8 + thread_ % 4 * 2;
        if (column >= a_.n) return;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          if (row_of(half) >= a_.rows) continue;
          float value[2];
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            const int own = 4 * j + 2 * half + i, at = min(column + i, a_.n - 1);
            value[i] = activated(a_.activation, sums_[own] + bias(at)) * (sums_[own + kTile / 4] + bias(a_.n + at));
          }
          put<T>(row_of(half), column, value[0], value[1]);
        }
      }
    }
  }

  const Args& a_;
  const int group_ = threadIdx.x / 128, thread_ = threadIdx.x % 128;
  float sums_[kTile / 2];
};
#endif

template <class T, int kTile>
__global__ void __launch_bounds__(kMaxThreads, 1) streamed_kernel(const __grid_constant__ Args a) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ char shared[];
  const uint32_t steps = (shared_address(shared) + kBarrierBytes + kAlignment - 1) / kAlignment * kAlignment;
  const int bytes = kBoxes<kTile> * (kTile + a.x_rows) * kRowBytes;
  const Ring ring{steps, shared_address(shared), a.ring, bytes};
  const int multipliers = blockDim.x - 64;
  if (threadIdx.x == multipliers) {
    fetch_map(a.weight);
    fetch_map(a.x);
    for (Ring r = ring; r.rounds == 0; r.advance()) {
      barrier_init(r.full(), 1);
      barrier_init(r.empty(), multipliers / 32);
    }
    publish_barriers();
  }
  __syncthreads();
  const int waves = (a.tiles - blockIdx.x + gridDim.x - 1) / gridDim.x;
  if (threadIdx.x < multipliers) {
    wait_for_previous_kernel();
    Multiplier<T, kTile>(a).run(ring, waves);
  } else if (threadIdx.x == multipliers) {
    Copier<kTile>(a, ring, waves).copy_weights();  // no kernel writes them
    let_next_kernel_start();
  } else if (threadIdx.x == multipliers + 32) {
    wait_for_previous_kernel();
    Copier<kTile>(a, ring, waves).copy_x();
    let_next_kernel_start();
  }
#endif
}

constexpr std::array kTiles = {16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 144, 192, 224, 256};

// The highest tile with which the busiest of the processors has about the fewest rows.
int best_tile(int n, int processors, bool gated) {
  const auto most_rows = [&](int tile) {
    if (gated && tile % 16 != 0) return std::numeric_limits<int>::max();
    const int tiles = (n + tile - 1) / tile;
    return (tiles + processors - 1) / processors * tile;
  };
  int fewest = std::numeric_limits<int>::max(), best = 0;
  for (const int tile : kTiles) fewest = std::min(fewest, most_rows(tile));
  for (const int tile : kTiles) {
    if (most_rows(tile) <= fewest + fewest / 16) best = tile;
  }
  return best;
}

// f(kernel, tile, boxes)
template <class T, class F>
void for_tile(int tile, F f) {
  [&]<size_t... I>(std::index_sequence<I...>) {
    ((tile == kTiles[I] ? f(streamed_kernel<T, kTiles[I]>, kTiles[I], kBoxes<kTiles[I]>) : void()), ...);
  }
  (std::make_index_sequence<kTiles.size()>{});
}
template <class F>
void for_kernel(DType dtype, int tile, F f) {
  dtype == DType::kBF16 ? for_tile<__nv_bfloat16>(tile, f) : for_tile<__half>(tile, f);
}

// False for a build without sm_90a: it holds empty kernels for this device.
bool prepare_kernels() {
  bool usable = true;
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    for (const int tile : kTiles) {
      for_kernel(dtype, tile, [&](auto* kernel, int, int) {
        cudaFuncAttributes facts{};
        usable = usable && cudaFuncGetAttributes(&facts, kernel) == cudaSuccess && facts.binaryVersion == 90 &&
                 facts.numRegs > 24 &&
                 cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes) == cudaSuccess;
      });
    }
  }
  return usable;
}

bool aligned(const TensorView& view) {
  return reinterpret_cast<uintptr_t>(view.data) % 16 == 0 && view.stride % 8 == 0;
}

}  // namespace

struct StreamedLinear::Call {
  TensorView out, x, weight;
  const void* bias;
  bool gated;
  Activation activation;
};

StreamedLinear::StreamedLinear() {
  int device = 0, major = 0, processors = 0;
  check(cudaGetDevice(&device), "look at the device");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "look at the device");
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "look at the device");
  if (major == 9 && prepare_kernels())
    processors_ = processors;
  else
    cudaGetLastError();  // forget it
}

bool StreamedLinear::fits(TensorView out, TensorView x, TensorView weight) const {
  return available() && (x.dtype == DType::kBF16 || x.dtype == DType::kF16) && x.rows >= 1 && x.rows <= kMaxRows &&
         x.cols < (1 << 30) && weight.rows < (1 << 30) && aligned(x) && aligned(weight) &&
         (out.dtype == x.dtype || out.dtype == DType::kF32);
}

bool StreamedLinear::fits_gated(TensorView out, TensorView x, TensorView weight,
                                const GatedActivation& activation) const {
  return fits(out, x, weight) && out.dtype == x.dtype &&
         (activation.kind == Activation::kSilu || activation.kind == Activation::kGeluTanh);
}

void StreamedLinear::run(TensorView out, TensorView x, TensorView weight, const void* bias, cudaStream_t stream) const {
  run({out, x, weight, bias, false, Activation::kSilu}, stream);
}
void StreamedLinear::run_gated(TensorView out, TensorView x, TensorView weight, const void* bias, Activation activation,
                               cudaStream_t stream) const {
  run({out, x, weight, bias, true, activation}, stream);
}

void StreamedLinear::run(const Call& call, cudaStream_t stream) const {
  constexpr const char* kName = "linear";
  const auto n = static_cast<int>(call.weight.rows);
  for_kernel(call.x.dtype, best_tile(n, processors_, call.gated), [&](auto* kernel, int tile, int boxes) {
    Args a{};
    a.x_rows = static_cast<int>((call.x.rows + 7) / 8 * 8);
    require(describe_matrix(&a.weight, call.weight, call.gated ? tile / 2 : tile) &&
                describe_matrix(&a.x, call.x, a.x_rows),
            kName, {call.x.rows, call.x.cols, n}, "the driver takes no such matrix");
    a.out = call.out.data;
    a.bias = call.bias;
    a.out_stride = call.out.stride;
    a.rows = static_cast<int>(call.x.rows);
    a.n = static_cast<int>(call.out.cols);
    a.tiles = (n + tile - 1) / tile;
    a.steps = (static_cast<int>(call.x.cols) + boxes * kBoxColumns - 1) / (boxes * kBoxColumns);
    const int bytes = step_bytes(tile, boxes, a.x_rows), fixed = kBarrierBytes + kAlignment + kOverrun;
    a.ring = std::min((kSharedBytes - fixed) / bytes, kMaxSteps);
    a.wide = call.out.dtype == DType::kF32;
    a.gated = call.gated;
    const size_t pair = 2 * static_cast<size_t>(dtype_info(call.out.dtype).block_bytes);
    a.pairs = a.n % 2 == 0 && a.out_stride % 2 == 0 && reinterpret_cast<uintptr_t>(a.out) % pair == 0;
    a.activation = call.activation;
    cudaLaunchAttribute overlap{};
    overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    overlap.val.programmaticStreamSerializationAllowed = 1;
    const int groups = (a.rows + kGroupRows - 1) / kGroupRows;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(std::min(processors_, a.tiles)));
    config.blockDim = dim3(static_cast<unsigned>(groups * 128 + 64));
    config.dynamicSmemBytes = static_cast<size_t>(fixed + a.ring * bytes);
    config.stream = stream;
    config.attrs = &overlap;
    config.numAttrs = 1;
    check(cudaLaunchKernelEx(&config, kernel, a), kName, {call.x.rows, call.x.cols, n});
  });
}

}  // namespace mhub::kernels::cuda
