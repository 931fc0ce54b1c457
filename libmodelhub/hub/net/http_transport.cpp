// SPDX-License-Identifier: Apache-2.0
#include "net/http_transport.h"

#include <fmt/format.h>

#include <charconv>

#include "net/url.h"

namespace mhub::hub {
namespace {

class WholeBody final : public HttpSink {
 public:
  explicit WholeBody(size_t max_bytes) : max_bytes_(max_bytes) {}
  bool on_head(const HttpHead& head) override {
    response.head = head;
    return check_size(head.content_length().value_or(0));
  }
  bool on_body(std::span<const std::byte> bytes) override {
    if (!check_size(response.body.size() + bytes.size())) return false;
    response.body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  }
  void on_done(const HttpFailure* failure) override {
    done = true;
    if (failure && !error) {
      error = failure->error;
      retryable = failure->retryable;
    }
  }

  HttpResponse response;
  std::optional<Error> error;
  bool retryable = false;
  bool done = false;

 private:
  bool check_size(uint64_t bytes) {
    if (bytes <= max_bytes_) return true;
    error = Error{ErrorCode::kPolicy,
                  fmt::format("read {}: the answer is over {} bytes", redact_url(response.head.url), max_bytes_),
                  "this is not what a hub sends: check the endpoint", ""};
    return false;
  }
  size_t max_bytes_;
};

}  // namespace

const std::string* HttpHead::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return &value;
  }
  return nullptr;
}

std::optional<uint64_t> HttpHead::content_length() const {
  const std::string* text = header("content-length");
  if (!text) return std::nullopt;
  uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (failed != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return value;
}

FetchOutcome fetch(HttpTransport& transport, HttpRequest request, size_t max_bytes, std::stop_token stop) {
  WholeBody sink(max_bytes);
  const std::string what = redact_url(request.url);
  const HttpTransport::Id id = transport.start(std::move(request), sink);
  while (!sink.done) {
    if (stop.stop_requested()) {
      transport.cancel(id);
      return {Error{ErrorCode::kInterrupted, fmt::format("read {}: interrupted", what), "", ""}, false};
    }
    transport.poll(std::chrono::milliseconds(100));
  }
  if (sink.error) return {*sink.error, sink.retryable};
  return {std::move(sink.response), false};
}

}  // namespace mhub::hub
