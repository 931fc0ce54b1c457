// SPDX-License-Identifier: Apache-2.0
#include "process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace mhub::http {
namespace {

double boot_time_seconds() {
  std::ifstream in("/proc/stat");
  std::string key;
  double value = 0;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    if (words >> key >> value && key == "btime") return value;
  }
  return 0;
}

// Fields of /proc/self/stat from the third on ("state"); the second may hold spaces.
std::vector<double> self_stat() {
  std::ifstream in("/proc/self/stat");
  std::string text;
  std::getline(in, text);
  const size_t end = text.rfind(')');
  std::vector<double> out;
  if (end == std::string::npos || text.size() < end + 4) return out;
  std::istringstream words(text.substr(end + 4));
  for (double value; words >> value;) out.push_back(value);
  return out;
}

}  // namespace

ProcessStats read_process_stats() {
  ProcessStats out;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) out.max_fds = static_cast<double>(limit.rlim_cur);
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end; at.increment(error)) {
    out.open_fds += 1;
  }
  // Indices count from "ppid" (field 4 of proc(5)): utime 14, stime 15, starttime 22, vsize 23, rss 24.
  const auto stat = self_stat();
  if (stat.size() <= 20) return out;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  out.cpu_seconds = (stat[10] + stat[11]) / ticks;
  out.start_time_seconds = boot_time_seconds() + stat[18] / ticks;
  out.virtual_bytes = stat[19];
  out.resident_bytes = stat[20] * static_cast<double>(sysconf(_SC_PAGESIZE));
  return out;
}

}  // namespace mhub::http
