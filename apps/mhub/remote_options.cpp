// SPDX-License-Identifier: Apache-2.0
#include "remote_options.h"

#include "hub_config.h"

namespace mhub::apps {

void RemoteOptions::add_to(CLI::App* command) {
  command->add_option("--source", source, "modelscope or huggingface; default ModelScope, or what MODEL came from")
      ->check(CLI::IsMember({"modelscope", "huggingface", "ms", "hf"}));
  command->add_option("--repo-type", repo_type, "model or dataset; default model")
      ->check(CLI::IsMember({"model", "dataset"}));
  command
      ->add_option(
          "--endpoint", options.endpoints,
          "Address of the hub, or several with commas between, tried in this order; else MODELSCOPE_ENDPOINT or "
          "HF_ENDPOINT, else the public hub")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--revision", options.revision, "Branch, tag or commit; default master (ModelScope) or main");
  command->add_option(
      "--token", options.token,
      "Access token for the (first) endpoint; else MODELSCOPE_API_TOKEN or HF_TOKEN, for its hub only, else "
      "that of `mhub login`");
}

Result<hub::DownloadOptions> RemoteOptions::read() const {
  hub::DownloadOptions read = options;
  if (!source.empty()) {
    MHUB_TRY(read.source, hub::parse_source(source));
  }
  if (repo_type == "dataset") read.repo_type = hub::RepoType::kDataset;
  return read;
}

Result<OpenedRemote> open_remote(const std::string& ref, const RemoteOptions& options, std::stop_token stop) {
  MHUB_TRY(const hub::ModelRef parsed, hub::ModelRef::parse(ref));
  MHUB_TRY(const hub::DownloadOptions read, options.read());
  OpenedRemote opened;
  MHUB_TRY(opened.library, open_library());
  MHUB_TRY(opened.model, hub::RemoteModel::open(*opened.library, parsed, read, std::move(stop)));
  return opened;
}

}  // namespace mhub::apps
