// SPDX-License-Identifier: Apache-2.0
// The one place that meets cpp-httplib: it writes responses. It is handed a request head of our own making, never the
// client's bytes (docs/adr/0002-httpd.md says why).
#include "response_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <httplib.h>

#include <cerrno>
#include <ctime>

#include "request_head.h"
#include "unique_fd.h"

namespace mhub::httpd {
namespace {

// httplib reads the prepared head from here and writes the answer to the sink.
class SinkStream final : public httplib::Stream {
 public:
  SinkStream(std::string head, ByteSink& sink) : head_(std::move(head)), sink_(sink) {}
  bool is_readable() const override { return at_ < head_.size(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, size_t size) override {
    const size_t n = head_.copy(to, size, at_);
    at_ += n;
    return static_cast<ssize_t>(n);
  }
  ssize_t write(const char* bytes, size_t size) override {
    if (!head_written_) {  // httplib writes status line and fields in one call
      head_written_ = true;
      sink_.hold({bytes, size});
      return static_cast<ssize_t>(size);
    }
    return sink_.write({bytes, size}) ? static_cast<ssize_t>(size) : -1;
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }

 private:
  std::string head_;
  size_t at_ = 0;
  bool head_written_ = false;
  ByteSink& sink_;
};

class SinkBodyWriter final : public BodyWriter {
 public:
  SinkBodyWriter(httplib::DataSink& body, ByteSink& sink) : body_(body), sink_(sink) {}
  bool write(std::string_view bytes) override {
    if (bytes.empty()) return !failed_;
    failed_ = failed_ || !body_.write(bytes.data(), bytes.size());
    return !failed_;
  }
  bool peer_gone() const override { return failed_ || sink_.peer_gone(); }

 private:
  httplib::DataSink& body_;
  ByteSink& sink_;
  bool failed_ = false;
};

class ResponseServer final : public httplib::Server {
 public:
  ResponseServer() { svr_sock_ = 0; }  // INVALID_SOCKET would mean "shutting down" to httplib's body writers
  bool answer(httplib::Stream& stream, bool close) {
    bool closed = false;
    return process_request(stream, close, closed, nullptr) && !closed;
  }
};

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[64];
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[utc.tm_wday], utc.tm_mday,
                kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  return text;
}

// A header value can never end its line early.
std::string one_line(std::string value) {
  for (char& c : value) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return value;
}

bool is_content_type(const std::string& name) {
  return equals_ignoring_case(name, "Content-Type");
}

// Sets everything but the body's bytes.
void fill_head(httplib::Response& to, const Response& from, const ResponseFraming& framing) {
  to.status = from.status;
  for (const auto& [name, value] : from.headers) {
    if (from.stream && is_content_type(name)) continue;  // set together with the provider
    to.headers.emplace(one_line(name), one_line(value));
  }
  to.headers.emplace("Date", http_date());
  if (framing.http_1_0 && framing.keep_alive) to.headers.emplace("Connection", "keep-alive");
}

std::string content_type(const Response& response) {
  for (const auto& [name, value] : response.headers) {
    if (is_content_type(name)) return one_line(value);
  }
  return "application/octet-stream";
}

void set_stream(httplib::Response& to, const Response& from, const ResponseFraming& framing, ByteSink& sink) {
  const auto provider = [&from, &sink](size_t, httplib::DataSink& body) {
    SinkBodyWriter writer(body, sink);
    from.stream(writer);
    if (writer.peer_gone()) return false;
    body.done();
    return true;
  };
  if (framing.http_1_0) {
    to.set_content_provider(content_type(from), provider);
  } else {
    to.set_chunked_content_provider(content_type(from), provider);
  }
}

}  // namespace

bool write_response(const Response& response, const ResponseFraming& framing, ByteSink& sink) {
  UniqueFd file;
  if (response.file) {
    file.reset(open(response.file->path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
      Response gone;
      gone.status = errno == ENOENT ? 404 : 503;
      return write_response(gone, framing, sink);
    }
  }
  const bool keep_alive = framing.keep_alive && !(framing.http_1_0 && response.stream);
  ResponseServer server;
  server.set_keep_alive_timeout(framing.idle_timeout_seconds);
  server.set_keep_alive_max_count(kMaxRequestsPerConnection);
  server.set_pre_routing_handler([&](const httplib::Request&, httplib::Response& to) {
    fill_head(to, response, framing);
    if (response.stream) {
      set_stream(to, response, framing, sink);
    } else if (response.file) {
      to.set_header("Content-Length", std::to_string(response.file->length));  // the bytes follow by sendfile
    } else {
      to.body = response.body;
    }
    return httplib::Server::HandlerResponse::Handled;
  });
  server.set_post_routing_handler([&](const httplib::Request&, httplib::Response& to) {
    if (to.status == 204 || to.status == 304 || response.stream) to.headers.erase("Content-Length");
  });
  SinkStream stream(fmt::format("{} / HTTP/1.1\r\nHost: mhub\r\n\r\n", framing.head_only ? "HEAD" : "GET"), sink);
  const bool written = server.answer(stream, !keep_alive);
  if (!written) return false;
  if (response.file && !framing.head_only) {
    if (!sink.write_file(file.get(), response.file->offset, response.file->length)) return false;
  }
  return sink.flush() && keep_alive;
}

}  // namespace mhub::httpd
