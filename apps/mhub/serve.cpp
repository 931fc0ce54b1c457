// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <charconv>
#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "cli.h"
#include "engine_options.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "mhub/engine/engine.h"
#include "mhub/http/api_server.h"
#include "mhub/hub/store_care.h"
#include "served_model.h"

namespace mhub::apps {
namespace {

namespace fs = std::filesystem;
constexpr auto kReportEvery = std::chrono::seconds(10);

struct ServeOptions {
  std::string model;
  http::HttpConfig http;
  engine::EngineConfig engine;
  std::string max_model_len = "auto", kv_cache_memory_bytes, chat_template, log_level = "info",
              generation_config = "auto", override_generation_config;
  bool no_prefix_caching = false;
  int tensor_parallel_size = 1;
};

// "8192", "8k" = 8000, "8K" = 8192, "auto" and "-1" = 0 (the largest that fits).
Result<int64_t> parse_length(const std::string& text) {
  if (text == "auto" || text == "-1") return int64_t{0};
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, ec] = std::from_chars(text.data(), end, value);
  const std::string_view suffix(rest, static_cast<size_t>(end - rest));
  int64_t scale = 1;
  if (suffix == "k") scale = 1000;
  if (suffix == "K") scale = 1024;
  if (suffix == "m") scale = 1'000'000;
  if (suffix == "M") scale = 1 << 20;
  if (ec != std::errc() || value <= 0 || value > INT32_MAX / scale || (scale == 1 && !suffix.empty())) {
    return Error{ErrorCode::kUsage, fmt::format("--max-model-len {}: not a number of tokens", printable(text)),
                 "for example 8192, 8K or auto", ""};
  }
  return value * scale;
}

Result<void> complete_options(ServeOptions& options) {
  if (options.tensor_parallel_size != 1) {
    return Error{
        ErrorCode::kDevice,
        fmt::format("--tensor-parallel-size {}: this build runs a model on one device", options.tensor_parallel_size),
        "leave it at 1", ""};
  }
  MHUB_TRY(options.engine.max_model_len, parse_length(options.max_model_len));
  if (!options.kv_cache_memory_bytes.empty()) {
    const auto bytes = parse_bytes(options.kv_cache_memory_bytes);
    if (!bytes || *bytes == 0) {
      return Error{ErrorCode::kUsage,
                   fmt::format("--kv-cache-memory-bytes {}: not a size", printable(options.kv_cache_memory_bytes)),
                   "for example 2G or 512Mi", ""};
    }
    options.engine.kv_cache_memory_bytes = *bytes;
  }
  if (!options.override_generation_config.empty()) {  // what is wrong with it is said before a model is looked for
    formats::GenerationDefaults unused;
    MHUB_CHECK_OK(override_defaults(options.override_generation_config, unused));
  }
  options.engine.enable_prefix_caching = !options.no_prefix_caching;
  for (const char* name : {"MHUB_API_KEY", "VLLM_API_KEY"}) {
    if (options.http.api_keys.empty() && !env(name).empty()) options.http.api_keys.push_back(env(name));
  }
  if (options.http.served_model_names.empty()) options.http.served_model_names.push_back(options.model);
  options.http.priorities = options.engine.scheduling_policy == "priority";
  options.http.enable_prefix_caching = options.engine.enable_prefix_caching;
  options.http.max_concurrent_requests = static_cast<int>(options.engine.max_num_seqs + options.engine.max_queue);
  spdlog::set_level(spdlog::level::from_str(options.log_level));
  return http::ApiServer::check(options.http);
}

// A model on disk, and for a registered one the lease that keeps `rm` and `gc` away.
struct FoundModel {
  formats::ModelLocation location;
  std::optional<hub::ModelLease> lease;
};

// What no name can be is a path: it is served without a look into the registry, which may lie on a read-only disk.
// For dummy weights a directory with a config.json will do.
Result<FoundModel> find_model(const std::string& model, bool dummy) {
  FoundModel here;
  std::error_code error;
  if (dummy && fs::exists(fs::path(model) / "config.json", error)) {
    here.location = {formats::ModelLocation::Kind::kSafetensorsDir, model};
    return here;
  }
  if (model.starts_with('/') || model.starts_with("./") || model.starts_with("../")) {
    MHUB_TRY(here.location, formats::locate_model(model));
    return here;
  }
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const auto found, library->find(model));
  if (found.id != 0) {
    auto lease = hub::lease_model(*library, found);
    // A home that may only be read has no place for it; nobody removes anything there either.
    if (!lease && lease.error().code != ErrorCode::kDisk) return lease.error();
    if (lease) here.lease.emplace(*std::move(lease));
  }
  MHUB_TRY(here.location, formats::locate_model(found.path));
  return here;
}

