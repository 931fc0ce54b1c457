// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "mhub/hub/store_exchange.h"

namespace mhub::apps {
namespace {

void add_report(hub::AdoptReport& to, hub::AdoptReport part) {
  to.adopted.insert(to.adopted.end(), part.adopted.begin(), part.adopted.end());
  to.already.insert(to.already.end(), part.already.begin(), part.already.end());
  to.refused.insert(to.refused.end(), part.refused.begin(), part.refused.end());
  to.bytes += part.bytes;
  to.bytes_copied += part.bytes_copied;
}

Result<void> adopt(Cli& cli, const std::vector<std::string>& paths) {
  MHUB_TRY(const auto library, open_library());
  hub::AdoptReport report;
  for (const std::string& path : paths) {
    MHUB_TRY(hub::AdoptReport part, hub::adopt(*library, path, cli.stop_token()));
    add_report(report, std::move(part));
  }
  if (!report.refused.empty()) cli.set_exit_code(error_info(ErrorCode::kIntegrity).exit_code);
  if (cli.json()) {
    Json adopted = Json::array();
    for (const auto& model : report.adopted) {
      adopted.push_back({{"name", model.name},
                         {"source", model.source},
                         {"path", model.path},
                         {"revision", model.revision},
                         {"commit", model.commit},
                         {"bytes", model.total_bytes()},
                         {"complete", model.complete}});
    }
    cli.print_json({{"adopted", std::move(adopted)},
                    {"already", report.already},
                    {"refused", report.refused},
                    {"bytes", report.bytes},
                    {"bytes_copied", report.bytes_copied}});
    return {};
  }
  for (const auto& model : report.adopted) cli.print_line(fmt::format("{}  {}", model.name, model.path));
  for (const std::string& model : report.already) cli.note("here already: " + printable(model, 1024));
  if (!report.refused.empty()) {
    return Error{ErrorCode::kIntegrity,
                 fmt::format("adopt: {} of {} models refused, for example {}", report.refused.size(),
                             report.refused.size() + report.adopted.size() + report.already.size(),
                             printable(report.refused.front(), 1024)),
                 "fetch them with `mhub download`", ""};
  }
  cli.note(fmt::format("{} models adopted, {} ({} copied)", report.adopted.size(), human_bytes(report.bytes),
                       human_bytes(report.bytes_copied)));
  return {};
}

}  // namespace

void add_adopt(Cli& cli) {
  auto paths = std::make_shared<std::vector<std::string>>();
  CLI::App* command = cli.command(
      "adopt", "Take over the models of a Hugging Face, ModelScope or Ollama cache: verified, linked, not copied",
      "  mhub adopt ~/.cache/huggingface/hub\n  mhub adopt ~/.cache/modelscope ~/.ollama/models",
      [&cli, paths] { return adopt(cli, *paths); });
  command->add_option("PATH", *paths, "Root of a cache")->required();
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
