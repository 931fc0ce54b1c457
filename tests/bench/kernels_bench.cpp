// SPDX-License-Identifier: Apache-2.0
// Micro-benchmark of the CPU back end: one JSON line per case, beside a bandwidth probe taken in the same run.
//   kernels_bench [--isa NAME] [--threads N] [--filter TEXT]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "mhub/kernels/backend.h"
#include "support/random_matrix.h"

namespace {

using namespace mhub::kernels;
using mhub::testing::MatrixKind;
using mhub::testing::random_floats;

struct Timing {
  double median = 0, p90 = 0;  // seconds
};

Timing measure(const std::function<void()>& step, double budget = 0.25) {
  using Clock = std::chrono::steady_clock;
  step();
  std::vector<double> seconds;
  const auto end = Clock::now() + std::chrono::duration<double>(budget);
  while (seconds.size() < 5 || (Clock::now() < end && seconds.size() < 20000)) {
    const auto start = Clock::now();
    step();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds[seconds.size() * 9 / 10]};
}

TensorView view(std::vector<float>& v, int64_t rows, int64_t cols) {
  return {.data = v.data(), .dtype = DType::kF32, .rows = rows, .cols = cols, .stride = cols};
}

class Bench {
 public:
  Bench(BackendOptions options, std::string filter) : filter_(std::move(filter)), device_(make_cpu_backend(options)) {
    std::printf("{\"device\":\"%s\",\"threads\":%d}\n", device_->facts().description.c_str(),
                device_->facts().num_threads);
  }

  void all() {
    probe();
    struct Shape {
      const char* name;
      int64_t n, k;
    };
    const Shape shapes[] = {{"smollm2.qkv", 960, 576},    {"smollm2.gate_up", 3072, 576}, {"smollm2.down", 576, 1536},
                            {"smollm2.head", 49152, 576}, {"1.5b.gate_up", 17920, 1536},  {"1.5b.down", 1536, 8960}};
    const MatrixKind kinds[] = {{.dtype = DType::kQ4_1},
                                {.dtype = DType::kQ4_0},
                                {.dtype = DType::kQ8_0},
                                {.dtype = DType::kQ4_K},
                                {.dtype = DType::kQ6_K},
                                {.dtype = DType::kQ5_0},
                                {.dtype = DType::kU4, .group_size = 64},
                                {.dtype = DType::kBF16},
                                {.dtype = DType::kF32}};
    for (const MatrixKind& kind : kinds) {
      for (const Shape& shape : shapes) {
        if (row_bytes(kind.dtype, static_cast<uint64_t>(shape.k)) == std::nullopt) continue;
        linear(kind, shape.name, shape.n, shape.k);
      }
    }
    for (const int64_t context : {128, 1024, 8192}) attention(1, context);
    for (const int64_t context : {128, 512, 2048}) attention(context, context);
    rows();
  }

 private:
  bool wanted(const std::string& name) const { return name.find(filter_) != std::string::npos; }

  // The rate at which the back end streams a big matrix: what decode of a large model can reach.
  void probe() {
    const int64_t k = 4096, n = 32768;
    const std::vector<float> w(static_cast<size_t>(n * k), 1.0f);
    const MatrixSource source{.dtype = DType::kF32, .rows = n, .cols = k, .data = w.data()};
    const auto weight = device_->prepare({&source, 1}, true, nullptr);
    std::vector<float> x(static_cast<size_t>(k), 1.0f), out(static_cast<size_t>(n));
    const Timing t = measure([&] { device_->linear(view(out, 1, n), view(x, 1, k), *weight, nullptr); });
    bandwidth_ = static_cast<double>(n * k * 4) / t.median / 1e9;
    std::printf("{\"case\":\"probe\",\"GB/s\":%.1f}\n", bandwidth_);
  }

