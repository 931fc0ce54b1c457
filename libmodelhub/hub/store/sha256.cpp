// SPDX-License-Identifier: Apache-2.0
#include "store/sha256.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "mhub/base/check.h"

#include "store/extent_hash.h"

namespace mhub::hub {

struct Digest::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Digest::Digest(Kind kind) : context_(std::make_unique<Context>()) {
  MHUB_CHECK(context_->evp);
  MHUB_CHECK(EVP_DigestInit_ex(context_->evp, kind == Kind::kSha256 ? EVP_sha256() : EVP_sha1(), nullptr) == 1);
}
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::update(std::span<const std::byte> bytes) {
  MHUB_CHECK(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) == 1);
}

std::string Digest::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned int size = 0;
  MHUB_CHECK(EVP_DigestFinal_ex(context_->evp, raw.data(), &size) == 1);
  std::string hex;
  hex.reserve(size * 2);
  for (unsigned int i = 0; i < size; ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex.push_back(kDigits[raw[i] >> 4]);
    hex.push_back(kDigits[raw[i] & 15]);
  }
  return hex;
}

Digest Digest::copy() const {
  Digest other(Kind::kSha256);
  MHUB_CHECK(EVP_MD_CTX_copy_ex(other.context_->evp, context_->evp) == 1);
  return other;
}

GitBlobSha1::GitBlobSha1(uint64_t size) : Digest(Kind::kSha1) {
  update(fmt::format("blob {}", size));
  update(std::string_view("\0", 1));
}

std::string sha256_hex(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return hash.finish();
}

Result<HashedFile> hash_descriptor(int fd, const std::string& what, std::stop_token stop) {
  posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  std::vector<std::byte> buffer(1u << 20);
  Sha256 hash;
  ExtentHasher extents;
  HashedFile file;
  for (;;) {
    if (stop.stop_requested())
      return Error{ErrorCode::kInterrupted, fmt::format("hash {}: interrupted", what), "run the same command again",
                   ""};
    const ssize_t n = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(file.bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return Error{ErrorCode::kDisk, fmt::format("read {} at byte {}: {}", what, file.bytes, std::strerror(errno)),
                   "check the disk", ""};
    }
    if (n == 0) break;
    const std::span<const std::byte> bytes = std::span(buffer).first(static_cast<size_t>(n));
    hash.update(bytes);
    extents.update(bytes);
    file.bytes += static_cast<uint64_t>(n);
  }
  file.sha256 = hash.finish();
  file.extents = extents.finish();
  return file;
}

}  // namespace mhub::hub