// One descriptor per client.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// The end of the server's life: a signal or a worker that cannot be kept alive.
struct Ending {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::optional<Error> gave_up;  // guarded by mutex
};

void report_throughput(const engine::EngineStats& before, const engine::EngineStats& now, double period) {
  const uint64_t prompt = now.prompt_tokens - before.prompt_tokens,
                 generated = now.generation_tokens - before.generation_tokens;
  if (prompt == 0 && generated == 0 && now.running == 0 && now.waiting == 0) return;
  const auto share = [](auto part, auto whole) {
    return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0.0;
  };
  spdlog::info(
      "engine: throughput prompt_tokens_per_s={:.1f} generated_tokens_per_s={:.1f} running={} waiting={} "
      "kv_usage={:.1f}% prefix_hits={:.1f}%",
      static_cast<double>(prompt) / period, static_cast<double>(generated) / period, now.running, now.waiting,
      share(now.blocks_held, now.num_blocks), share(now.prefix_hit_tokens, now.prefix_queries_tokens));
}

Result<void> wait_for_end(const Cli& cli, Ending& ending, const engine::Generator& generator) {
  engine::EngineStats before = generator.stats();
  auto last = std::chrono::steady_clock::now();
  std::unique_lock lock(ending.mutex);
  while (!cli.stop_token().stop_requested() && !ending.gave_up) {
    ending.changed.wait_for(lock, cli.stop_token(), kReportEvery, [&] { return ending.gave_up.has_value(); });
    lock.unlock();
    const engine::EngineStats now = generator.stats();
    const auto time = std::chrono::steady_clock::now();
    report_throughput(before, now, std::chrono::duration<double>(time - last).count());
    before = now;
    last = time;
    lock.lock();
  }
  if (ending.gave_up) return *ending.gave_up;
  return {};
}

void log_ready(const engine::ModelInfo& info) {
  const auto mib = [](uint64_t bytes) { return (bytes + (1u << 19)) >> 20; };
  spdlog::info(
      "engine: ready architecture={} device=\"{}\" compute={} kv_dtype={} max_model_len={} weights_mib={} kv_mib={} "
      "workspace_mib={} resident_mib={}",
      printable(info.architecture), info.device, info.compute, info.kv_dtype, info.max_model_len,
      mib(info.weights_bytes), mib(info.kv_bytes), mib(info.workspace_bytes), mib(info.resident_bytes));
}

Result<void> serve(const Cli& cli, ServeOptions options) {
  MHUB_CHECK_OK(complete_options(options));
  MHUB_TRY(const FoundModel found, find_model(options.model, options.engine.load_format == "dummy"));
  const formats::ModelLocation& location = found.location;
  raise_descriptor_limit();
  MHUB_TRY(TextSide text_side, load_text_side(location, options.chat_template, options.engine.load_format == "dummy"));

  options.engine.model = location.path.string();
  options.engine.backend_path = env("MHUB_BACKEND_PATH");
  if (options.generation_config == "vllm") text_side.defaults = {};
  if (!options.override_generation_config.empty()) {
    MHUB_CHECK_OK(override_defaults(options.override_generation_config, text_side.defaults));
  }
  if (text_side.tokenizer) {
    options.engine.sampled_vocab = text_side.tokenizer->vocab_size();
    read_token_texts(*text_side.tokenizer, options.engine);
  }
  Ending ending;
  auto started =
      engine::WorkerClient::start(fs::read_symlink("/proc/self/exe").string(), options.engine, cli.stop_token());
  if (cli.stop_token().stop_requested()) return {};  // as after a drain: there was nothing to answer
  MHUB_TRY(const std::shared_ptr<engine::WorkerClient> worker, std::move(started));
  worker->on_gave_up([&ending](Error error) {
    const std::lock_guard lock(ending.mutex);
    ending.gave_up = std::move(error);
    ending.changed.notify_all();
  });

  http::ServedModel model{worker,
                          text_side.tokenizer,
                          std::move(text_side.templates),
                          text_side.defaults,
                          options.model,
                          options.engine.token_texts.size() > 0};
  MHUB_TRY(const auto server, http::ApiServer::start(options.http, std::move(model)));
  log_ready(worker->info());
  for (const auto& notices : {text_side.notices, worker->info().notices}) {
    for (const auto& notice : notices) cli.note(notice);
  }
  cli.print_line(fmt::format("mhub: serving {} on {}", options.http.served_model_names.front(),
                             http_url(options.http.host, server->port())));
  const auto ended = wait_for_end(cli, ending, *worker);
  if (ended) server->drain();  // a second signal ends the process itself (cli.cpp)
  return ended;
}