  void linear(const MatrixKind& kind, const std::string& shape, int64_t n, int64_t k) {
    const std::string name = "linear." + std::string(dtype_info(kind.dtype).name) + "." + shape;
    if (!wanted(name)) return;
    const auto m = mhub::testing::random_matrix(rng_, kind, n, k);
    const auto weight = device_->prepare({&m.source, 1}, true, nullptr);
    const double bytes = static_cast<double>(m.data.size() + m.scales.size());
    for (const int64_t t : {1, 4, 8, 16, 512}) {
      std::vector<float> x = random_floats(rng_, t * k), out(static_cast<size_t>(t * n));
      const Timing time = measure([&] { device_->linear(view(out, t, n), view(x, t, k), *weight, nullptr); });
      std::printf(
          "{\"case\":\"%s\",\"T\":%ld,\"us\":%.1f,\"p90_us\":%.1f,\"GFLOP/s\":%.1f,\"GB/s\":%.1f,"
          "\"of_probe\":%.2f}\n",
          name.c_str(), static_cast<long>(t), time.median * 1e6, time.p90 * 1e6,
          2.0 * static_cast<double>(t * n * k) / time.median / 1e9, bytes / time.median / 1e9,
          bytes / time.median / 1e9 / bandwidth_);
      std::fflush(stdout);
    }
  }

  void attention(int64_t queries, int64_t context) {
    const std::string name = "attention.q" + std::to_string(queries) + ".c" + std::to_string(context);
    if (!wanted(name)) return;
    constexpr int64_t kHeads = 3, kGroup = 3, kDim = 64;
    const int64_t blocks = (context + 15) / 16, kv = kHeads * kDim, cols = kv * kGroup;
    auto cache = device_->make_kv_cache(
        {.layers = 1, .num_blocks = blocks, .block_size = 16, .num_kv_heads = kHeads, .head_dim = kDim},
        device_->preferred_kv_dtype());
    std::vector<int32_t> slots(static_cast<size_t>(context)), table(static_cast<size_t>(blocks));
    std::iota(slots.begin(), slots.end(), 0);
    std::iota(table.begin(), table.end(), 0);
    std::vector<float> k = random_floats(rng_, context * kv), v = k, none(static_cast<size_t>(context * cols));
    const std::vector<float> cos_sin(2);
    device_->rope_and_write_kv(view(none, context, cols), view(k, context, kv), view(v, context, kv),
                               std::vector<int32_t>(static_cast<size_t>(context), 0), slots, cos_sin.data(), 0,
                               RopeStyle::kHalf, *cache, 0);
    std::vector<float> q = random_floats(rng_, queries * cols), out(q.size());
    const std::vector<int32_t> cu = {0, static_cast<int32_t>(queries)}, lens = {static_cast<int32_t>(context)};
    const Timing time = measure([&] {
      device_->paged_attention(view(out, queries, cols), view(q, queries, cols), {cu, lens, table, blocks}, 0.125f,
                               *cache, 0);
    });
    const double pairs =
        static_cast<double>(queries) * (static_cast<double>(context) - static_cast<double>(queries - 1) / 2);
    std::printf("{\"case\":\"%s\",\"us\":%.1f,\"p90_us\":%.1f,\"GFLOP/s\":%.1f}\n", name.c_str(), time.median * 1e6,
                time.p90 * 1e6, pairs * 4.0 * kHeads * kGroup * kDim / time.median / 1e9);
  }

  void rows() {
    const std::vector<float> w(1536, 1.0f);
    for (const int64_t t : {1, 8, 512}) {
      std::vector<float> x = random_floats(rng_, t * 3072), y = x, out(x.size());
      const auto report = [&](const std::string& name, const std::function<void()>& step) {
        if (!wanted(name)) return;
        const Timing time = measure(step, 0.1);
        std::printf("{\"case\":\"%s\",\"T\":%ld,\"us\":%.2f,\"p90_us\":%.2f}\n", name.c_str(), static_cast<long>(t),
                    time.median * 1e6, time.p90 * 1e6);
      };
      report("rows.add_rms_norm.576",
             [&] { device_->add_rms_norm(view(out, t, 576), view(x, t, 576), view(y, t, 576), w.data(), 1e-5f); });
      report("rows.silu_mul.1536", [&] { device_->silu_mul(view(out, t, 1536), view(y, t, 3072)); });
    }
  }

  std::string filter_;
  std::unique_ptr<Backend> device_;
  std::mt19937 rng_{1};
  double bandwidth_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  BackendOptions options;
  std::string filter;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--isa") options.force_isa = argv[i + 1];
    if (flag == "--threads") options.num_threads = std::stoi(argv[i + 1]);
    if (flag == "--filter") filter = argv[i + 1];
  }
  Bench(options, filter).all();
}
