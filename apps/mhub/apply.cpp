// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cli.h"
#include "download_progress.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "quantize.h"
#include "site_file.h"

namespace mhub::apps {
namespace fs = std::filesystem;
namespace {

struct ApplyCommand {
  std::string file, unit_directory;
  bool dry_run = false, prune = false, locked = false, quiet = false;
};

// Records what a download would do.
class PlanRecorder final : public hub::ProgressSink {
 public:
  void on_plan(const hub::DownloadPlan& plan) override { plan_ = plan; }
  const hub::DownloadPlan& plan() const { return plan_; }
  size_t missing() const {
    return static_cast<size_t>(
        std::count_if(plan_.files.begin(), plan_.files.end(), [](const auto& file) { return !file.present; }));
  }

 private:
  hub::DownloadPlan plan_;
};

// One run: what differs between site.yaml and this machine, told or done in order. What is done is remembered at once,
// so that an interrupted run goes on.
class Apply {
 public:
  Apply(const Cli& cli, const ApplyCommand& command, hub::Site site, hub::ModelLibrary& library, hub::SiteState state)
      : cli_(cli), command_(command), site_(std::move(site)), library_(library), state_(std::move(state)) {}

  Result<void> run();

 private:
  Result<void> apply_model(const hub::SiteModel& model);
  Result<void> apply_alias(const std::string& alias, const std::string& name, const std::string& source,
                           const std::string& commit);
  Result<void> apply_quantized(const hub::SiteModel& model, const std::string& commit, const std::string& path);
  Result<void> apply_service(const hub::SiteService& service);
  Result<void> prune();
  Result<std::optional<registry::ModelRecord>> find_row(const std::string& source, const std::string& name,
                                                        const std::string& commit);
  void change(Json what, const std::string& text);
  bool acting() const { return !command_.dry_run; }
  Result<void> remember();
  fs::path unit_path(const std::string& unit) const {
    return fs::path(command_.unit_directory) / (unit.ends_with(".service") ? unit : unit + ".service");
  }

  const Cli& cli_;
  const ApplyCommand& command_;
  const hub::Site site_;
  hub::ModelLibrary& library_;
  hub::SiteState state_;
  std::optional<hub::SiteLock> lock_;
  std::vector<std::string> wanted_models_, wanted_units_, wanted_quantized_, wanted_aliases_;
  Json changes_ = Json::array();
  bool units_changed_ = false;
};

void add_unique(std::vector<std::string>& list, const std::string& text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}
bool contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

void Apply::change(Json what, const std::string& text) {
  if (!command_.dry_run && cli_.json()) {
    Json event = what;
    event["event"] = "change";
    cli_.print_json(event);
  } else if (!cli_.json()) {
    if (command_.dry_run) cli_.print_line(text);
    if (!command_.dry_run && !command_.quiet) cli_.note(text);
  }
  changes_.push_back(std::move(what));
}

Result<void> Apply::remember() {
  return hub::write_site_state(library_.config().home, command_.file, state_);
}

Result<std::optional<registry::ModelRecord>> Apply::find_row(const std::string& source, const std::string& name,
                                                             const std::string& commit) {
  MHUB_TRY(const auto rows, library_.registry().list_models(false));
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const auto& row) {
    return row.name == name && (source.empty() || row.source == source) && (commit.empty() || row.commit == commit);
  });
  if (found == rows.end()) return std::optional<registry::ModelRecord>();
  return std::optional(*found);
}

Result<void> Apply::apply_model(const hub::SiteModel& model) {
  hub::DownloadOptions options = hub::download_options(model);
  if (command_.locked) {
    const hub::SiteLock::Entry* entry = lock_->find(model);
    if (!entry) {
      return Error{ErrorCode::kPolicy, fmt::format("apply {}: mhub.lock does not have it", printable(model.model)),
                   "run `mhub lock` and look at what changed", ""};
    }
    options.locked = std::make_shared<const hub::LockedModel>(entry->locked);
  }
  options.dry_run = true;
  PlanRecorder recorder;
  MHUB_TRY(const auto planned, library_.download(model.ref, options, recorder, cli_.stop_token()));
  std::string commit = planned.commit;
  const hub::DownloadPlan& plan = recorder.plan();
  MHUB_TRY(const auto row, find_row(plan.source, plan.name, commit));
  if (recorder.missing() > 0 || !row) {
    change({{"action", "download"},
            {"model", plan.name},
            {"source", plan.source},
            {"revision", plan.revision},
            {"commit", commit},
            {"files", recorder.missing()},
            {"bytes", plan.bytes_to_fetch}},
           fmt::format("download {}@{}: {} files, {}", plan.name, commit.substr(0, 12), recorder.missing(),
                       human_bytes(plan.bytes_to_fetch)));
    if (acting()) {
      options.dry_run = false;
      const auto progress = make_progress(cli_, command_.quiet);
      MHUB_TRY(const auto done, library_.download(model.ref, options, *progress, cli_.stop_token()));
      commit = done.commit;
    }
  }
  const std::string key = fmt::format("{}\n{}\n{}", plan.source, plan.name, commit);
  wanted_models_.push_back(key);
  if (acting() && !contains(state_.models, key)) {
    state_.models.push_back(key);
    MHUB_CHECK_OK(remember());
  }
  if (!model.alias.empty()) MHUB_CHECK_OK(apply_alias(model.alias, plan.name, plan.source, commit));
  if (model.quantize) MHUB_CHECK_OK(apply_quantized(model, commit, planned.path.string()));
  return {};
}

