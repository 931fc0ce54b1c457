// SPDX-License-Identifier: Apache-2.0
#include "support/fake_hub.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <stdexcept>

#include "mhub/base/json.h"
#include "store/sha256.h"

namespace mhub::test {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// nullopt when the peer is gone.
std::optional<HubRequest> read_request(int fd, std::string& buffer) {
  size_t end;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    char bytes[8192];
    const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    if (n <= 0) return std::nullopt;
    buffer.append(bytes, static_cast<size_t>(n));
  }
  const std::string head = buffer.substr(0, end + 2);
  buffer.erase(0, end + 4);
  HubRequest request;
  size_t line_end = head.find("\r\n");
  const std::string line = head.substr(0, line_end);
  const size_t space = line.find(' '), last = line.rfind(' ');
  request.method = line.substr(0, space);
  const std::string target = line.substr(space + 1, last - space - 1);
  const size_t question = target.find('?');
  request.path = percent_decode(target.substr(0, question), false);
  if (question != std::string::npos) request.query = target.substr(question + 1);
  for (size_t at = line_end + 2; at < head.size(); at = line_end + 2) {
    line_end = head.find("\r\n", at);
    const size_t colon = head.find(':', at);
    if (colon < line_end)
      request.headers[lower(head.substr(at, colon - at))] = head.substr(colon + 2, line_end - colon - 2);
  }
  if (const auto range = request.headers.find("range"); range != request.headers.end()) {
    const size_t dash = range->second.find('-');
    request.range = {std::stoull(range->second.substr(6, dash - 6)), std::stoull(range->second.substr(dash + 1))};
  }
  return request;
}

HubReply json_reply(int status, const Json& body) {
  HubReply reply;
  reply.status = status;
  reply.set("Content-Type", "application/json");
  reply.body = dump_json(body);
  return reply;
}

}  // namespace

std::string HubRequest::query_value(const std::string& name) const {
  size_t at = 0;
  while (at < query.size()) {
    const size_t end = std::min(query.find('&', at), query.size());
    if (query.compare(at, name.size() + 1, name + "=") == 0) {
      return percent_decode(query.substr(at + name.size() + 1, end - at - name.size() - 1), true);
    }
    at = end + 1;
  }
  return "";
}

void HubReply::set(const std::string& name, const std::string& value) {
  std::erase_if(headers, [&](const auto& header) { return header.first == name; });
  headers.emplace_back(name, value);
}

FakeHub::FakeHub() : commit_(std::string(40, 'c')) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(listener_, 128) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw std::runtime_error("fake hub: cannot listen");
  }
  port_ = ntohs(address.sin_port);
  accepter_ = std::thread([this] { accept_connections(); });
}

FakeHub::~FakeHub() {
  stopping_ = true;
  shutdown(listener_, SHUT_RDWR);
  accepter_.join();
  close(listener_);
  std::map<int, std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : sockets_) shutdown(fd, SHUT_RDWR);
    threads.swap(threads_);
  }
  for (auto& [number, thread] : threads) thread.join();
}

std::string FakeHub::url() const {
  return fmt::format("http://127.0.0.1:{}", port_);
}
void FakeHub::set_file(const std::string& path, std::string content) {
  std::string sha256 = sha256_of(content);
  const std::lock_guard lock(mutex_);
  const uint64_t bytes = content.size();
  files_[path] = {std::move(content), std::move(sha256), bytes};
}
void FakeHub::set_headed_file(const std::string& path, std::string head, uint64_t bytes) {
  std::string sha256 = sha256_of(head + std::to_string(bytes));
  const std::lock_guard lock(mutex_);
  files_[path] = {std::move(head), std::move(sha256), bytes};
}
std::string FakeHub::content(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  return files_.at(path).content;
}
void FakeHub::set_commit(const std::string& commit) {
  const std::lock_guard lock(mutex_);
  commit_ = commit;
}
void FakeHub::set_hook(Hook hook) {
  const std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}
void FakeHub::set_bytes_per_second(double total) {
  total_rate_ = total;
}
std::vector<HubRequest> FakeHub::requests() const {
  const std::lock_guard lock(mutex_);
  return log_;
}
size_t FakeHub::api_requests() const {
  const auto all = requests();
  return static_cast<size_t>(std::count_if(all.begin(), all.end(), [](const auto& r) { return r.file.empty(); }));
}
size_t FakeHub::body_requests() const {
  return requests().size() - api_requests();
}
void FakeHub::forget_requests() {
  const std::lock_guard lock(mutex_);
  log_.clear();
  body_bytes_sent_ = 0;
}

