// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "cli.h"
#include "engine_options.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "mhub/formats/model_config.h"
#include "mhub/model/backend_choice.h"
#include "served_bench.h"
#include "step_bench.h"
#include "table.h"

namespace mhub::apps {
namespace fs = std::filesystem;
namespace {

struct BenchOptions {
  std::string model, device = "auto", dtype = "auto", load_format = "auto";
  std::vector<int64_t> batches = {1, 8, 32, 64, 128, 256}, prefills = {1024, 4096};
  int64_t prompt_tokens = 1024, steps = 64, max_num_batched_tokens = 8192;
  int64_t block_size = model::kBlockSize.standard;
  double gpu_memory_utilization = model::kGpuMemoryUtilization.standard;
  int num_threads = 0;
  ServedLoad served;
};

// A path, or an installed model by name. For dummy weights a directory with a config.json will do.
Result<fs::path> find_model(const BenchOptions& options) {
  std::error_code error;
  if (!fs::exists(options.model, error)) {
    MHUB_TRY(const auto library, open_library());
    MHUB_TRY(const auto found, library->find(options.model));
    return fs::path(found.path);
  }
  if (options.load_format == "dummy" && fs::exists(fs::path(options.model) / "config.json", error))
    return fs::path(options.model);
  MHUB_TRY(const auto location, formats::locate_model(options.model));
  return location.path;
}

Result<std::unique_ptr<model::LoadedModel>> load(const BenchOptions& options, double* bytes_per_second) {
  MHUB_TRY(const fs::path path, find_model(options));
  kernels::BackendOptions backend_options;
  MHUB_TRY(backend_options.compute, model::compute_for_dtype(options.dtype));
  backend_options.half_dtype = model::half_dtype(options.dtype);
  backend_options.num_threads = options.num_threads;
  MHUB_TRY(auto backend, model::make_backend(options.device, backend_options, env("MHUB_BACKEND_PATH")));
  *bytes_per_second = measure_copy_bandwidth(*backend);
  model::RunnerOptions runner;
  runner.model = path;
  runner.dtype = options.dtype;
  runner.load_format = options.load_format == "dummy" ? model::LoadFormat::kDummy : model::LoadFormat::kAuto;
  runner.block_size = options.block_size;
  runner.max_num_seqs = *std::max_element(options.batches.begin(), options.batches.end());
  const int64_t longest =
      options.prefills.empty() ? 0 : *std::max_element(options.prefills.begin(), options.prefills.end());
  runner.max_model_len = std::max(options.prompt_tokens + options.steps + StepBench::kWarmup, longest + 1);
  runner.max_num_batched_tokens = options.max_num_batched_tokens;
  runner.gpu_memory_utilization = options.gpu_memory_utilization;
  return model::LoadedModel::load(std::move(backend), runner);
}

std::string milliseconds(double seconds) {
  return fmt::format("{:.3f}", seconds * 1e3);
}

Json percentiles_json(const Percentiles& percentiles) {
  return {{"p50", percentiles.p50}, {"p90", percentiles.p90}, {"p99", percentiles.p99}};
}

// MODEL is the address of a running server.
Result<void> bench_served(const Cli& cli, const BenchOptions& options) {
  ServedLoad load = options.served;
  load.url = options.model;
  load.prompt_tokens = options.prompt_tokens;
  MHUB_TRY(const ServedTimes times, measure_served(load, cli.stop_token()));
  const double rate = static_cast<double>(times.output_tokens) / times.seconds;
  if (cli.json()) {
    cli.print_json({{"event", "summary"},
                    {"url", load.url},
                    {"model", times.model},
                    {"requests", load.requests},
                    {"concurrency", load.concurrency},
                    {"prompt_tokens", load.prompt_tokens},
                    {"seconds", times.seconds},
                    {"output_tokens", times.output_tokens},
                    {"failed", times.failed},
                    {"output_tokens_per_second", rate},
                    {"first_token_seconds", percentiles_json(times.first_token)},
                    {"between_tokens_seconds", percentiles_json(times.between_tokens)}});
    return {};
  }
  Table table({{"", false}, {"P50 MS", true}, {"P90 MS", true}, {"P99 MS", true}});
  const auto row = [&](const char* name, const Percentiles& p) {
    table.add({name, milliseconds(p.p50), milliseconds(p.p90), milliseconds(p.p99)});
  };
  row("first token", times.first_token);
  row("between tokens", times.between_tokens);
  cli.print_line(fmt::format("{} at {}: {} requests, {} at a time: {:.2f} s, {:.0f} output tokens/s, {} failed\n{}",
                             times.model, load.url, load.requests, load.concurrency, times.seconds, rate, times.failed,
                             table.text(cli.stdout_is_terminal())));
  return {};
}

// The plan that was made before loading, beside what the driver says afterwards.
void print_memory(const Cli& cli, const model::MemoryPlan& plan) {
  if (plan.device_bytes == 0) return;
  const uint64_t planned = plan.weights_bytes + plan.kv_bytes + plan.workspace_bytes + plan.rope_bytes;
  const double off = static_cast<double>(plan.device_bytes) / static_cast<double>(planned) - 1;
  cli.print_line(fmt::format(
      "memory: {} planned (weights {}, KV cache {}, workspace {}), {} taken as the driver says: {:+.2f} %\n",
      human_bytes(planned), human_bytes(plan.weights_bytes), human_bytes(plan.kv_bytes),
      human_bytes(plan.workspace_bytes), human_bytes(plan.device_bytes), 100 * off));
}

Result<void> bench(const Cli& cli, const BenchOptions& options) {
  if (options.model.starts_with("http://")) return bench_served(cli, options);
  if (options.batches.empty()) return Error{ErrorCode::kUsage, "--batch names no batch", "give at least one", "batch"};
  double bandwidth = 0;
  const auto started = std::chrono::steady_clock::now();
  MHUB_TRY(const auto model, load(options, &bandwidth));
  const double load_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  StepBench bench(*model, options.prompt_tokens);
  Json result{{"event", "summary"},
              {"model", options.model},
              {"device", model->plan().device},
              {"compute", model->plan().compute},
              {"load_seconds", load_seconds},
              {"weights_bytes", model->plan().weights_bytes},
              {"kv_bytes", model->plan().kv_bytes},
              {"workspace_bytes", model->plan().workspace_bytes},
              {"device_bytes", model->plan().device_bytes},
              {"copy_bytes_per_second", bandwidth},
              {"prompt_tokens", options.prompt_tokens},
              {"decode", Json::array()},
              {"prefill", Json::array()}};
  // Each measurement is an event of its own, and a row of the summary.
  const auto add = [&](const char* kind, const Json& row) {
    result[kind].push_back(row);
    if (!cli.json()) return;
    Json event{{"event", kind}};
    event.update(row);
    cli.print_json(event);
  };
  Table decode({{"BATCH", true},
                {"MEDIAN MS", true},
                {"P99 MS", true},
                {"TOKENS/S", true},
                {"FLOOR MS", true},
                {"OF FLOOR", true}});
  for (const int64_t batch : options.batches) {
    if (cli.stop_token().stop_requested()) return Error{ErrorCode::kInterrupted, "interrupted", "", ""};
    MHUB_TRY(const StepTimes times, bench.decode(batch, options.steps));
    const double floor = bandwidth > 0 ? static_cast<double>(times.bytes_read) / bandwidth : 0;
    add("decode", {{"batch", batch},
                   {"median_seconds", times.median},
                   {"p99_seconds", times.p99},
                   {"bytes_read", times.bytes_read},
                   {"floor_seconds", floor}});
    decode.add({std::to_string(batch), milliseconds(times.median), milliseconds(times.p99),
                fmt::format("{:.0f}", static_cast<double>(batch) / times.median), milliseconds(floor),
                fmt::format("{:.2f}", times.median / floor)});
  }
  Table prefill({{"TOKENS", true}, {"MEDIAN MS", true}, {"TOKENS/S", true}});
  for (const int64_t tokens : options.prefills) {
    if (cli.stop_token().stop_requested()) return Error{ErrorCode::kInterrupted, "interrupted", "", ""};
    if (tokens == 0) continue;
    MHUB_TRY(const double seconds, bench.prefill(tokens, options.max_num_batched_tokens));
    add("prefill", {{"tokens", tokens}, {"median_seconds", seconds}});
    prefill.add(
        {std::to_string(tokens), milliseconds(seconds), fmt::format("{:.0f}", static_cast<double>(tokens) / seconds)});
  }
  if (cli.json()) {
    cli.print_json(result);
    return {};
  }
  cli.print_line(fmt::format("{} on {}, {}; loaded in {:.2f} s; copies move {}/s\n", options.model,
                             model->plan().device, model->plan().compute, load_seconds,
                             human_bytes(static_cast<uint64_t>(bandwidth))));
  print_memory(cli, model->plan());
  cli.print_line(
      fmt::format("decode, {} tokens of context\n{}", options.prompt_tokens, decode.text(cli.stdout_is_terminal())));
  if (!options.prefills.empty())
    cli.print_line(fmt::format("\nprefill of one sequence\n{}", prefill.text(cli.stdout_is_terminal())));
  return {};
}

}  // namespace

void add_bench(Cli& cli) {
  const auto options = std::make_shared<BenchOptions>();
  CLI::App* command = cli.command(
      "bench", "Measure a model's steps on this machine (decode by batch, prefill by length), or a running server",
      "  mhub bench HuggingFaceTB/SmolLM2-135M-Instruct\n"
      "  mhub bench ./llama-8b --load-format dummy --device cuda --batch 1,32,256 --prefill 1024,4096 --json\n"
      "  mhub bench http://127.0.0.1:8000 --requests 512 --concurrency 256 --prompt-tokens 512 --output-tokens 256",
      [&cli, options] { return bench(cli, *options); });
  command
      ->add_option("MODEL", options->model, "Installed model, directory or GGUF file; or http://HOST:PORT of a server")
      ->required();
  command->add_option("--batch", options->batches, "Sequences that decode together")
      ->delimiter(',')
      ->check(CLI::Range(model::kMaxNumSeqs.smallest, model::kMaxNumSeqs.largest))
      ->capture_default_str();
  command->add_option("--prefill", options->prefills, "Prompt lengths to time; 0 = none")
      ->delimiter(',')
      ->check(CLI::Range(0, 1 << 24))
      ->capture_default_str();
  command
      ->add_option("--prompt-tokens", options->prompt_tokens, "Context of each decoding sequence, prompt of a request")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  command->add_option("--steps", options->steps, "Steps timed per batch")
      ->check(CLI::Range(4, 100000))
      ->capture_default_str();
  add_engine_options(*command, {options->max_num_batched_tokens, options->block_size, options->gpu_memory_utilization,
                                options->dtype, options->device, options->load_format, options->num_threads});
  ServedLoad& served = options->served;
  command->add_option("--requests", served.requests, "Server: streamed completions to ask for")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--concurrency", served.concurrency, "Server: requests at a time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--output-tokens", served.output_tokens, "Server: tokens generated per request")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--vocab", served.vocab, "Server: prompts are of random token ids below this")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  command->add_option("--seed", served.seed, "Server: of the prompts; a new one finds nothing in the prefix cache");
  command->add_option("--api-key", served.api_key, "Server: key to send");
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
