// SPDX-License-Identifier: Apache-2.0
// What the machine offers: instruction sets, cores of this process, memory within the cgroup's limit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mhub::kernels::cpu {

struct CpuFeatures {
  bool avx2 = false;    // with FMA and F16C
  bool avx512 = false;  // F, BW, VL, DQ, VNNI, BF16
};
CpuFeatures detect_features();
std::string cpu_model_name();

// One logical CPU per physical core that the process may run on, at most as many as the cgroup's CPU quota pays for.
std::vector<int> usable_cores();

struct MemoryFacts {
  uint64_t total = 0;
  uint64_t available = 0;
};
MemoryFacts memory_facts();

}  // namespace mhub::kernels::cpu