void FakeHub::accept_connections() {
  for (int number = 0; !stopping_; ++number) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const std::lock_guard lock(mutex_);
    sockets_.push_back(fd);
    threads_[number] = std::thread([this, fd, number] { serve(fd, number); });
  }
}

void FakeHub::serve(int fd, int number) {
  std::string buffer;
  while (!stopping_) {
    auto request = read_request(fd, buffer);
    if (!request) break;
    request->connection = number;
    HubReply reply = answer(*request);
    Hook hook;
    {
      const std::lock_guard lock(mutex_);
      log_.push_back(*request);
      hook = hook_;
    }
    if (hook) {
      static std::mutex one_at_a_time;
      const std::lock_guard lock(one_at_a_time);
      hook(*request, reply);
    }
    if (!send_reply(fd, *request, reply)) break;
  }
  const std::lock_guard lock(mutex_);
  std::erase(sockets_, fd);
  close(fd);
}

bool FakeHub::send_reply(int fd, const HubRequest& request, const HubReply& reply) {
  std::string head = fmt::format("HTTP/1.1 {} Reason\r\n", reply.status);
  for (const auto& [name, value] : reply.headers) head += name + ": " + value + "\r\n";
  if (!reply.without_length) {
    head += fmt::format("Content-Length: {}\r\n", reply.claimed_length.value_or(reply.body.size()));
  }
  if (!send_all(fd, head + "\r\n", 0, false)) return false;
  if (request.method == "HEAD") return true;
  const size_t end = std::min(
      {reply.body.size(), reply.cut_after.value_or(reply.body.size()), reply.stall_after.value_or(reply.body.size())});
  if (!send_all(fd, std::string_view(reply.body).substr(0, end), reply.bytes_per_second, !request.file.empty())) {
    return false;
  }
  if (reply.stall_after) {
    while (!stopping_) {
      char byte;
      if (recv(fd, &byte, 1, MSG_DONTWAIT) == 0) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  return !reply.cut_after && !reply.without_length && reply.claimed_length.value_or(end) == end;
}

bool FakeHub::send_all(int fd, std::string_view bytes, double bytes_per_second, bool counts) {
  const double started = now_seconds();
  size_t sent = 0;
  while (sent < bytes.size()) {
    size_t step = bytes.size() - sent;
    const double total_rate = counts ? total_rate_.load() : 0;
    if (bytes_per_second > 0 || total_rate > 0) step = std::min<size_t>(step, 16u << 10);
    if (total_rate > 0) {
      // A bucket shared by all connections: each step books its time.
      const double cost = static_cast<double>(step) / total_rate;
      double until = rate_debt_until_.load();
      while (!rate_debt_until_.compare_exchange_weak(until, std::max(until, now_seconds()) + cost)) {
      }
      const double wait = std::max(until, now_seconds()) - now_seconds();
      if (wait > 0) std::this_thread::sleep_for(std::chrono::duration<double>(wait));
    }
    const ssize_t n = send(fd, bytes.data() + sent, step, MSG_NOSIGNAL);
    if (n <= 0 || stopping_) return false;
    sent += static_cast<size_t>(n);
    if (counts) body_bytes_sent_ += static_cast<uint64_t>(n);
    if (bytes_per_second > 0) {
      const double ahead = static_cast<double>(sent) / bytes_per_second - (now_seconds() - started);
      if (ahead > 0) std::this_thread::sleep_for(std::chrono::duration<double>(ahead));
    }
  }
  return true;
}

HubReply FakeHub::answer(HubRequest& request) {
  const std::lock_guard lock(mutex_);
  // Datasets have the same files under their own routes.
  for (const auto& [dataset, model] : {std::pair<std::string, std::string>("/api/v1/datasets/", "/api/v1/models/"),
                                       {"/api/datasets/", "/api/models/"},
                                       {"/datasets/", "/"}}) {
    if (!request.path.starts_with(dataset + "org/name")) continue;
    HubRequest plain = request;
    plain.path = model + request.path.substr(dataset.size());
    HubReply reply = plain.path.starts_with("/api/v1/") ? modelscope(plain) : huggingface(plain);
    request.file = plain.file;
    return reply;
  }
  if (request.path.starts_with("/api/v1/models/org/name")) return modelscope(request);
  return huggingface(request);
}

HubReply FakeHub::file_reply(HubRequest& request, const std::string& path) {
  const auto found = files_.find(path);
  if (found == files_.end()) return json_reply(404, {{"error", "Entry not found"}});
  request.file = path;
  const std::string& content = found->second.content;
  const uint64_t bytes = found->second.bytes;
  HubReply reply;
  reply.set("ETag", "\"" + found->second.sha256 + "\"");
  reply.set("Accept-Ranges", "bytes");
  const auto if_range = request.headers.find("if-range");
  const bool honour = if_range == request.headers.end() || if_range->second == reply.headers.front().second;
  if (!request.range || !honour) {
    reply.body = content;
    return reply;
  }
  const auto [first, last] = *request.range;
  if (first >= bytes) {
    reply.status = 416;
    reply.set("Content-Range", fmt::format("bytes */{}", bytes));
    return reply;
  }
  const uint64_t count = std::min(last, bytes - 1) - first + 1;
  reply.status = 206;
  reply.body = first < content.size() ? content.substr(first, count) : "";
  reply.body.resize(count, '\0');
  reply.set("Content-Range", fmt::format("bytes {}-{}/{}", first, first + count - 1, bytes));
  return reply;
}

HubReply FakeHub::modelscope(HubRequest& request) {
  const std::string what = request.path.substr(std::string("/api/v1/models/org/name").size());
  if (what == "/repo") return file_reply(request, request.query_value("FilePath"));
  if (what == "/commits") {
    if (commit_.empty()) return json_reply(404, {{"Code", 404}, {"Success", false}, {"Message", "no such route"}});
    return json_reply(200,
                      {{"Code", 200}, {"Success", true}, {"Data", {{"Commit", Json::array({{{"Id", commit_}}})}}}});
  }
  if (what.empty()) {
    return json_reply(200, {{"Code", 200},
                            {"Success", true},
                            {"Data", {{"License", "apache-2.0"}, {"Downloads", 7}, {"Stars", 3}, {"Visibility", 5}}}});
  }
  if (what != "/repo/files" && what != "/repo/tree")
    return json_reply(404, {{"Code", 404}, {"Success", false}, {"Message", "not found"}});
  Json files = Json::array();
  for (const auto& [path, file] : files_) {
    files.push_back({{"Path", path},
                     {"Name", path.substr(path.rfind('/') + 1)},
                     {"Type", "blob"},
                     {"Size", file.bytes},
                     {"Sha256", file.sha256},
                     {"Revision", std::string(40, 'f')}});
  }
  if (const std::string size = request.query_value("PageSize"); !size.empty()) {
    const size_t page_size = std::stoul(size), begin = (std::stoul(request.query_value("PageNumber")) - 1) * page_size;
    Json page = Json::array();
    for (size_t i = begin; i < std::min(begin + page_size, files.size()); ++i) page.push_back(files[i]);
    files = std::move(page);
  }
  return json_reply(200, {{"Code", 200}, {"Success", true}, {"Data", {{"Files", files}}}});
}

HubReply FakeHub::huggingface(HubRequest& request) {
  if (request.path.starts_with("/api/models/org/name/revision/")) {
    return json_reply(200, {{"id", "org/name"},
                            {"sha", commit_},
                            {"private", false},
                            {"gated", "manual"},
                            {"downloads", 7},
                            {"likes", 3},
                            {"tags", {"license:apache-2.0", "llama"}}});
  }
  if (request.path.starts_with("/api/models/org/name/tree/")) {
    Json entries = Json::array();
    for (const auto& [path, file] : files_) {
      const std::string& content = file.content;
      Json entry = {{"type", "file"}, {"path", path}, {"size", file.bytes}, {"oid", git_sha1_of(content)}};
      if (file.bytes > 1000) entry["lfs"] = {{"oid", file.sha256}, {"size", file.bytes}};
      entries.push_back(entry);
    }
    return json_reply(200, entries);
  }
  const std::string resolve = "/org/name/resolve/";
  if (request.path.starts_with(resolve)) {
    const size_t slash = request.path.find('/', resolve.size());
    HubReply reply = file_reply(request, request.path.substr(slash + 1));
    reply.set("X-Repo-Commit", commit_);
    return reply;
  }
  HubReply reply = json_reply(404, {{"error", "Repository not found"}});
  reply.set("X-Error-Code", "RepoNotFound");
  return reply;
}

std::string random_bytes(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(count + 8, '\0');
  for (size_t i = 0; i < count; i += 8) {
    const uint64_t value = random();
    std::memcpy(bytes.data() + i, &value, 8);
  }
  bytes.resize(count);
  return bytes;
}

std::string sha256_of(std::string_view bytes) {
  return hub::sha256_hex(bytes);
}

std::string git_sha1_of(std::string_view bytes) {
  hub::GitBlobSha1 digest(bytes.size());
  digest.update(bytes);
  return digest.finish();
}

}  // namespace mhub::test
