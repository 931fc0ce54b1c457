// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mhub::http {

// What /proc/self says, for the process_* metrics. Zeros where there is no procfs.
struct ProcessStats {
  double resident_bytes = 0, virtual_bytes = 0, open_fds = 0, max_fds = 0, start_time_seconds = 0, cpu_seconds = 0;
};
ProcessStats read_process_stats();

}  // namespace mhub::http
