// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "mhub/base/result.h"
#include "store/layout.h"
#include "store/unique_fd.h"

namespace mhub::hub {

// leases/<digest of the model's path>: whoever has the model open holds a shared lock, whoever removes it an exclusive
// one. The kernel drops the lock of a killed process. Where a file system's locks do nothing, find_file_user() (of
// processes on this host) is what is left.
class Lease {
 public:
  // kPolicy while the model is being removed.
  static Result<Lease> share(const StoreLayout& layout, const std::string& model_path);
  // nullopt: somebody has it open; `holder` then says who.
  static Result<std::optional<Lease>> claim(const StoreLayout& layout, const std::string& model_path,
                                            std::string& holder);
  ~Lease();
  Lease(Lease&&) noexcept = default;
  Lease& operator=(Lease&&) = delete;

 private:
  Lease(std::filesystem::path file, UniqueFd fd, bool exclusive)
      : file_(std::move(file)), fd_(std::move(fd)), exclusive_(exclusive) {}
  std::filesystem::path file_;
  UniqueFd fd_;
  bool exclusive_;
};

// A lock file that its holder removes: opened, locked exclusively, still the one at its path. nullopt: held elsewhere.
Result<std::optional<UniqueFd>> try_lock(const std::filesystem::path& file);

}  // namespace mhub::hub
