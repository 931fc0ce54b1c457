// SPDX-License-Identifier: Apache-2.0
#include <condition_variable>
#include <mutex>

#include "cli.h"
#include "hub_config.h"
#include "mhub/hub/mirror.h"

namespace mhub::apps {
namespace {

Result<void> mirror(const Cli& cli, const hub::MirrorOptions& config) {
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const auto server, hub::Mirror::start(*library, config));
  std::string url = http_url(config.host, server->port());
  if (!config.tls_key_file.empty()) url.insert(4, "s");
  cli.print_line("mhub: mirror on " + url);
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait(lock, cli.stop_token(), [] { return false; });
  return {};
}

}  // namespace

void add_mirror(Cli& cli) {
  const auto config = std::make_shared<hub::MirrorOptions>();
  CLI::App* command =
      cli.command("mirror", "Serve the local store over the read APIs of ModelScope, Hugging Face and Ollama",
                  "  mhub mirror --port 8090\n"
                  "  mhub mirror --host 0.0.0.0 --allow 10.0.0.0/8 --upstream modelscope\n"
                  "  mhub mirror --host 0.0.0.0 --tls-cert fullchain.pem --tls-key key.pem --token SECRET\n"
                  "  mhub download org/name --endpoint http://127.0.0.1:8090\n"
                  "  HF_ENDPOINT=http://127.0.0.1:8090 hf download org/name\n"
                  "  MODELSCOPE_ENDPOINT=http://127.0.0.1:8090 modelscope download --model org/name",
                  [&cli, config] { return mirror(cli, *config); });
  command->add_option(
      "--upstream", config->upstream,
      "What is not here is asked of this hub and kept: modelscope, huggingface or http(s)://host[:port]; "
      "absent: only what is here");
  command
      ->add_option("--upstream-token", config->upstream_token,
                   "Access token for the upstream; the tokens of clients never go there")
      ->envname("MHUB_UPSTREAM_TOKEN");
  command
      ->add_option("--upstream-patience", config->upstream_patience_seconds,
                   "Seconds that a client waits for a file from upstream, then 503 with Retry-After")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  command->add_option("--allow", config->allow, "Only these addresses and networks (10.0.0.0/8) may ask; absent: all");
  command->add_option("--token", config->tokens, "Only who brings one of these tokens may ask; absent: everybody")
      ->envname("MHUB_MIRROR_TOKEN");
  command->add_option("--tls-cert", config->tls_certificate_file,
                      "Speak https with this certificate (PEM, with its chain); needs --tls-key");
  command->add_option("--tls-key", config->tls_key_file, "The certificate's key (PEM, without a passphrase)");
  command->add_flag("--serve-incomplete", config->serve_incomplete,
                    "List models of which only some files are here as if they were whole");
  command
      ->add_option("--host", config->host,
                   "Address to listen on; without --allow and --token whoever reaches it can read every model")
      ->capture_default_str();
  command->add_option("--port", config->port, "Port to listen on; 0 takes a free one")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
}

}  // namespace mhub::apps
