// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace mhub::model {

// Counts the calls into the CUDA driver, by name, while it lives. The toolkit's tracing library (CUPTI) tells them; it
// is loaded from $MHUB_CUPTI_LIBRARY or where the loader finds it.
class DriverCalls {
 public:
  // null with *why where that library is not.
  static std::unique_ptr<DriverCalls> start(std::string* why);
  ~DriverCalls();
  DriverCalls(const DriverCalls&) = delete;
  DriverCalls& operator=(const DriverCalls&) = delete;

  const std::map<std::string, int>& counts() const { return counts_; }

 private:
  DriverCalls() = default;
  static void on_call(void* self, int domain, uint32_t id, const void* data);

  std::map<std::string, int> counts_;
  void* library_ = nullptr;
  void* subscriber_ = nullptr;
};

}  // namespace mhub::model
