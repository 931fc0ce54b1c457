// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "mhub/base/result.h"

namespace mhub::hub {

// The part of tar that bundles are made of: regular files with short names. Sizes over 8 GiB in GNU's base-256 form.
constexpr size_t kTarBlock = 512;
using TarBlock = std::array<char, kTarBlock>;

struct TarEntry {
  std::string name;  // at most 99 bytes
  uint64_t bytes = 0;
  uint64_t padded_bytes() const { return (bytes + kTarBlock - 1) / kTarBlock * kTarBlock; }
};

TarBlock tar_header(const TarEntry& entry);
// nullopt for the block of zeros that ends an archive. kIntegrity for anything but such a header with a right checksum.
Result<std::optional<TarEntry>> parse_tar_header(const TarBlock& block);

}  // namespace mhub::hub
