// SPDX-License-Identifier: Apache-2.0
#include "gpu_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <string_view>

#include "cli.h"
#include "mhub/base/bytes.h"
#include "mhub/kernels/backend.h"
#include "step_bench.h"

namespace mhub::apps {
namespace {

using Clock = std::chrono::steady_clock;
using State = hub::Finding::State;

// Data sheets: memory bandwidth, and BF16 products without sparsity. Longer names first where one holds another.
struct Card {
  std::string_view name;
  double bytes_per_second, flops;
};
constexpr Card kCards[] = {{"H200", 4.8e12, 989e12},       {"H100 80GB HBM3", 3.35e12, 989e12},
                           {"H100 NVL", 3.9e12, 835e12},   {"H100 PCIe", 2.0e12, 756e12},
                           {"H20", 4.0e12, 148e12},        {"A100-SXM4-80GB", 2.04e12, 312e12},
                           {"A100 80GB", 1.94e12, 312e12}, {"A100", 1.56e12, 312e12},
                           {"L40S", 0.864e12, 362e12},     {"L4", 0.3e12, 121e12},
                           {"A10", 0.6e12, 125e12},        {"RTX 4090", 1.008e12, 165e12},
                           {"RTX 3090", 0.936e12, 71e12},  {"RTX 5090", 1.792e12, 210e12},
                           {"B200", 8.0e12, 2250e12}};
// What a card without a fault reaches of them.
constexpr double kCopyShare = 0.75, kProductShare = 0.6;
constexpr const char* kSlowHint = "is another program on the card, or is it throttled (nvidia-smi -q -d PERFORMANCE)?";

const Card* card_of(std::string_view description) {
  for (const Card& card : kCards) {
    const size_t at = description.find(card.name);
    const size_t end = at + card.name.size();
    // Not "L4" of "L40S".
    if (at != std::string_view::npos &&
        (end == description.size() || description[end] == ' ' || description[end] == ','))
      return &card;
  }
  return nullptr;
}

hub::Finding rated(const char* name, double measured, double sheet, double share, const char* unit) {
  hub::Finding finding{State::kGood, name, "", "", ErrorCode::kDevice};
  constexpr double kTera = 1e12;
  finding.detail = fmt::format("{:.2f} T{}/s", measured / kTera, unit);
  if (measured <= 0) {
    finding.state = State::kWarning;
    finding.detail = "not measured: too little memory is free";
    finding.hint = kSlowHint;
  } else if (sheet <= 0) {
    finding.detail += "; what this card should do is not known here";
  } else {
    finding.detail += fmt::format(", {:.0f} % of the data sheet's {:.2f}", 100 * measured / sheet, sheet / kTera);
    if (measured < share * sheet) {
      finding.state = State::kWarning;
      finding.hint = fmt::format("{:.0f} % or more is usual; {}", 100 * share, kSlowHint);
    }
  }
  return finding;
}

// Operations per second of a large product of random numbers; 0 when it does not fit.
double measure_products(kernels::Backend& backend) {
  constexpr int64_t kSide = 8192;
  constexpr int kRounds = 20;
  kernels::MatrixSource source;
  source.dtype = kernels::DType::kBF16;
  source.rows = source.cols = kSide;
  source.random_key = 1;
  std::string why;
  const auto weight = backend.prepare({&source, 1}, false, &why);
  const auto table = backend.prepare_embedding(source, false, &why);
  const auto dtype = backend.activation_dtype();
  const auto bytes = static_cast<size_t>(kSide * kSide) * kernels::dtype_info(dtype).block_bytes;
  const auto x = backend.allocate(bytes), out = backend.allocate(bytes);
  if (!weight || !table || !x || !out) return 0;
  const kernels::TensorView x_view{x->data(), dtype, kSide, kSide, kSide},
      out_view{out->data(), dtype, kSide, kSide, kSide};
  std::vector<int32_t> ids(static_cast<size_t>(kSide));
  std::iota(ids.begin(), ids.end(), 0);
  backend.embedding(x_view, ids, *table);
  uint32_t word = 0;
  const auto wait = [&] { backend.copy_to_host(&word, out->data(), sizeof(word)); };
  backend.linear(out_view, x_view, *weight, nullptr);  // chooses an algorithm
  wait();
  const auto begin = Clock::now();
  for (int i = 0; i < kRounds; ++i) backend.linear(out_view, x_view, *weight, nullptr);
  wait();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return 2.0 * kSide * kSide * kSide * kRounds / seconds;
}

std::vector<hub::Finding> examine(kernels::Backend& backend) {
  const kernels::DeviceFacts& facts = backend.facts();
  std::vector<hub::Finding> findings;
  findings.push_back({State::kGood, "gpu", facts.description, "", ErrorCode::kDevice});
  const bool busy = facts.memory_available_bytes < facts.memory_bytes / 10 * 9;
  findings.push_back(
      {busy ? State::kWarning : State::kGood, "gpu memory",
       fmt::format("{} of {} free", human_bytes(facts.memory_available_bytes), human_bytes(facts.memory_bytes)),
       busy ? "another program holds some of it; lower --gpu-memory-utilization, or end that program" : "",
       ErrorCode::kDevice});
  const Card* card = card_of(facts.description);
  findings.push_back(
      rated("gpu copies", measure_copy_bandwidth(backend), card ? card->bytes_per_second : 0, kCopyShare, "B"));
  findings.push_back(rated("gpu products", measure_products(backend), card ? card->flops : 0, kProductShare, "FLOP"));
  return findings;
}

}  // namespace

std::vector<hub::Finding> examine_gpu() {
  const auto failed = [](std::string what) {
    return std::vector<hub::Finding>{
        {State::kFailed, "gpu", std::move(what), "without it the engine runs on the CPU", ErrorCode::kDevice}};
  };
  std::string why;
  const auto backend = kernels::load_cuda_backend({}, env("MHUB_BACKEND_PATH"), &why);
  if (!backend) return failed(std::move(why));
  try {
    return examine(*backend);
  } catch (const kernels::BackendError& e) {
    return failed(e.what());
  }
}

}  // namespace mhub::apps