Result<void> Apply::apply_alias(const std::string& alias, const std::string& name, const std::string& source,
                                const std::string& commit) {
  wanted_aliases_.push_back(alias);
  MHUB_TRY(const auto row, find_row(source, name, commit));
  if (row && contains(row->aliases, alias)) return {};
  change({{"action", "alias"}, {"alias", alias}, {"model", name}, {"commit", commit}},
         fmt::format("alias {} for {}@{}", printable(alias), name, commit.substr(0, 12)));
  if (!acting()) return {};
  MHUB_CHECK_OK(library_.registry().set_alias(alias, row->id));
  add_unique(state_.aliases, alias);
  return remember();
}

Result<void> Apply::apply_quantized(const hub::SiteModel& model, const std::string& commit, const std::string& path) {
  const hub::SiteQuantize& wanted = *model.quantize;
  const std::string name = wanted.name.find('/') == std::string::npos ? "local/" + wanted.name : wanted.name;
  wanted_quantized_.push_back(name);
  const std::string settings = fmt::format("{} bits, group {}, {}{}", wanted.bits,
                                           wanted.group_size ? std::to_string(*wanted.group_size) : "auto",
                                           wanted.method, wanted.symmetric ? ", symmetric" : "");
  MHUB_TRY(const auto row, find_row("", name, ""));
  const auto made = std::find_if(state_.quantized.begin(), state_.quantized.end(),
                                 [&](const auto& known) { return known.name == name; });
  if (row && made != state_.quantized.end() && made->made_of == commit && made->settings == settings) return {};
  change(
      {{"action", "quantize"}, {"model", model.ref.repo_id}, {"name", name}, {"commit", commit}, {"bits", wanted.bits}},
      fmt::format("quantize {}@{} to {}: {}", model.ref.repo_id, commit.substr(0, 12), name, settings));
  if (!acting()) return {};
  QuantizeCommand command;
  command.model = path;
  command.name = name;
  command.group_size = wanted.group_size;
  command.options.bits = wanted.bits;
  command.options.method = wanted.method;
  command.options.symmetric = wanted.symmetric;
  MHUB_CHECK_OK(quantize_model(cli_, command));
  if (row) {
    // The variant of before, of another commit or with other settings.
    MHUB_TRY(const auto rows, library_.registry().list_models(false));
    const auto newer = std::find_if(rows.begin(), rows.end(),
                                    [&](const auto& other) { return other.name == name && other.id != row->id; });
    if (newer != rows.end()) MHUB_CHECK_OK(library_.remove(name + "@" + row->commit));
  }
  std::erase_if(state_.quantized, [&](const auto& known) { return known.name == name; });
  state_.quantized.push_back({name, commit, settings});
  return remember();
}

