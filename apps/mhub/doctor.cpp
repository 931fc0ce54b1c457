// SPDX-License-Identifier: Apache-2.0
#include "mhub/hub/doctor.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "cli.h"
#include "gpu_check.h"
#include "hub_config.h"
#include "table.h"

namespace mhub::apps {
namespace fs = std::filesystem;
namespace {

using State = hub::Finding::State;

struct DoctorCommand {
  bool offline = false, gpu = false;
  std::string speed;
};

std::string whole_file(const char* path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// What the kernel says: the driver's library is loaded by the CUDA back end alone.
hub::Finding examine_driver() {
  const std::string version = whole_file("/proc/driver/nvidia/version");
  if (version.empty()) {
    return {State::kWarning, "driver", "no NVIDIA driver is loaded", "without one the engine runs on the CPU",
            ErrorCode::kDevice};
  }
  int cards = 0;
  std::error_code error;
  std::string names;
  for (const auto& entry : fs::directory_iterator("/proc/driver/nvidia/gpus", error)) {
    const std::string information = whole_file((entry.path() / "information").c_str());
    const size_t at = information.find("Model:");
    const std::string line =
        at == std::string::npos ? "" : information.substr(at + 6, information.find('\n', at) - at - 6);
    names += (names.empty() ? "" : ", ") + line.substr(std::min(line.find_first_not_of(" \t"), line.size()));
    ++cards;
  }
  return {State::kGood, "driver",
          fmt::format("{} card{}{}; {}", cards, cards == 1 ? "" : "s", names.empty() ? "" : ": " + names,
                      version.substr(0, version.find('\n'))),
          "", ErrorCode::kDevice};
}

hub::Finding examine_registry(const hub::HubConfig& config) {
  const auto library = hub::ModelLibrary::open(config);
  if (!library) {
    return {State::kFailed, "registry", library.error().message, library.error().hint, library.error().code};
  }
  const auto models = (*library)->list();
  if (!models) return {State::kFailed, "registry", models.error().message, models.error().hint, models.error().code};
  return {State::kGood, "registry", fmt::format("{} models", models->size()), "", ErrorCode::kRegistry};
}

Result<void> doctor(Cli& cli, const DoctorCommand& command) {
  MHUB_TRY(const hub::HubConfig config, hub_config_from_environment());
  std::vector<hub::Finding> findings = hub::examine_disk(config.home);
  findings.push_back(examine_registry(config));
  findings.push_back(hub::examine_processor(whole_file("/proc/cpuinfo")));
  findings.push_back(examine_driver());
  if (command.gpu) {
    for (auto& finding : examine_gpu()) findings.push_back(std::move(finding));
  }
  if (!command.offline) {
    for (auto& finding : hub::examine_network(config, cli.stop_token())) findings.push_back(std::move(finding));
  }
  if (!command.speed.empty()) {
    MHUB_TRY(const hub::ModelRef ref, hub::ModelRef::parse(command.speed));
    MHUB_TRY(const auto library, hub::ModelLibrary::open(config));
    MHUB_TRY(auto measured, hub::measure_sources(*library, ref, cli.stop_token()));
    for (auto& finding : measured) findings.push_back(std::move(finding));
  }
  Json list = Json::array();
  Table table({{"CHECK"}, {"STATE"}, {"WHAT WAS SEEN"}, {"WHAT TO DO"}});
  for (const hub::Finding& finding : findings) {
    const char* state = finding.state == State::kGood      ? "good"
                        : finding.state == State::kWarning ? "warning"
                                                           : "failed";
    list.push_back({{"check", finding.name}, {"state", state}, {"detail", finding.detail}, {"hint", finding.hint}});
    table.add({finding.name, state, finding.detail, finding.hint});
    if (finding.state == State::kFailed) cli.set_exit_code(error_info(finding.code).exit_code);
  }
  if (cli.json()) {
    cli.print_json({{"checks", std::move(list)}});
  } else {
    cli.print_line(table.text(cli.stdout_is_terminal()));
  }
  return {};
}

}  // namespace

void add_doctor(Cli& cli) {
  auto command = std::make_shared<DoctorCommand>();
  CLI::App* app =
      cli.command("doctor", "Try out what mhub needs here: disk, network, clock, certificates, processor, driver",
                  "  mhub doctor\n  mhub doctor --offline --json\n  mhub doctor --speed Qwen/Qwen2.5-0.5B-Instruct\n"
                  "  mhub doctor --offline --gpu",
                  [&cli, command] { return doctor(cli, *command); });
  app->add_flag("--offline", command->offline, "Leave out what needs the network");
  app->add_flag("--gpu", command->gpu, "Load the CUDA back end and measure the card's copies and products");
  app->add_option("--speed", command->speed, "Measure with up to 16 MiB of this model how fast each of its sources is");
  cli.add_json_flag(app);
}

}  // namespace mhub::apps
