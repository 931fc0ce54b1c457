// SPDX-License-Identifier: Apache-2.0
#include "http_stream.h"

#include <algorithm>
#include <charconv>

namespace mhub::apps {
namespace {

constexpr size_t kMaxHead = 64u << 10, kMaxSizeLine = 256;
constexpr uint64_t kMaxChunk = uint64_t{1} << 30;
constexpr size_t kMaxLine = 16u << 20;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

bool parse_number(std::string_view text, int base, uint64_t limit, uint64_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value, base);
  return error == std::errc() && end != text.data() && *value <= limit;
}

}  // namespace

bool HttpStream::read_head(std::string_view head) {
  uint64_t status = 0;
  if (!head.starts_with("HTTP/1.1 ") || head.size() < 12 || !parse_number(head.substr(9, 3), 10, 999, &status))
    return false;
  status_ = static_cast<int>(status);
  const std::string fields = lower(head);
  if (fields.find("\r\ntransfer-encoding: chunked") != std::string::npos) {
    state_ = State::kChunkSize;
    return true;
  }
  constexpr std::string_view kLength = "\r\ncontent-length: ";
  const size_t at = fields.find(kLength);
  if (at == std::string::npos ||
      !parse_number(std::string_view(fields).substr(at + kLength.size()), 10, kMaxChunk, &left_))
    return false;
  state_ = left_ > 0 ? State::kBody : State::kDone;
  return true;
}

bool HttpStream::step() {
  const auto bad = [this] {
    state_ = State::kBad;
    return false;
  };
  switch (state_) {
    case State::kHead: {
      const size_t end = pending_.find("\r\n\r\n");
      if (std::min(end, pending_.size()) > kMaxHead + (end == std::string::npos ? 4 : 0)) return bad();
      if (end == std::string::npos) return false;
      if (!read_head(std::string_view(pending_).substr(0, end))) return bad();
      pending_.erase(0, end + 4);
      return true;
    }
    case State::kChunkSize: {
      const size_t end = pending_.find("\r\n");
      if (std::min(end, pending_.size()) > kMaxSizeLine + (end == std::string::npos ? 2 : 0)) return bad();
      if (end == std::string::npos) return false;
      if (!parse_number(std::string_view(pending_).substr(0, end), 16, kMaxChunk, &left_)) return bad();
      pending_.erase(0, end + 2);
      state_ = left_ > 0 ? State::kChunk : State::kTrailer;
      return true;
    }
    case State::kChunk:
    case State::kBody: {
      if (pending_.empty()) return false;
      if (body_.size() > kMaxLine) return bad();
      const auto taken = static_cast<size_t>(std::min<uint64_t>(left_, pending_.size()));
      body_.append(pending_, 0, taken);
      pending_.erase(0, taken);
      left_ -= taken;
      if (left_ == 0) state_ = state_ == State::kChunk ? State::kChunkEnd : State::kDone;
      return true;
    }
    case State::kChunkEnd:
    case State::kTrailer: {
      if (pending_.size() < 2) return false;
      if (!pending_.starts_with("\r\n")) return bad();
      pending_.erase(0, 2);
      state_ = state_ == State::kChunkEnd ? State::kChunkSize : State::kDone;
      return true;
    }
    case State::kDone:
    case State::kBad:
      break;
  }
  return false;
}

}  // namespace mhub::apps
