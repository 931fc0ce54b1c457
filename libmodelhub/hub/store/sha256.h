// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "mhub/base/result.h"

namespace mhub::hub {

// A running message digest. Move-only; finish() once.
class Digest {
 public:
  enum class Kind { kSha256, kSha1 };
  explicit Digest(Kind kind);
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  std::string finish();  // lower-case hex
  Digest copy() const;   // both may go on from here

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

class Sha256 : public Digest {
 public:
  Sha256() : Digest(Kind::kSha256) {}
};

// What git (and both hubs, for small files) calls a file's id: SHA-1 over "blob <size>\0" and the content.
class GitBlobSha1 : public Digest {
 public:
  explicit GitBlobSha1(uint64_t size);
};

std::string sha256_hex(std::string_view text);

struct HashedFile {
  std::string sha256;
  std::string extents;  // store/extent_hash.h
  uint64_t bytes = 0;
};
// Reads an open regular file from its start to its end. `what` names it in errors. kDisk, kInterrupted.
Result<HashedFile> hash_descriptor(int fd, const std::string& what, std::stop_token stop);

}  // namespace mhub::hub
