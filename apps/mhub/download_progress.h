// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "cli.h"
#include "mhub/hub/model_library.h"

namespace mhub::apps {

// How a download shows itself: NDJSON events with --json, nothing when quiet, bars on a terminal, else a line every
// 10 s.
std::unique_ptr<hub::ProgressSink> make_progress(const Cli& cli, bool quiet);

}  // namespace mhub::apps
