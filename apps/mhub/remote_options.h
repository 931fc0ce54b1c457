// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"
#include "mhub/hub/remote_model.h"

namespace mhub::apps {

// The options of every command that looks at a hub: which, where, as whom.
struct RemoteOptions {
  std::string source, repo_type;
  hub::DownloadOptions options;

  void add_to(CLI::App* command);
  Result<hub::DownloadOptions> read() const;
};

// A model of a hub and the library that knows whence it came; the library outlives the model.
struct OpenedRemote {
  std::unique_ptr<hub::ModelLibrary> library;
  std::unique_ptr<hub::RemoteModel> model;
};
Result<OpenedRemote> open_remote(const std::string& ref, const RemoteOptions& options, std::stop_token stop);

}  // namespace mhub::apps
