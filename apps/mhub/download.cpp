// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli.h"
#include "download_progress.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "mhub/hub/store_exchange.h"

namespace mhub::apps {
namespace {

struct DownloadCommand {
  std::string model, model_option, source;
  std::vector<std::string> files;
  std::string local_dir, layout = "plain";
  hub::DownloadOptions options;
  std::optional<int> max_workers, retries;
  std::optional<double> timeout, stall_timeout;
  bool quiet = false;
  std::string limit_rate, repo_type;
};

// `--model ID` stands for the positional MODEL; positionals are then all files.
Result<hub::ModelRef> model_of(DownloadCommand& command) {
  std::string model = command.model;
  if (!command.model_option.empty()) {
    if (!model.empty()) command.files.insert(command.files.begin(), model);
    model = command.model_option;
  }
  if (model.empty()) {
    return Error{ErrorCode::kUsage, "download: no MODEL given", "write `mhub download org/name`", ""};
  }
  return hub::ModelRef::parse(model);
}

Result<hub::HubConfig> configure(const DownloadCommand& command) {
  MHUB_TRY(hub::HubConfig config, hub_config_from_environment());
  config.max_workers = command.max_workers.value_or(config.max_workers);
  config.retries = command.retries.value_or(config.retries);
  config.connect_timeout_seconds = command.timeout.value_or(config.connect_timeout_seconds);
  config.stall_timeout_seconds = command.stall_timeout.value_or(config.stall_timeout_seconds);
  return config;
}

// Lists what a real run would do, while passing the rest on.
class DryRunListing final : public hub::ProgressSink {
 public:
  DryRunListing(const Cli& cli, hub::ProgressSink& next) : cli_(cli), next_(next) {}
  void on_plan(const hub::DownloadPlan& plan) override {
    next_.on_plan(plan);
    if (cli_.json()) return;
    for (const auto& file : plan.files) {
      cli_.print_line(
          fmt::format("{:>12}  {}{}", file.bytes, printable(file.path, 1024), file.present ? "  (present)" : ""));
    }
  }
  void on_retry(const std::string& path, const std::string& reason) override { next_.on_retry(path, reason); }

 private:
  const Cli& cli_;
  hub::ProgressSink& next_;
};

// Where the other clients look for their cache.
std::string cache_root(hub::CacheLayout layout) {
  if (layout == hub::CacheLayout::kModelScope) {
    return env("MODELSCOPE_CACHE").empty() ? env("HOME") + "/.cache/modelscope" : env("MODELSCOPE_CACHE");
  }
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (!env(name).empty()) return env(name);
  }
  if (!env("HF_HOME").empty()) return env("HF_HOME") + "/hub";
  const std::string cache = env("XDG_CACHE_HOME").empty() ? env("HOME") + "/.cache" : env("XDG_CACHE_HOME");
  return cache + "/huggingface/hub";
}

// The directory to print: that of the asked layout.
Result<std::string> show_in_layout(const Cli& cli, hub::ModelLibrary& library, const DownloadCommand& command,
                                   const std::filesystem::path& path) {
  if (command.layout == "plain" || command.options.dry_run) return path.string();
  const auto layout = command.layout == "hf" ? hub::CacheLayout::kHuggingFace : hub::CacheLayout::kModelScope;
  MHUB_TRY(const auto model, library.find(path.string()));
  MHUB_TRY(const auto shown, hub::expose(library, model, layout, cache_root(layout), cli.stop_token()));
  return shown.string();
}

Result<void> download(const Cli& cli, DownloadCommand& command) {
  MHUB_TRY(const hub::ModelRef ref, model_of(command));
  hub::DownloadOptions& options = command.options;
  options.files = command.files;
  if (command.repo_type == "dataset") options.repo_type = hub::RepoType::kDataset;
  options.local_dir = command.local_dir;
  if (!command.limit_rate.empty()) {
    const auto rate = parse_bytes(command.limit_rate);
    if (!rate || *rate < 1024) {
      return Error{ErrorCode::kUsage,
                   fmt::format("read --limit-rate '{}': not a rate of at least 1Ki", printable(command.limit_rate)),
                   "write bytes a second, like 20M or 500Ki", ""};
    }
    options.bytes_per_second = *rate;
  }
  if (!command.source.empty()) {
    MHUB_TRY(options.source, hub::parse_source(command.source));
  }
  MHUB_TRY(const hub::HubConfig config, configure(command));
  MHUB_TRY(const auto library, hub::ModelLibrary::open(config));
  auto progress = make_progress(cli, command.quiet);
  DryRunListing listing(cli, *progress);
  const bool list = options.dry_run && !command.quiet;
  MHUB_TRY(
      const hub::DownloadSummary summary,
      library->download(ref, options, list ? static_cast<hub::ProgressSink&>(listing) : *progress, cli.stop_token()));
  progress.reset();
  MHUB_TRY(const std::string path, show_in_layout(cli, *library, command, summary.path));
  if (cli.json()) {
    cli.print_json({{"event", "summary"},
                    {"path", path},
                    {"commit", summary.commit},
                    {"bytes_network", summary.bytes_network},
                    {"bytes_reused", summary.bytes_reused},
                    {"files", summary.files},
                    {"seconds", summary.seconds}});
    return {};
  }
  if (!command.quiet && !options.dry_run) {
    const double rate = summary.seconds > 0 ? static_cast<double>(summary.bytes_network) / summary.seconds : 0;
    cli.note(summary.bytes_network == 0 ? fmt::format("{} files, complete and verified", summary.files)
                                        : fmt::format("{} files verified, {} fetched in {:.1f} s ({}/s)", summary.files,
                                                      human_bytes(summary.bytes_network), summary.seconds,
                                                      human_bytes(static_cast<uint64_t>(rate))));
  }
  cli.print_line(path);
  return {};
}

}  // namespace

