// SPDX-License-Identifier: Apache-2.0
#include "mhub/base/error.h"

#include <array>

namespace mhub {
namespace {
constexpr std::array kTable = {
    ErrorInfo{ErrorCode::kInternal, "internal", 1, 500, "InternalServerError"},
    ErrorInfo{ErrorCode::kUsage, "usage", 2, 400, "BadRequestError"},
    ErrorInfo{ErrorCode::kNetwork, "network", 3, 502, "InternalServerError"},
    ErrorInfo{ErrorCode::kHubNotFound, "hub_not_found", 3, 404, "NotFoundError"},
    ErrorInfo{ErrorCode::kHubDenied, "hub_denied", 3, 403, "PermissionDeniedError"},
    ErrorInfo{ErrorCode::kAddressInUse, "address_in_use", 3, 500, "InternalServerError"},
    ErrorInfo{ErrorCode::kIntegrity, "integrity", 4, 500, "InternalServerError"},
    ErrorInfo{ErrorCode::kDisk, "disk", 5, 500, "InternalServerError"},
    ErrorInfo{ErrorCode::kRegistry, "registry", 6, 500, "InternalServerError"},
    ErrorInfo{ErrorCode::kModelNotFound, "model_not_found", 6, 404, "NotFoundError"},
    ErrorInfo{ErrorCode::kBadModel, "bad_model", 7, 500, "InternalServerError"},
    ErrorInfo{ErrorCode::kPolicy, "policy", 8, 403, "PermissionDeniedError"},
    ErrorInfo{ErrorCode::kDevice, "device", 9, 500, "InternalServerError"},
    ErrorInfo{ErrorCode::kInterrupted, "interrupted", 130, 503, "ServiceUnavailableError"},
    ErrorInfo{ErrorCode::kTerminated, "terminated", 143, 503, "ServiceUnavailableError"},
    ErrorInfo{ErrorCode::kInvalidRequest, "invalid_request", 2, 400, "BadRequestError"},
    ErrorInfo{ErrorCode::kContextTooLong, "context_length_exceeded", 2, 400, "BadRequestError"},
    ErrorInfo{ErrorCode::kUnauthorized, "unauthorized", 2, 401, "AuthenticationError"},
    ErrorInfo{ErrorCode::kNotFound, "not_found", 2, 404, "Not Found"},
    ErrorInfo{ErrorCode::kMethodNotAllowed, "method_not_allowed", 2, 405, "Method Not Allowed"},
    ErrorInfo{ErrorCode::kTooLarge, "too_large", 2, 413, "RequestTooLargeError"},
    ErrorInfo{ErrorCode::kUnsupportedMediaType, "unsupported_media_type", 2, 415, "UnsupportedMediaTypeError"},
    ErrorInfo{ErrorCode::kOverloaded, "overloaded", 3, 429, "RateLimitError"},
    ErrorInfo{ErrorCode::kUnavailable, "unavailable", 3, 503, "ServiceUnavailableError"},
    ErrorInfo{ErrorCode::kNotImplemented, "not_implemented", 2, 501, "NotImplementedError"},
    ErrorInfo{ErrorCode::kMalformedRequest, "malformed_request", 2, 400, "Bad Request"},
    ErrorInfo{ErrorCode::kRequestTimeout, "request_timeout", 3, 408, "RequestTimeoutError"},
    ErrorInfo{ErrorCode::kUriTooLong, "uri_too_long", 2, 414, "UriTooLongError"},
    ErrorInfo{ErrorCode::kHeaderTooLarge, "header_too_large", 2, 431, "RequestHeaderTooLargeError"},
};
constexpr bool in_enum_order() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<size_t>(kTable[i].code) != i) return false;
  }
  return true;
}
static_assert(in_enum_order(), "kTable must follow the order of ErrorCode");
}  // namespace

const ErrorInfo& error_info(ErrorCode code) { return kTable[static_cast<size_t>(code)]; }

std::string printable(std::string_view text, size_t max_bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (char c : text) {
    if (out.size() >= max_bytes) return out + "...";
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
  return out;
}

std::string Error::one_line() const {
  std::string text = message;
  if (!hint.empty()) text += "; " + hint;
  return printable(text, 2048);
}

}  // namespace mhub
