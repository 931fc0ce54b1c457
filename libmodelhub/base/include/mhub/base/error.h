// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace mhub {

// Every expected failure of the program. One table (error.cpp) maps a code to the process exit code, the HTTP status
// and the OpenAI error type; docs/cli.md section 1 lists the exit codes.
enum class ErrorCode {
  kInternal,        // a bug of mhub                                                     exit 1, HTTP 500
  kUsage,           // bad flag, value or command                                        exit 2, HTTP 400
  kNetwork,         // connection, DNS, TLS, timeouts, 5xx after all retries             exit 3, HTTP 502
  kHubNotFound,     // the hub has no such repository, revision or file                  exit 3, HTTP 404
  kHubDenied,       // 401 or 403 of a hub                                               exit 3, HTTP 403
  kAddressInUse,    // serve or mirror cannot bind                                       exit 3, HTTP 500
  kIntegrity,       // hash, size or content changed                                     exit 4, HTTP 500
  kDisk,            // full, quota, permission, I/O error                                exit 5, HTTP 500
  kRegistry,        // locked for too long, damaged, newer than the program              exit 6, HTTP 500
  kModelNotFound,   // not in the registry / not served                                  exit 6, HTTP 404
  kBadModel,        // malformed or unsupported model file                               exit 7, HTTP 500
  kPolicy,          // refused: unsafe names, redirects, open bind without a key          exit 8, HTTP 403
  kDevice,          // no driver, plug-in or memory                                      exit 9, HTTP 500
  kInterrupted,     // SIGINT                                                            exit 130, HTTP 503
  kTerminated,      // SIGTERM                                                           exit 143, HTTP 503
  kInvalidRequest,  // a request field out of range                                      exit 2, HTTP 400
  kContextTooLong,  // prompt leaves no room in the context                              exit 2, HTTP 400
  kUnauthorized,    // missing or wrong API key                                          exit 2, HTTP 401
  kNotFound,        // unknown route                                                     exit 2, HTTP 404
  kMethodNotAllowed,  //                                                                 exit 2, HTTP 405
  kTooLarge,        // request body over the limit                                       exit 2, HTTP 413
  kUnsupportedMediaType,  //                                                             exit 2, HTTP 415
  kOverloaded,      // queue full; Retry-After                                           exit 3, HTTP 429
  kUnavailable,     // engine worker down or draining                                    exit 3, HTTP 503
  kNotImplemented,  // known, not built                                                  exit 2, HTTP 501
  kMalformedRequest,  // a request body that is not what the route takes                 exit 2, HTTP 400
  kRequestTimeout,  // header or body came too slowly                                    exit 3, HTTP 408
  kUriTooLong,      //                                                                   exit 2, HTTP 414
  kHeaderTooLarge,  // header block or number of fields over the limit                   exit 2, HTTP 431
};

// message: what was tried and what happened; hint: what to do (may be empty); param: the request field, if any.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::string hint;
  std::string param;

  // "message; hint" on one line, control characters escaped.
  std::string one_line() const;
};

struct ErrorInfo {
  ErrorCode code;
  std::string_view name;  // stable machine name, e.g. "network"
  int exit_code;
  int http_status;
  std::string_view openai_type;  // e.g. "BadRequestError"
};
const ErrorInfo& error_info(ErrorCode code);

// Text for terminals and logs: control bytes become \xNN, longer than max_bytes is cut with "...".
std::string printable(std::string_view text, size_t max_bytes = 256);

}  // namespace mhub
