// SPDX-License-Identifier: Apache-2.0
#include <condition_variable>
#include <mutex>

#include "cli.h"
#include "hub_config.h"

namespace mhub::apps {
namespace {

Result<void> mirror(const Cli& cli, const hub::MirrorConfig& config) {
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const auto server, hub::Mirror::start(*library, config));
  cli.print_line("mhub: mirror on " + http_url(config.host, server->port()));
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait(lock, cli.stop_token(), [] { return false; });
  return {};
}

}  // namespace

void add_mirror(Cli& cli) {
  const auto config = std::make_shared<hub::MirrorConfig>();
  CLI::App* command = cli.command("mirror", "Serve the local store over the read APIs of ModelScope and Hugging Face",
                                  "  mhub mirror --port 8090\n"
                                  "  mhub download org/name --endpoint http://127.0.0.1:8090\n"
                                  "  HF_ENDPOINT=http://127.0.0.1:8090 hf download org/name\n"
                                  "  MODELSCOPE_ENDPOINT=http://127.0.0.1:8090 modelscope download --model org/name",
                                  [&cli, config] { return mirror(cli, *config); });
  command
      ->add_option("--host", config->host,
                   "Address to listen on; whoever reaches it can read every model, there are no keys")
      ->capture_default_str();
  command->add_option("--port", config->port, "Port to listen on; 0 takes a free one")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
}

}  // namespace mhub::apps
