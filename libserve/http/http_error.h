// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mhub/base/error.h"
#include "mhub/base/json.h"
#include "mhub/httpd/server.h"

namespace mhub::http {

// {"error":{"message","type","param","code"}}: the only form in which an error leaves this server. The text of
// kInternal stays here: whoever met the failure has logged it.
OrderedJson error_body(const Error& error);
httpd::Response error_response(const Error& error);
httpd::Response json_response(const OrderedJson& body);

}  // namespace mhub::http
