// SPDX-License-Identifier: Apache-2.0
#include "request_reader.h"

#include <fmt/format.h>

#include <algorithm>

namespace mhub::httpd {
namespace {
Error too_large(size_t limit) {
  return {ErrorCode::kTooLarge, fmt::format("request body is over {} bytes", limit), "send less in one request", ""};
}
}  // namespace

RequestReader::State RequestReader::fail(Error error) {
  error_ = std::move(error);
  return state_ = State::kFailed;
}

RequestReader::State RequestReader::advance() {
  if (state_ == State::kHead) return read_head();
  if (state_ == State::kBody) return read_body();
  return state_;
}

RequestReader::State RequestReader::read_head() {
  auto size = scanner_.scan(buffer_);
  if (!size) return fail(std::move(size).error());
  if (!size->has_value()) return state_;
  auto head = parse_request_head(std::string_view(buffer_).substr(0, **size), limits_);
  if (!head) return fail(std::move(head).error());
  head_ = std::move(*head);
  buffer_.erase(0, **size);
  if (head_.framing == BodyFraming::kLength && head_.content_length > max_body_bytes_)
    return fail(too_large(max_body_bytes_));
  return state_ = State::kHeadComplete;
}

RequestReader::State RequestReader::read_body() {
  switch (head_.framing) {
    case BodyFraming::kNone:
      return state_ = State::kComplete;
    case BodyFraming::kLength: {
      const size_t wanted = head_.content_length - body_.size();
      const size_t n = std::min(wanted, buffer_.size());
      body_.append(buffer_, 0, n);
      buffer_.erase(0, n);
      if (n == wanted) state_ = State::kComplete;
      return state_;
    }
    case BodyFraming::kChunked: {
      auto used = chunks_.decode(buffer_, body_, max_body_bytes_);
      if (!used) return fail(std::move(used).error());
      buffer_.erase(0, *used);
      if (chunks_.done()) state_ = State::kComplete;
      return state_;
    }
  }
  return state_;
}

Request RequestReader::head_request() const {
  Request request;
  request.method = head_.method;
  request.path = head_.target.path;
  request.raw_path = head_.target.raw_path;
  request.query = head_.target.query;
  request.headers = head_.headers;
  return request;
}

Request RequestReader::take() {
  Request request;
  request.method = std::move(head_.method);
  request.path = std::move(head_.target.path);
  request.raw_path = std::move(head_.target.raw_path);
  request.query = std::move(head_.target.query);
  request.headers = std::move(head_.headers);
  request.body = std::move(body_);
  head_ = {};
  body_ = {};
  chunks_ = {};
  scanner_ = HeadScanner(limits_);
  state_ = State::kHead;
  return request;
}

}  // namespace mhub::httpd
