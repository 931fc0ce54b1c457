// SPDX-License-Identifier: Apache-2.0
#include "host.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <set>
#include <sstream>

namespace mhub::kernels::cpu {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<uint64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // no such file, or "max"
}

// Value of "key: 123 kB" or "key 123" in a table such as /proc/meminfo or memory.stat.
std::optional<uint64_t> field_of(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string name;
    uint64_t value = 0;
    if (words >> name >> value && (name == key || name == key + ":")) return value;
  }
  return std::nullopt;
}

// The process's cgroup v2 folder and its parents, innermost first.
std::vector<std::string> cgroup_folders() {
  std::vector<std::string> folders;
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("0::", 0) != 0) continue;
    for (std::string path = line.substr(3); path.size() > 1; path.resize(path.rfind('/')))
      folders.push_back("/sys/fs/cgroup" + path);
  }
  folders.push_back("/sys/fs/cgroup");
  return folders;
}

int cpu_quota() {
  double quota = std::numeric_limits<int>::max();
  for (const std::string& folder : cgroup_folders()) {
    std::istringstream words(first_line(folder + "/cpu.max"));
    double limit = 0, period = 0;
    if (words >> limit >> period && period > 0) quota = std::min(quota, limit / period);
  }
  return std::max(1, static_cast<int>(quota + 0.5));
}

}  // namespace

CpuFeatures detect_features() {
  CpuFeatures features;
#if defined(__x86_64__)
  __builtin_cpu_init();
  features.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  features.avx512 = features.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
#endif
  return features;
}

std::string cpu_model_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

std::vector<int> usable_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return {0};
  std::vector<int> cores;
  std::set<std::string> seen;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(static_cast<size_t>(cpu), &allowed)) continue;
    std::string siblings =
        first_line("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
    if (siblings.empty()) siblings = std::to_string(cpu);
    if (seen.insert(siblings).second) cores.push_back(cpu);
  }
  const size_t limit = static_cast<size_t>(cpu_quota());
  if (cores.size() > limit) cores.resize(limit);
  if (cores.empty()) cores.push_back(0);
  return cores;
}

MemoryFacts memory_facts() {
  MemoryFacts facts;
  facts.total = field_of("/proc/meminfo", "MemTotal").value_or(0) * 1024;
  facts.available = field_of("/proc/meminfo", "MemAvailable").value_or(0) * 1024;
  for (const std::string& folder : cgroup_folders()) {
    const auto limit = number_in(folder + "/memory.max");
    if (!limit) continue;
    const uint64_t current = number_in(folder + "/memory.current").value_or(0);
    const uint64_t reclaimable = field_of(folder + "/memory.stat", "inactive_file").value_or(0);
    const uint64_t used = current - std::min(current, reclaimable);
    facts.total = std::min(facts.total, *limit);
    facts.available = std::min(facts.available, *limit - std::min(*limit, used));
  }
  return facts;
}

}  // namespace mhub::kernels::cpu