void add_http_options(CLI::App& command, ServeOptions& options) {
  auto& http = options.http;
  command.add_option("--host", http.host, "Address to listen on")->capture_default_str();
  command.add_option("--port", http.port, "Port to listen on; 0 takes a free one")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  command.add_option("--api-key", http.api_keys, "Keys of which a request must bring one (MHUB_API_KEY, VLLM_API_KEY)");
  command.add_flag("--insecure", http.insecure, "Allow a --host other than loopback without an API key");
  command.add_option("--served-model-name", http.served_model_names,
                     "Names that requests use; default: MODEL as typed");
  command.add_option("--allowed-origins", http.allowed_origins, "Origins that browsers may call from")
      ->capture_default_str();
  command
      .add_option("--shutdown-timeout", http.shutdown_timeout_seconds, "Seconds that running answers get after SIGTERM")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 86400.0));
  command.add_option("--chat-template", options.chat_template,
                     "Path or text of a chat template to use instead of the model's");
  command
      .add_option("--max-logprobs", http.max_logprobs,
                  "Log-probabilities of a position that a request may ask for; -1 = the whole vocabulary")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{-1}, int64_t{INT32_MAX}));
  command
      .add_option("--generation-config", options.generation_config,
                  "Sampling defaults: auto = the model's generation_config.json, vllm = none of the model's")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "vllm"}));
  command.add_option("--override-generation-config", options.override_generation_config,
                     "JSON object of sampling defaults that go before the model's");
  command.add_option("--log-level", options.log_level, "What goes to stderr")
      ->capture_default_str()
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}));
}

void add_scheduling_options(CLI::App& command, ServeOptions& options) {
  auto& engine = options.engine;
  command
      .add_option("--max-model-len", options.max_model_len, "Tokens of prompt and answer together: 8192, 8k, 8K, auto")
      ->capture_default_str();
  command.add_option("--max-num-seqs", engine.max_num_seqs, "Sequences computed together")
      ->capture_default_str()
      ->check(CLI::Range(model::kMaxNumSeqs.smallest, model::kMaxNumSeqs.largest));
  command.add_option("--kv-cache-memory-bytes", options.kv_cache_memory_bytes,
                     "Size of the KV cache, e.g. 2G or 512Mi");
  command.add_flag("--no-enable-prefix-caching", options.no_prefix_caching, "Do not share blocks between requests");
  command
      .add_option("--scheduling-policy", engine.scheduling_policy,
                  "Who is computed first: fcfs, or priority (the field of a request; lower is earlier)")
      ->capture_default_str()
      ->check(CLI::IsMember({"fcfs", "priority"}));
  command.add_option("--max-queue", engine.max_queue, "Requests that may wait; more get 429")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  command
      .add_option("--tensor-parallel-size", options.tensor_parallel_size,
                  "Devices that share the model (1 in this build)")
      ->capture_default_str();
  command
      .add_flag("--batch-invariant", engine.batch_invariant,
                "Answers do not depend on what is computed beside them; slower, on CUDA only")
      ->envname("MHUB_BATCH_INVARIANT");
  command.add_option("--seed", engine.seed, "Seed of dummy weights")->capture_default_str();
}

}  // namespace

void add_serve(Cli& cli) {
  const auto options = std::make_shared<ServeOptions>();
  CLI::App* command = cli.command("serve", "Serve a model over the OpenAI-compatible API",
                                  "  mhub serve HuggingFaceTB/SmolLM2-135M-Instruct\n"
                                  "  mhub serve ./model.gguf --port 0 --served-model-name demo\n"
                                  "  mhub serve qwen-int4 --host 0.0.0.0 --port 18005 --api-key token-abc123",
                                  [&cli, options] { return serve(cli, *options); });
  command->add_option("MODEL", options->model, "Installed model, directory or GGUF file")->required();
  add_http_options(*command, *options);
  add_scheduling_options(*command, *options);
  auto& engine = options->engine;
  add_engine_options(*command, {engine.max_num_batched_tokens, engine.block_size, engine.gpu_memory_utilization,
                                engine.dtype, engine.device, engine.load_format, engine.num_threads});
}

}  // namespace mhub::apps
