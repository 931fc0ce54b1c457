// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "site_file.h"

namespace mhub::apps {
namespace {

Result<void> lock(const Cli& cli, const std::string& file) {
  MHUB_TRY(const hub::Site site, read_site_file(file));
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const hub::SiteLock lock, hub::resolve_lock(*library, site, cli.stop_token()));
  const std::filesystem::path path = lock_file_of(file);
  MHUB_CHECK_OK(hub::write_lock(lock, path));
  Json models = Json::array();
  for (const auto& entry : lock.entries) {
    uint64_t bytes = 0;
    for (const auto& locked : entry.locked.files) bytes += locked.bytes;
    models.push_back({{"name", entry.name},
                      {"source", entry.source},
                      {"commit", entry.locked.commit},
                      {"files", entry.locked.files.size()},
                      {"bytes", bytes}});
    if (!cli.json()) {
      cli.note(fmt::format("{}@{}: {} files, {}", entry.name, entry.locked.commit.substr(0, 12),
                           entry.locked.files.size(), human_bytes(bytes)));
    }
  }
  if (cli.json()) {
    cli.print_json({{"path", path.string()}, {"models", std::move(models)}});
  } else {
    cli.print_line(path.string());
  }
  return {};
}

}  // namespace

void add_lock(Cli& cli) {
  auto file = std::make_shared<std::string>();
  CLI::App* app =
      cli.command("lock", "Write mhub.lock beside a site.yaml: the commit, and every file's size and digest",
                  "  mhub lock site.yaml\n  mhub apply site.yaml --locked", [&cli, file] { return lock(cli, *file); });
  app->add_option("SITE", *file, "The site.yaml")->required();
  cli.add_json_flag(app);
}

}  // namespace mhub::apps