void add_download(Cli& cli) {
  auto command = std::make_shared<DownloadCommand>();
  hub::DownloadOptions& options = command->options;
  CLI::App* app = cli.command(
      "download", "Fetch a model from ModelScope, Hugging Face or a mirror: resumable, verified, registered",
      "  mhub download Qwen/Qwen2.5-7B-Instruct --local-dir /data/models/qwen\n"
      "  mhub download hf:org/name@main --include '*.safetensors' '*.json' --exclude 'onnx/'\n"
      "  mhub download org/name config.json tokenizer.json\n"
      "  mhub download http://127.0.0.1:8090/org/name\n"
      "  mhub download hf:org/data --repo-type dataset --limit-rate 20M --require-hash",
      [&cli, command] { return download(cli, *command); });
  app->add_option("MODEL", command->model, "[ms:|hf:]org/name[@revision] or http(s)://host[:port]/org/name[@revision]");
  app->add_option("FILE", command->files, "Only these files of the model (whole paths)");
  app->add_option("--model", command->model_option, "The same as MODEL");
  app->add_option("--source", command->source, "modelscope or huggingface; default ModelScope, or what MODEL came from")
      ->check(CLI::IsMember({"modelscope", "huggingface", "ms", "hf"}));
  app->add_option("--repo-type", command->repo_type, "model or dataset; default model")
      ->check(CLI::IsMember({"model", "dataset"}));
  app->add_option(
         "--endpoint", options.endpoints,
         "Address of the hub, or several with commas between, tried in this order; else MODELSCOPE_ENDPOINT or "
         "HF_ENDPOINT, else the public hub")
      ->delimiter(',')
      ->allow_extra_args(false);
  app->add_option("--revision", options.revision, "Branch, tag or commit; default master (ModelScope) or main");
  app->add_option("--include", options.include, "Only files that match one of these patterns ('*' crosses '/')")
      ->expected(1, -1);
  app->add_option("--exclude", options.exclude, "Not the files that match one of these patterns; wins over --include")
      ->expected(1, -1);
  app->add_option("--local-dir,--local_dir", command->local_dir, "Put the files there instead of the store");
  app->add_option("--layout", command->layout,
                  "Show the model also in the cache of huggingface_hub (hf) or modelscope, for their offline use")
      ->capture_default_str()
      ->check(CLI::IsMember({"hf", "modelscope", "plain"}));
  app->add_option("--token", options.token, "Access token; else MODELSCOPE_API_TOKEN or HF_TOKEN, for its hub only");
  const hub::HubConfig standard;
  app->add_option("--max-workers", command->max_workers,
                  fmt::format("Connections over all files together; default {}", standard.max_workers))
      ->envname("MHUB_MAX_WORKERS")
      ->check(CLI::Range(kMaxWorkers.smallest, kMaxWorkers.largest));
  app->add_option("--timeout", command->timeout,
                  fmt::format("Seconds to connect; default {}", standard.connect_timeout_seconds))
      ->envname("MHUB_TIMEOUT")
      ->check(CLI::Range(kPatienceSeconds.smallest, kPatienceSeconds.largest));
  app->add_option(
         "--stall-timeout", command->stall_timeout,
         fmt::format("Seconds below 1 KiB/s that end a connection; default {}", standard.stall_timeout_seconds))
      ->envname("MHUB_STALL_TIMEOUT")
      ->check(CLI::Range(kPatienceSeconds.smallest, kPatienceSeconds.largest));
  app->add_option("--retries", command->retries,
                  fmt::format("Tries again per part without progress; default {}", standard.retries))
      ->envname("MHUB_RETRIES")
      ->check(CLI::Range(kRetries.smallest, kRetries.largest));
  app->add_option("--limit-rate", command->limit_rate,
                  "Bytes a second over all connections, like 20M; default no limit")
      ->envname("MHUB_LIMIT_RATE");
  app->add_flag("--require-hash", options.require_hash, "Refuse files for which the hub gives no hash");
  app->add_flag("--dry-run", options.dry_run, "List what would be fetched, fetch nothing");
  app->add_flag("--force", options.force, "Fetch again what is already there");
  app->add_flag("--quiet", command->quiet, "Print nothing but the model's directory");
  cli.add_json_flag(app);
}

}  // namespace mhub::apps
