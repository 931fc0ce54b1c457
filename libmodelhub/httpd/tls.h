// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "channel.h"
#include "mhub/base/result.h"

namespace mhub::httpd {

// Certificate, key and rules of a TLS server: 1.2 or newer, HTTP/1.1. Where the kernel can encrypt (kTLS), files still
// go out by sendfile.
class TlsContext {
 public:
  // PEM files: the certificate with its chain, and its key without a passphrase. kUsage names the file and what is
  // wrong.
  static Result<std::unique_ptr<TlsContext>> load(const std::string& certificate_file, const std::string& key_file);
  ~TlsContext();
  // The handshake happens within the first receive() calls. nullptr where there is no memory for it.
  std::unique_ptr<Channel> accept(UniqueFd fd) const;

 private:
  struct State;
  explicit TlsContext(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mhub::httpd
