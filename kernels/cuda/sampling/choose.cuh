// SPDX-License-Identifier: Apache-2.0
// Second pass: a thread block per row joins its chunks and, where the row is filtered, finds the least likely token
// that stays: the row's tokens in order of (logit descending, id ascending) stay down to a cut. The cut is found
// without a sort of the row: a histogram leaves one bin of candidates, and only these are sorted.
#pragma once

#include "cuda/sampling/scan.cuh"

namespace mhub::kernels::cuda {

constexpr int kChooseThreads = 1024;
constexpr int kListSize = 4096;  // candidates that are sorted
constexpr int kBins = 2048;
constexpr int kListedTopK = 1024;  // up to here the k greatest are looked for among the greatest of groups

struct ChooseShared {
  uint64_t list[kListSize];
  uint32_t bins[kBins];
  uint32_t scan[kChooseThreads / 32];
  double sums[kChooseThreads / 32];
  float maxima[kChooseThreads / 32];
  Runner runners[kChooseThreads / 32];
  int listed;
  int found;       // bin or index
  uint32_t above;  // amount in the bins before it
};

// Greater = likelier.
__device__ inline uint64_t rank_key(float logit, int token) {
  const uint32_t bits = __float_as_uint(logit + 0.0f);
  const uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return static_cast<uint64_t>(ordered) << 32 | static_cast<uint32_t>(~token);
}
__device__ inline float logit_of(uint64_t key) {
  const auto ordered = static_cast<uint32_t>(key >> 32);
  return __uint_as_float(ordered & 0x80000000u ? ordered & 0x7fffffffu : ~ordered);
}
__device__ inline int token_of_key(uint64_t key) {
  return static_cast<int>(~static_cast<uint32_t>(key));
}
// The least key of a logit: all its tokens stay.
__device__ inline uint64_t lowest_key(float logit) {
  return rank_key(logit, -1);
}

enum class Amount { kCount, kMass };

template <typename T>
class RowChooser {
 public:
  __device__ RowChooser(const SampleBatch& batch, const SampleRow& row, int index, ChooseShared& shared, float top,
                        double total)
      : reader_(batch, row, index),
        row_(row),
        shared_(shared),
        top_(top),
        total_(total),
        scale_(kLog2E / row.temperature) {}

  __device__ Runner choose(const float* group_tops, int num_groups) {
    float least = -INFINITY;
    if (row_.min_p > 0.0f) least = top_ + row_.temperature * logf(fminf(row_.min_p, 1.0f));
    if (row_.top_k > 0 && row_.top_k < reader_.vocab) {
      if (list_greatest(group_tops, num_groups)) return race_listed(least);
      least = fmaxf(least, logit_of(cut(Amount::kCount, -INFINITY, 16.0f, static_cast<double>(row_.top_k))));
    }
    uint64_t last = lowest_key(least);
    if (row_.top_p < 1.0f) {
      const auto p = static_cast<double>(row_.top_p);
      float floor = least;
      if (least == -INFINITY) {  // else the sum is over what min_p and top_k left, all of it
        // Tokens this light sum to less than 1 - p together, whatever else happens.
        const auto light = static_cast<float>((1.0 - p) * total_ / reader_.vocab * 0.999);
        if (light > 0.0f) floor = top_ + row_.temperature * logf(light);
      }
      const float range = floor > -INFINITY ? top_ - floor : 100.0f * row_.temperature;
      last = cut(Amount::kMass, floor, range, least > -INFINITY ? -p : p * total_);
    }
    return race_row(last);
  }

 private:
  __device__ float weight(float logit) const { return weight_of(logit, top_, scale_); }

