// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace mhub::test {

struct HubRequest {
  std::string method, path, query;             // path percent-decoded
  std::map<std::string, std::string> headers;  // names in lower case
  std::string file;                            // path in the repository when bytes are asked for
  std::optional<std::pair<uint64_t, uint64_t>> range;
  int connection = 0;
  std::string query_value(const std::string& name) const;
  bool has(const std::string& header) const { return headers.count(header) != 0; }
};

struct HubReply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::optional<uint64_t> claimed_length;  // Content-Length that is sent; body.size() otherwise
  bool without_length = false;             // no Content-Length: the body ends with the connection
  std::optional<size_t> cut_after;         // bytes of the body, then the connection is closed
  std::optional<size_t> stall_after;       // bytes of the body, then nothing until the hub is destroyed
  double bytes_per_second = 0;             // 0 = as fast as it goes
  void set(const std::string& name, const std::string& value);
};

// A loopback hub of one repository, org/name, model and dataset alike, speaking both dialects honestly; a hook may turn
// any reply into a lie. One thread a connection.
class FakeHub {
 public:
  using Hook = std::function<void(const HubRequest&, HubReply&)>;

  FakeHub();
  ~FakeHub();
  int port() const { return port_; }
  std::string url() const;

  void set_file(const std::string& path, std::string content);
  // A file of `bytes` of which only the beginning exists: listed like any other, zeros where nothing is.
  void set_headed_file(const std::string& path, std::string head, uint64_t bytes);
  std::string content(const std::string& path) const;
  void set_commit(const std::string& commit);  // "" = a hub without commit ids
  void set_hook(Hook hook);                    // called on connection threads, one at a time
  void set_bytes_per_second(double total);     // over all connections

  std::vector<HubRequest> requests() const;
  size_t api_requests() const;
  size_t body_requests() const;
  uint64_t body_bytes_sent() const { return body_bytes_sent_; }  // of files
  void forget_requests();

 private:
  void accept_connections();
  void serve(int fd, int number);
  HubReply answer(HubRequest& request);
  HubReply modelscope(HubRequest& request);
  HubReply huggingface(HubRequest& request);
  HubReply file_reply(HubRequest& request, const std::string& path);
  bool send_reply(int fd, const HubRequest& request, const HubReply& reply);
  bool send_all(int fd, std::string_view bytes, double bytes_per_second, bool counts);

  int listener_ = -1, port_ = 0;
  mutable std::mutex mutex_;
  struct File {
    std::string content, sha256;
    uint64_t bytes = 0;
  };
  std::map<std::string, File> files_;   // guarded by mutex_
  std::string commit_;                  // guarded by mutex_
  Hook hook_;                           // guarded by mutex_
  std::vector<HubRequest> log_;         // guarded by mutex_
  std::map<int, std::thread> threads_;  // guarded by mutex_
  std::vector<int> sockets_;            // guarded by mutex_
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> body_bytes_sent_{0};
  std::atomic<double> total_rate_{0};
  std::atomic<double> rate_debt_until_{0};
  std::thread accepter_;
};

// Deterministic bytes that do not repeat.
std::string random_bytes(size_t count, uint64_t seed);
std::string sha256_of(std::string_view bytes);
std::string git_sha1_of(std::string_view bytes);

}  // namespace mhub::test
