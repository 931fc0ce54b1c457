// SPDX-License-Identifier: Apache-2.0
#include "support/tls_front.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <stdexcept>

#include "support/loopback.h"

namespace mhub::test {
namespace {

using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using X509Ptr = std::unique_ptr<X509, void (*)(X509*)>;
using BioPtr = std::unique_ptr<BIO, void (*)(BIO*)>;

Key new_key() {
  return {EVP_EC_gen("P-256"), EVP_PKEY_free};
}
BioPtr new_bio(std::string_view text = "") {
  BIO* bio = text.empty() ? BIO_new(BIO_s_mem()) : BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
  return {bio, [](BIO* b) { BIO_free(b); }};
}
std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}
std::string pem_of(X509* certificate) {
  const BioPtr bio = new_bio();
  PEM_write_bio_X509(bio.get(), certificate);
  return text_of(bio.get());
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (!extension) throw std::runtime_error("certificate extension " + value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509Ptr new_certificate(const std::string& name, EVP_PKEY* key, int first_day, int last_day) {
  static std::atomic<long> serial{1};
  X509Ptr certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), first_day * 86400L);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), last_day * 86400L);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

}  // namespace

struct TestCa::State {
  Key key = new_key();
  X509Ptr certificate = new_certificate("mhub test authority", key.get(), -1, 365);
};

TestCa::TestCa() : state_(std::make_unique<State>()) {
  X509* own = state_->certificate.get();
  X509_set_issuer_name(own, X509_get_subject_name(own));
  add_extension(own, own, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(own, own, NID_key_usage, "critical,keyCertSign,cRLSign");
  X509_sign(own, state_->key.get(), EVP_sha256());
}
TestCa::~TestCa() = default;

std::string TestCa::pem() const {
  return pem_of(state_->certificate.get());
}

Certificate TestCa::issue(const std::string& host, int first_day, int last_day) const {
  const Key key = new_key();
  const X509Ptr leaf = new_certificate(host, key.get(), first_day, last_day);
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(state_->certificate.get()));
  in_addr address{};
  const bool is_address = inet_pton(AF_INET, host.c_str(), &address) == 1;
  add_extension(leaf.get(), state_->certificate.get(), NID_subject_alt_name, (is_address ? "IP:" : "DNS:") + host);
  X509_sign(leaf.get(), state_->key.get(), EVP_sha256());
  const BioPtr bio = new_bio();
  PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {pem_of(leaf.get()), text_of(bio.get())};
}

struct TlsFront::Context {
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> ssl{SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
  std::string protocol;  // of ALPN

  static int choose(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void* self) {
    const std::string& wanted = static_cast<const Context*>(self)->protocol;
    const std::string wire = static_cast<char>(wanted.size()) + wanted;
    const std::string_view list(reinterpret_cast<const char*>(offered), offered_size);
    const size_t at = list.find(wire);
    if (wanted.empty() || at == std::string_view::npos) return SSL_TLSEXT_ERR_NOACK;
    *chosen = offered + at + 1;
    *size = static_cast<unsigned char>(wanted.size());
    return SSL_TLSEXT_ERR_OK;
  }
};

std::unique_ptr<TlsFront::Context> TlsFront::make_context(const Certificate& certificate, const std::string& protocol) {
  auto context = std::make_unique<Context>();
  const BioPtr cert_bio = new_bio(certificate.certificate_pem), key_bio = new_bio(certificate.key_pem);
  const X509Ptr leaf(PEM_read_bio_X509(cert_bio.get(), nullptr, nullptr, nullptr), X509_free);
  const Key key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  if (SSL_CTX_use_certificate(context->ssl.get(), leaf.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context->ssl.get(), key.get()) != 1) {
    throw std::runtime_error("tls front: certificate and key do not fit");
  }
  context->protocol = protocol;
  SSL_CTX_set_alpn_select_cb(context->ssl.get(), &Context::choose, context.get());
  signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to whoever has just hung up
  return context;
}

TlsFront::TlsFront(const Certificate& certificate, int target_port, const std::string& protocol)
    : context_(make_context(certificate, protocol)), target_port_(target_port) {}
TlsFront::~TlsFront() = default;

std::string TlsFront::url(const std::string& host) const {
  return "https://" + host + ":" + std::to_string(port());
}

void TlsFront::serve(int fd) {
  const int target = connect_to_loopback(target_port_);
  const std::unique_ptr<SSL, void (*)(SSL*)> ssl(SSL_new(context_->ssl.get()), SSL_free);
  SSL_set_fd(ssl.get(), fd);
  if (target >= 0 && SSL_accept(ssl.get()) == 1) {
    std::array<char, 16384> buffer;
    pollfd ends[] = {{fd, POLLIN, 0}, {target, POLLIN, 0}};
    bool open = true;
    while (open && !server_.stopping()) {
      if (SSL_pending(ssl.get()) == 0 && poll(ends, 2, 100) <= 0) continue;
      if (SSL_pending(ssl.get()) > 0 || ends[0].revents != 0) {
        const int n = SSL_read(ssl.get(), buffer.data(), static_cast<int>(buffer.size()));
        open = n > 0 && send_whole(target, {buffer.data(), static_cast<size_t>(n)});
      } else if (ends[1].revents != 0) {
        const ssize_t n = recv(target, buffer.data(), buffer.size(), 0);
        open = n > 0 && SSL_write(ssl.get(), buffer.data(), static_cast<int>(n)) == n;
      }
      ends[0].revents = ends[1].revents = 0;
    }
  }
  if (target >= 0) close(target);
}

}  // namespace mhub::test