  template <typename Visit>
  __device__ void each(const Visit& visit) const {
    for (int first = 0; first < reader_.vocab; first += kChooseThreads * kBatchOf) {
      float x[kBatchOf];
      reader_.template read_adjusted<kChooseThreads>(first, x);
#pragma unroll
      for (int i = 0; i < kBatchOf; ++i) {
        if (x[i] > -INFINITY) visit(x[i], RowReader<T>::template token_of<kChooseThreads>(first, i));
      }
    }
  }
  __device__ void clear_list() {
    __syncthreads();
    if (threadIdx.x == 0) shared_.listed = 0;
    __syncthreads();
  }
  __device__ void list(uint64_t key) {
    const int at = atomicAdd(&shared_.listed, 1);
    if (at < kListSize) shared_.list[at] = key;
  }
  // The list in descending order.
  __device__ void sort_list() {
    const int tid = threadIdx.x, count = shared_.listed;
    int size = 2;
    while (size < count) size *= 2;
    for (int i = count + tid; i < size; i += kChooseThreads) shared_.list[i] = 0;
    __syncthreads();
    for (int run = 2; run <= size; run *= 2) {
      for (int step = run / 2; step > 0; step /= 2) {
        for (int i = tid; i < size / 2; i += kChooseThreads) {
          const int low = 2 * i - (i & (step - 1)), high = low + step;
          const uint64_t a = shared_.list[low], b = shared_.list[high];
          if ((a < b) == ((low & run) == 0)) {
            shared_.list[low] = b;
            shared_.list[high] = a;
          }
        }
        __syncthreads();
      }
    }
  }
  // The first index of the sorted list at which start + the weights up to and with it reach target; listed when none.
  __device__ int index_reaching(double start, double target, int count) {
    constexpr int kEach = kListSize / kChooseThreads;
    const int tid = threadIdx.x, lane = tid % 32, warp = tid / 32;
    double own[kEach], sum = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int at = tid * kEach + i;
      own[i] = at < count ? static_cast<double>(weight(logit_of(shared_.list[at]))) : 0.0;
      sum += own[i];
    }
    double inclusive = sum;
    for (int step = 1; step < 32; step *= 2) {
      const double below = __shfl_up_sync(~0u, inclusive, step);
      if (lane >= step) inclusive += below;
    }
    if (lane == 31) shared_.sums[warp] = inclusive;
    if (tid == 0) shared_.found = count;
    __syncthreads();
    double before = start + inclusive - sum;
    for (int w = 0; w < warp; ++w) before += shared_.sums[w];
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      before += own[i];
      if (tid * kEach + i < count && before >= target) {
        atomicMin(&shared_.found, tid * kEach + i);
        break;
      }
    }
    __syncthreads();
    const int result = shared_.found;
    __syncthreads();
    return result;
  }

  // Sorts all logits that can be among the top_k into the list; false when they do not fit.
  __device__ bool list_greatest(const float* group_tops, int num_groups) {
    const int k = row_.top_k;
    if (k > kListedTopK || num_groups < k || num_groups > kListSize) return false;
    clear_list();
    for (int i = threadIdx.x; i < num_groups; i += kChooseThreads) shared_.list[i] = rank_key(group_tops[i], 0);
    if (threadIdx.x == 0) shared_.listed = num_groups;
    __syncthreads();
    sort_list();
    const float bound = logit_of(shared_.list[k - 1]);  // k groups hold a logit as great
    clear_list();
    each([&](float logit, int token) {
      if (logit >= bound) list(rank_key(logit, token));
    });
    __syncthreads();
    if (shared_.listed > kListSize || shared_.listed < k) return false;
    sort_list();
    return true;
  }
  __device__ Runner race_listed(float least) {
    const int listed = shared_.listed;
    const uint64_t last = max(lowest_key(least), lowest_key(logit_of(shared_.list[row_.top_k - 1])));
    int kept = 0;
    for (int i = threadIdx.x; i < listed; i += kChooseThreads) kept += shared_.list[i] >= last ? 1 : 0;
    kept = block_sum<kChooseThreads>(kept, reinterpret_cast<int*>(shared_.scan));
    if (row_.top_p < 1.0f) {
      double sum = 0;
      for (int i = threadIdx.x; i < kept; i += kChooseThreads) sum += weight(logit_of(shared_.list[i]));
      sum = block_sum<kChooseThreads>(sum, shared_.sums);
      kept = min(kept, index_reaching(0.0, static_cast<double>(row_.top_p) * sum, kept) + 1);
    }
    Runner own;
    for (int i = threadIdx.x; i < kept; i += kChooseThreads) {
      const int token = token_of_key(shared_.list[i]);
      own = better(own, Runner{exact_score(weight(logit_of(shared_.list[i])), race_bits(row_.race_key, token)), token});
    }
    return block_winner<kChooseThreads>(own, shared_.runners);
  }

  // The key of the last token, in order of likelihood, with which the amounts of those with a logit >= floor reach
  // target; a negative target is that share of all these amounts. For counts, the least key of that token's logit.
  __device__ uint64_t cut(Amount kind, float floor, float range, double target) {
    const float per_bin = range > 0.0f ? (kBins - 1) / range : 0.0f;
    const auto unit = kind == Amount::kCount ? 1.0f : static_cast<float>(0x1p31 / total_);
    const auto amount = [&](float logit) {
      return kind == Amount::kCount ? 1u : static_cast<uint32_t>(weight(logit) * unit + 0.5f);
    };
    const auto bin_of = [&](float logit) { return static_cast<int>(fminf((top_ - logit) * per_bin, kBins - 1)); };
    clear_bins();
    each([&](float logit, int) {
      if (logit >= floor) atomicAdd(&shared_.bins[bin_of(logit)], amount(logit));
    });
    double wanted = target < 0.0 ? -1.0 : target * static_cast<double>(unit);
    if (!find_bin(&wanted, -target)) return lowest_key(floor);
    const int bin = shared_.found;
    clear_list();
    each([&](float logit, int token) {
      if (logit >= floor && bin_of(logit) == bin) list(rank_key(logit, token));
    });
    __syncthreads();
    if (shared_.listed <= kListSize) {
      sort_list();
      const double start = shared_.above;
      int index = static_cast<int>(wanted - start) - 1;
      if (kind == Amount::kMass)
        index = index_reaching(start / static_cast<double>(unit), wanted / static_cast<double>(unit), shared_.listed);
      const uint64_t key = shared_.list[max(0, min(index, shared_.listed - 1))];
      __syncthreads();
      return kind == Amount::kCount ? lowest_key(logit_of(key)) : key;
    }
    // Many equal or nearly equal logits: bit by bit.
    uint64_t prefix = 0;
    for (int known = 0; known < (kind == Amount::kCount ? 32 : 64);) {
      const int digits = known == 0 || known == 11 || known == 32 || known == 43 ? 11 : 10;
      const double before = shared_.above;
      clear_bins();
      each([&](float logit, int token) {
        if (logit < floor || bin_of(logit) != bin) return;
        const uint64_t key = rank_key(logit, token);
        if (known > 0 && key >> (64 - known) != prefix) return;
        const auto digit = static_cast<int>(key >> (64 - known - digits)) & ((1 << digits) - 1);
        atomicAdd(&shared_.bins[(1 << digits) - 1 - digit], amount(logit));
      });
      double rest = wanted - before;
      if (!find_bin(&rest, 0.0)) shared_.found = (1 << digits) - 1;
      __syncthreads();
      prefix = prefix << digits | static_cast<uint64_t>((1 << digits) - 1 - shared_.found);
      __syncthreads();
      if (threadIdx.x == 0) shared_.above += static_cast<uint32_t>(before);
      __syncthreads();
      known += digits;
    }
    return kind == Amount::kCount ? prefix << 32 : prefix;
  }
  __device__ void clear_bins() {
    __syncthreads();
    for (int i = threadIdx.x; i < kBins; i += kChooseThreads) shared_.bins[i] = 0;
    __syncthreads();
  }
  // found, above: the first bin with which the sum reaches *wanted, and the sum before it. A negative *wanted becomes
  // `share` of the whole sum. False when the bins do not reach it.
  __device__ bool find_bin(double* wanted, double share) {
    const int tid = threadIdx.x, lane = tid % 32, warp = tid / 32;
    __syncthreads();
    const uint32_t a = shared_.bins[2 * tid], b = shared_.bins[2 * tid + 1];
    uint32_t inclusive = a + b;
    for (int step = 1; step < 32; step *= 2) {
      const uint32_t below = __shfl_up_sync(~0u, inclusive, step);
      if (lane >= step) inclusive += below;
    }
    if (lane == 31) shared_.scan[warp] = inclusive;
    if (tid == 0) shared_.found = -1;
    __syncthreads();
    uint32_t before = 0, all = 0;
    for (int w = 0; w < kChooseThreads / 32; ++w) {
      if (w == warp) before = all;
      all += shared_.scan[w];
    }
    before += inclusive - a - b;
    if (*wanted < 0.0) *wanted = share * static_cast<double>(all);
    const auto reaches = [&](uint32_t sum) { return static_cast<double>(sum) >= *wanted; };
    if (a > 0 && !(before > 0 && reaches(before)) && reaches(before + a)) {
      shared_.found = 2 * tid;
      shared_.above = before;
    } else if (b > 0 && !(before + a > 0 && reaches(before + a)) && reaches(before + a + b)) {
      shared_.found = 2 * tid + 1;
      shared_.above = before + a;
    }
    __syncthreads();
    return shared_.found >= 0;
  }

  __device__ Runner race_row(uint64_t last) {
    RoughBest best;
    each([&](float logit, int token) {
      if (rank_key(logit, token) < last) return;
      const float w = weight(logit);
      best.meet(rough_score(w, race_bits(row_.race_key, token)), w, token);
    });
    const float bound = block_max<kChooseThreads>(best.score[0], shared_.maxima) * kRoughMargin;
    return block_winner<kChooseThreads>(best.exact(row_.race_key, bound), shared_.runners);
  }

  const RowReader<T> reader_;
  const SampleRow& row_;
  ChooseShared& shared_;
  float top_;
  double total_;
  float scale_;
};

