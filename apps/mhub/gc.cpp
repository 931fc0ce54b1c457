// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <iostream>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "mhub/hub/store_care.h"

namespace mhub::apps {
namespace {

struct GcCommand {
  std::string older_than, max_size;
  bool dry_run = false, yes = false;
};

// "30d", "12h", "90m", "45s", "2w" or plain seconds.
std::optional<double> parse_age(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit(end, text.data() + text.size());
  if (error != std::errc() || !(value >= 0)) return std::nullopt;
  for (const auto& [name, seconds] :
       {std::pair<std::string, double>{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 7 * 86400.0}}) {
    if (unit == name && value * seconds < 1e10) return value * seconds;
  }
  return std::nullopt;
}

Error bad_value(const std::string& option, const std::string& text, const std::string& good) {
  return {ErrorCode::kUsage, fmt::format("read {} '{}': not understood", option, printable(text)),
          fmt::format("write for example {}", good), ""};
}

Result<hub::GcOptions> options_of(const GcCommand& command) {
  hub::GcOptions options;
  options.dry_run = command.dry_run;
  if (!command.older_than.empty()) {
    options.older_than_seconds = parse_age(command.older_than);
    if (!options.older_than_seconds) return bad_value("--older-than", command.older_than, "--older-than 30d");
  }
  if (!command.max_size.empty()) {
    options.max_bytes = parse_bytes(command.max_size);
    if (!options.max_bytes) return bad_value("--max-size", command.max_size, "--max-size 200GiB");
  }
  return options;
}

Json items_json(const std::vector<hub::GcReport::Item>& items) {
  Json rows = Json::array();
  for (const auto& item : items) {
    rows.push_back({{"kind", item.kind}, {"name", item.name}, {"path", item.path.string()}, {"bytes", item.bytes}});
  }
  return rows;
}

// Whole models are somebody's work: on a terminal a plan is shown and asked about first.
Result<bool> confirmed(const Cli& cli, hub::ModelLibrary& library, hub::GcOptions options, bool yes) {
  if (yes || options.dry_run || (!options.older_than_seconds && !options.max_bytes)) return true;
  if (isatty(STDIN_FILENO) != 1 || !cli.stderr_is_terminal()) return true;
  options.dry_run = true;
  MHUB_TRY(const hub::GcReport plan, hub::collect_garbage(library, options));
  bool any = false;
  for (const auto& item : plan.removed) {
    if (item.kind != "model") continue;
    any = true;
    std::cerr << fmt::format("  {:>10}  {}\n", human_bytes(item.bytes), printable(item.name));
  }
  if (!any) return true;
  std::cerr << "mhub: remove these models? [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Result<void> gc(const Cli& cli, const GcCommand& command) {
  MHUB_TRY(const hub::GcOptions options, options_of(command));
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const bool go, confirmed(cli, *library, options, command.yes));
  if (!go) {
    cli.note("nothing removed");
    return {};
  }
  MHUB_TRY(const hub::GcReport report, hub::collect_garbage(*library, options));
  if (cli.json()) {
    cli.print_json({{"removed", items_json(report.removed)},
                    {"busy", items_json(report.busy)},
                    {"freed_bytes", report.freed_bytes()},
                    {"dry_run", options.dry_run}});
    return {};
  }
  const std::string verb = options.dry_run ? "would remove" : "removed";
  for (const auto& item : report.removed) {
    cli.print_line(fmt::format("{} {:>10}  {:<12} {}", verb, human_bytes(item.bytes), item.kind,
                               printable(item.kind == "model" ? item.name : item.path.string(), 1024)));
  }
  for (const auto& item : report.busy) {
    cli.note(fmt::format("left {}: a process works on it", printable(item.path.string(), 1024)));
  }
  cli.print_line(fmt::format("{}: {} items, {}", options.dry_run ? "would free" : "freed", report.removed.size(),
                             human_bytes(report.freed_bytes())));
  return {};
}

}  // namespace

void add_gc(Cli& cli) {
  auto options = std::make_shared<GcCommand>();
  CLI::App* command = cli.command(
      "gc", "Remove leftovers of ended downloads and files that no model names; with limits also unused models",
      "  mhub gc --dry-run\n  mhub gc --older-than 30d --max-size 200GiB --yes",
      [&cli, options] { return gc(cli, *options); });
  command->add_option("--older-than", options->older_than,
                      "Also models of the store not used for so long (30d, 12h), unless pinned");
  command->add_option("--max-size", options->max_size,
                      "Also the least recently used models until the store is this small (200GiB), unless pinned");
  command->add_flag("--dry-run", options->dry_run, "Print what would go, remove nothing");
  command->add_flag("-y,--yes", options->yes, "Do not ask, also on a terminal");
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