Result<void> Apply::apply_service(const hub::SiteService& service) {
  const fs::path path = unit_path(service.unit);
  wanted_units_.push_back(path.string());
  if (service.unit.find('/') != std::string::npos || service.unit.starts_with('.')) {
    return Error{ErrorCode::kUsage,
                 fmt::format("install the unit '{}': that is no name of a unit", printable(service.unit)),
                 "write letters, digits and '-'", ""};
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  MHUB_TRY(const std::string text, hub::service_unit(service, program, library_.config().home));
  std::ifstream in(path);
  const std::string now((std::istreambuf_iterator<char>(in)), {});
  if (in && now == text) return {};
  change({{"action", "unit"}, {"unit", service.unit}, {"path", path.string()}, {"model", service.model}},
         fmt::format("unit {} serving {} on port {}", path.string(), service.model, service.port));
  if (!acting()) return {};
  fs::create_directories(path.parent_path(), error);
  const fs::path temporary = path.string() + fmt::format(".{}", getpid());
  std::ofstream out(temporary, std::ios::binary);
  out << text;
  out.close();
  if (out) fs::rename(temporary, path, error);
  if (!out || error) {
    fs::remove(temporary, error);
    return Error{ErrorCode::kDisk, fmt::format("write the unit {}: it cannot be written", path.string()),
                 "run as a user who may, or name another place with --unit-dir", ""};
  }
  units_changed_ = true;
  add_unique(state_.units, path.string());
  return remember();
}

// Only what an earlier apply of this site installed.
Result<void> Apply::prune() {
  const hub::SiteState before = state_;
  for (const std::string& unit : before.units) {
    if (contains(wanted_units_, unit)) continue;
    change({{"action", "remove_unit"}, {"path", unit}}, fmt::format("remove unit {}", unit));
    if (!acting()) continue;
    std::error_code error;
    fs::remove(unit, error);
    std::erase(state_.units, unit);
    units_changed_ = true;
    MHUB_CHECK_OK(remember());
  }
  for (const std::string& alias : before.aliases) {
    if (contains(wanted_aliases_, alias)) continue;
    change({{"action", "remove_alias"}, {"alias", alias}}, fmt::format("remove alias {}", printable(alias)));
    if (!acting()) continue;
    MHUB_TRY(const bool removed, library_.registry().remove_alias(alias));
    (void)removed;
    std::erase(state_.aliases, alias);
    MHUB_CHECK_OK(remember());
  }
  const auto remove = [&](const std::string& source, const std::string& name,
                          const std::string& commit) -> Result<void> {
    MHUB_TRY(const auto row, find_row(source, name, commit));
    if (!row) return {};
    change({{"action", "remove"}, {"model", name}, {"commit", row->commit}},
           fmt::format("remove {}@{}", name, row->commit.substr(0, 12)));
    if (!acting()) return {};
    MHUB_CHECK_OK(library_.remove(name + "@" + row->commit));
    return {};
  };
  for (const auto& made : before.quantized) {
    if (contains(wanted_quantized_, made.name)) continue;
    MHUB_CHECK_OK(remove("", made.name, ""));
    std::erase_if(state_.quantized, [&](const auto& known) { return known.name == made.name; });
    if (acting()) MHUB_CHECK_OK(remember());
  }
  for (const std::string& key : before.models) {
    if (contains(wanted_models_, key)) continue;
    const size_t first = key.find('\n'), second = key.find('\n', first + 1);
    MHUB_CHECK_OK(remove(key.substr(0, first), key.substr(first + 1, second - first - 1), key.substr(second + 1)));
    std::erase(state_.models, key);
    if (acting()) MHUB_CHECK_OK(remember());
  }
  return {};
}

Result<void> Apply::run() {
  if (command_.locked) {
    MHUB_TRY(lock_, hub::read_lock(lock_file_of(command_.file)));
  }
  for (const auto& model : site_.models) MHUB_CHECK_OK(apply_model(model));
  for (const auto& service : site_.services) MHUB_CHECK_OK(apply_service(service));
  if (command_.prune) MHUB_CHECK_OK(prune());
  if (command_.dry_run) {
    if (cli_.json()) cli_.print_json({{"changes", changes_}});
    if (!cli_.json() && changes_.empty()) cli_.note("nothing to do");
    return {};
  }
  if (cli_.json()) {
    cli_.print_json({{"event", "summary"},
                     {"changes", changes_.size()},
                     {"models", site_.models.size()},
                     {"services", site_.services.size()}});
  } else if (!command_.quiet) {
    cli_.note(changes_.empty() ? "nothing to do" : fmt::format("{} changes made", changes_.size()));
    if (units_changed_) cli_.note("units changed: run `systemctl daemon-reload`, then enable and start them");
  }
  return {};
}

std::string default_unit_directory() {
  if (geteuid() == 0) return "/etc/systemd/system";
  const std::string config = env("XDG_CONFIG_HOME");
  return (config.empty() ? env("HOME") + "/.config" : config) + "/systemd/user";
}

Result<void> apply(const Cli& cli, ApplyCommand& command) {
  if (command.unit_directory.empty()) command.unit_directory = default_unit_directory();
  MHUB_TRY(hub::Site site, read_site_file(command.file));
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(hub::SiteState state, hub::read_site_state(library->config().home, command.file));
  return Apply(cli, command, std::move(site), *library, std::move(state)).run();
}

}  // namespace

void add_apply(Cli& cli) {
  auto command = std::make_shared<ApplyCommand>();
  CLI::App* app = cli.command("apply", "Make this machine what a site.yaml says: models, variants, aliases, services",
                              "  mhub apply site.yaml --dry-run\n"
                              "  mhub apply site.yaml --prune\n"
                              "  mhub lock site.yaml && mhub apply site.yaml --locked --json",
                              [&cli, command] { return apply(cli, *command); });
  app->add_option("SITE", command->file, "The site.yaml (docs/provisioning.md)")->required();
  app->add_flag("--dry-run", command->dry_run, "Show the difference, change nothing");
  app->add_flag("--prune", command->prune,
                "Remove what an earlier apply of this file installed and it no longer names");
  app->add_flag("--locked", command->locked, "Refuse anything but what mhub.lock beside the file records (exit 8)");
  app->add_option("--unit-dir", command->unit_directory,
                  "Where units go; default /etc/systemd/system as root, else the user's own")
      ->envname("MHUB_UNIT_DIR");
  app->add_flag("--quiet", command->quiet, "Print nothing but errors");
  cli.add_json_flag(app);
}

}  // namespace mhub::apps