template <typename T>
__global__ void __launch_bounds__(kChooseThreads)
    choose_kernel(const __grid_constant__ SampleBatch batch, const SampleWorkspace workspace) {
  __shared__ ChooseShared shared;
  const int index = blockIdx.x, tid = threadIdx.x;
  const SampleRow row = batch.rows[index];
  const ChunkFacts* chunks = workspace.chunks + static_cast<int64_t>(index) * workspace.num_chunks;
  // Every warp joins the chunks for itself.
  const int lane = tid % 32;
  TopToken top{-INFINITY, 0x7fffffff};
  float raw_top = -INFINITY;
  int bad = 0;
  for (int i = lane; i < workspace.num_chunks; i += 32) {
    top = better(top, TopToken{chunks[i].top, chunks[i].top_token});
    raw_top = fmaxf(raw_top, chunks[i].raw_top);
    bad |= chunks[i].bad;
  }
  bad = __any_sync(~0u, bad);
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    top = better(top, TopToken{__shfl_xor_sync(~0u, top.value, step), __shfl_xor_sync(~0u, top.token, step)});
    raw_top = fmaxf(raw_top, __shfl_xor_sync(~0u, raw_top, step));
  }
  if (bad || top.value == -INFINITY) {
    if (tid == 0) {
      batch.ids[index] = -1;
      if (batch.logprobs != nullptr) batch.logprobs[index] = 0.0f;
    }
    return;
  }
  int token = top.token;
  const bool filter = !is_greedy(row) && has_filter(row, batch.vocab);
  if (!filter && tid >= 32) return;  // one warp does the rest
  const float scale = kLog2E / row.temperature;
  if (filter) {
    double total = 0;
    for (int i = lane; i < workspace.num_chunks; i += 32)
      total += static_cast<double>(chunks[i].sum) * static_cast<double>(weight_of(chunks[i].top, top.value, scale));
    total = warp_sum(total);
    RowChooser<T> chooser(batch, row, index, shared, top.value, total);
    const int groups = workspace.num_chunks * kGroupsPerChunk;
    token = chooser.choose(workspace.group_tops + static_cast<int64_t>(index) * groups, groups).token;
  } else if (!is_greedy(row)) {
    Runner own;
    for (int i = lane; i < workspace.num_chunks; i += 32) {
      const double share = exp2(static_cast<double>(chunks[i].top - top.value) * static_cast<double>(scale));
      if (chunks[i].score > 0) own = better(own, Runner{chunks[i].score * share, chunks[i].runner});
    }
    token = warp_winner(own).token;
  }
  if (tid >= 32) return;
  double log_sum = 0;
  if (batch.logprobs != nullptr) {
    double sum = 0;
    for (int i = lane; i < workspace.num_chunks; i += 32) {
      if (chunks[i].raw_sum > 0.0f)
        sum += static_cast<double>(chunks[i].raw_sum) * exp(static_cast<double>(chunks[i].raw_top - raw_top));
    }
    log_sum = static_cast<double>(raw_top) + log(warp_sum(sum));
  }
  if (tid != 0) return;
  batch.ids[index] = token;
  if (batch.logprobs != nullptr) {
    const T* logits = static_cast<const T*>(batch.logits) + index * batch.logits_stride;
    batch.logprobs[index] = static_cast<float>(static_cast<double>(RowReader<T>::to_float(logits[token])) - log_sum);
  }
  if (row.seen_slot >= 0) {
    uint16_t& facts = batch.seen[static_cast<int64_t>(row.seen_slot) * batch.vocab + token];
    if ((facts & ~kSeenInPrompt) != 0x7fff) ++facts;
  }
}

}  // namespace mhub::kernels::cuda
