// SPDX-License-Identifier: Apache-2.0
#include "cli.h"
#include "mhub/engine/engine.h"

namespace mhub::apps {

// Started by `mhub serve`, one per loaded model; not for people.
void add_engine_worker(Cli& cli) {
  const auto fd = std::make_shared<int>(-1);
  CLI::App* command =
      cli.command("engine-worker", "Serves one model to the server that started it", "", [&cli, fd]() -> Result<void> {
        cli.set_exit_code(engine::run_engine_worker(*fd));
        return {};
      });
  command->add_option("--fd", *fd, "The connected socket")->required();
  command->group("");  // hidden
}

}  // namespace mhub::apps
