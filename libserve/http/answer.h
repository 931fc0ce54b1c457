// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "answer_format.h"
#include "api_context.h"
#include "generation.h"

namespace mhub::http {

// Starts a generation and answers with it: SSE when the request asked for a stream, one document otherwise. Both go
// through the same Generation and AnswerFormat. Errors before the first byte have their own status; later ones are an
// event in the stream.
httpd::Response answer(ApiContext& context, const Generation::Plan& plan, std::unique_ptr<AnswerFormat> format,
                       const httpd::BodyWriter& peer);

}  // namespace mhub::http
