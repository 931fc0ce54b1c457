// SPDX-License-Identifier: Apache-2.0
#include "tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace mhub::httpd {
namespace {

constexpr size_t kFileBlock = 64 << 10;

std::string last_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* reason = ERR_reason_error_string(code);
  return reason ? reason : "unknown reason";
}

Error unusable(const std::string& what, const std::string& file) {
  return {ErrorCode::kUsage, fmt::format("read the {} {}: {}", what, printable(file, 1024), last_error()),
          "give PEM files: the certificate with its chain, and its key without a passphrase", ""};
}

// The only protocol that is spoken here, where the client names some.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  static constexpr unsigned char kOurs[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* found = nullptr;
  const int agreed = SSL_select_next_proto(&found, size, kOurs, sizeof kOurs, offered, offered_size);
  *chosen = found;
  return agreed == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

int no_passphrase(char*, int, int, void*) {
  return 0;
}

class TlsChannel final : public Channel {
 public:
  using Session = std::unique_ptr<SSL, void (*)(SSL*)>;
  TlsChannel(UniqueFd socket, Session session) : Channel(std::move(socket)), session_(std::move(session)) {}

  ssize_t receive(std::span<char> into) override {
    ERR_clear_error();
    size_t n = 0;
    const int done = SSL_read_ex(session_.get(), into.data(), into.size(), &n);
    if (done == 1) return static_cast<ssize_t>(n);
    const int reason = SSL_get_error(session_.get(), done);
    if (reason == SSL_ERROR_ZERO_RETURN) return 0;
    waits_to_write_ = reason == SSL_ERROR_WANT_WRITE;
    return failed(reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE);
  }
  ssize_t send(std::string_view bytes, bool) override {
    ERR_clear_error();
    size_t n = 0;
    const int done = SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &n);
    if (done == 1) return static_cast<ssize_t>(n);
    return failed(SSL_get_error(session_.get(), done) == SSL_ERROR_WANT_WRITE);
  }
  ssize_t send_file(int file, off_t& position, size_t length) override {
    if (BIO_get_ktls_send(SSL_get_wbio(session_.get()))) {
      ERR_clear_error();
      const ossl_ssize_t n = SSL_sendfile(session_.get(), file, position, length, 0);
      if (n < 0) return failed(SSL_get_error(session_.get(), static_cast<int>(n)) == SSL_ERROR_WANT_WRITE);
      position += n;
      return n;
    }
    std::array<char, kFileBlock> block;
    const ssize_t read = pread(file, block.data(), std::min(length, block.size()), position);
    if (read <= 0) return read;
    const ssize_t n = send({block.data(), static_cast<size_t>(read)}, false);
    if (n > 0) position += n;
    return n;
  }
  bool end_output() override {
    ERR_clear_error();
    if (SSL_is_init_finished(session_.get())) SSL_shutdown(session_.get());
    return shutdown(fd(), SHUT_WR) == 0;
  }
  bool waits_to_write() const override { return waits_to_write_; }

 private:
  static ssize_t failed(bool later) {
    errno = later ? EAGAIN : ECONNRESET;
    return -1;
  }
  Session session_;
  bool waits_to_write_ = false;
};

}  // namespace

struct TlsContext::State {
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context{SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
};

TlsContext::TlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsContext::~TlsContext() = default;

Result<std::unique_ptr<TlsContext>> TlsContext::load(const std::string& certificate_file, const std::string& key_file) {
  auto state = std::make_unique<State>();
  SSL_CTX* const context = state->context.get();
  if (!context) return Error{ErrorCode::kUsage, "start TLS: " + last_error(), "check the OpenSSL configuration", ""};
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_ENABLE_KTLS | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);  // never asks the terminal
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1) {
    return unusable("certificate", certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1) return unusable("key", key_file);
  if (SSL_CTX_check_private_key(context) != 1) return unusable("key", key_file);
  return std::unique_ptr<TlsContext>(new TlsContext(std::move(state)));
}

std::unique_ptr<Channel> TlsContext::accept(UniqueFd fd) const {
  TlsChannel::Session session(SSL_new(state_->context.get()), SSL_free);
  if (!session || SSL_set_fd(session.get(), fd.get()) != 1) return nullptr;
  SSL_set_accept_state(session.get());
  return std::make_unique<TlsChannel>(std::move(fd), std::move(session));
}

}  // namespace mhub::httpd
