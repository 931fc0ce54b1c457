// SPDX-License-Identifier: Apache-2.0
#include "metrics.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>
#include <utility>

#include "process_stats.h"

namespace mhub::http {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Buckets = prometheus::Histogram::BucketBoundaries;
using Clock = std::chrono::steady_clock;

// vLLM's boundaries with finer ones in front: its own begin above the whole range of
// a small model. histogram_quantile takes supersets.
const Buckets kFirstTokenSeconds = {.0005, .001, .0025, .005, .01, .02, .04, .06, .08, .1,  .25, .5,
                                    .75,   1,    2.5,   5,    7.5, 10,  20,  40,  80,  160, 640, 2560};
const Buckets kTokenSeconds = {.0005, .001, .002, .003, .005, .0075, .01, .025, .05, .075, .1, .15, .2,
                               .3,    .4,   .5,   .75,  1,    2.5,   5,   7.5,  10,  20,   40, 80};
const Buckets kRequestSeconds = {.005, .01, .025, .05, .1, .2, .3, .5,  .8,  1,   1.5, 2,    2.5, 5,
                                 10,   15,  20,   30,  40, 50, 60, 120, 240, 480, 960, 1920, 7680};
const Buckets kTokenCounts = {1,    2,    5,     10,    20,    50,     100,    200,    500,    1000,
                              2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000};
const Buckets kSampleCounts = {1, 2, 5, 10, 20};

double seconds(Clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

struct Metrics::State {
  using Labels = prometheus::Labels;

  State(const std::string& model, bool prefix_caching)
      : labels{{"model_name", model}, {"engine", "0"}},
        enable_prefix_caching(prefix_caching),
        success(prometheus::BuildCounter()
                    .Name("vllm:request_success_total")
                    .Help("Finished choices by finish reason")
                    .Labels(labels)
                    .Register(registry)) {
    for (const char* reason : {"stop", "length", "abort", "error"}) success.Add({{"finished_reason", reason}});
  }

  prometheus::Histogram& histogram(const char* name, const char* help, const Buckets& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Labels(labels).Register(registry).Add({}, buckets);
  }

  const Labels labels;
  const bool enable_prefix_caching;
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& success;
  prometheus::Histogram& first_token =
      histogram("vllm:time_to_first_token_seconds", "Submission to first token", kFirstTokenSeconds);
  prometheus::Histogram& inter_token =
      histogram("vllm:inter_token_latency_seconds", "Time between tokens, one sample per token", kTokenSeconds);
  prometheus::Histogram& per_token =
      histogram("vllm:request_time_per_output_token_seconds",
                "Mean time per token after the first, one sample per choice", kTokenSeconds);
  prometheus::Histogram& whole =
      histogram("vllm:e2e_request_latency_seconds", "Submission to last token", kRequestSeconds);
  prometheus::Histogram& decode = histogram("vllm:request_decode_time_seconds", "First to last token", kRequestSeconds);
  prometheus::Histogram& prompt_tokens =
      histogram("vllm:request_prompt_tokens", "Prompt tokens of a choice", kTokenCounts);
  prometheus::Histogram& generation_tokens =
      histogram("vllm:request_generation_tokens", "Generated tokens of a choice", kTokenCounts);
  prometheus::Histogram& max_tokens = histogram("vllm:request_params_max_tokens", "max_tokens in effect", kTokenCounts);
  prometheus::Histogram& samples = histogram("vllm:request_params_n", "n of a request", kSampleCounts);
};

Metrics::Metrics(const std::string& model_name, bool enable_prefix_caching)
    : state_(std::make_unique<State>(model_name, enable_prefix_caching)) {}
Metrics::~Metrics() = default;

void Metrics::count_request(int n) {
  state_->samples.Observe(n);
}

Metrics::RequestTimer Metrics::start_request(size_t prompt_tokens, int64_t max_tokens) {
  state_->prompt_tokens.Observe(static_cast<double>(prompt_tokens));
  state_->max_tokens.Observe(static_cast<double>(max_tokens));
  RequestTimer timer;
  timer.metrics_ = this;
  timer.begin_ = Clock::now();
  return timer;
}

Metrics::RequestTimer& Metrics::RequestTimer::operator=(RequestTimer&& other) noexcept {
  if (this == &other) return *this;
  if (metrics_ != nullptr) finish("abort");
  metrics_ = std::exchange(other.metrics_, nullptr);
  begin_ = other.begin_;
  first_ = other.first_;
  last_ = other.last_;
  tokens_ = other.tokens_;
  return *this;
}

Metrics::RequestTimer::~RequestTimer() {
  if (metrics_ != nullptr) finish("abort");
}

void Metrics::RequestTimer::on_tokens(size_t count) {
  if (count == 0 || metrics_ == nullptr) return;
  const auto now = Clock::now();
  if (tokens_ == 0) {
    first_ = now;
    metrics_->state_->first_token.Observe(seconds(now - begin_));
  } else {
    const double each = seconds(now - last_) / static_cast<double>(count);
    for (size_t i = 0; i < count; ++i) metrics_->state_->inter_token.Observe(each);
  }
  last_ = now;
  tokens_ += count;
}

void Metrics::RequestTimer::finish(const std::string& reason) {
  State& state = *std::exchange(metrics_, nullptr)->state_;
  state.success.Add({{"finished_reason", reason}}).Increment();
  state.whole.Observe(seconds(Clock::now() - begin_));
  state.generation_tokens.Observe(static_cast<double>(tokens_));
  if (tokens_ == 0) return;
  state.decode.Observe(seconds(last_ - first_));
  if (tokens_ > 1) state.per_token.Observe(seconds(last_ - first_) / static_cast<double>(tokens_ - 1));
}

std::string Metrics::text(const engine::EngineStats& stats, const engine::ModelInfo& info) const {
  auto families = state_->registry.Collect();
  const auto add = [&](const char* name, const char* help, MetricType type, double value,
                       const std::map<std::string, std::string>& more, bool with_model) {
    ClientMetric metric;
    if (with_model) {
      for (const auto& [key, text] : state_->labels) metric.label.push_back({key, text});
    }
    for (const auto& [key, text] : more) metric.label.push_back({key, text});
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    families.push_back({name, help, type, {metric}});
  };
  const auto gauge = [&](const char* name, const char* help, double value) {
    add(name, help, MetricType::Gauge, value, {}, true);
  };
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    add(name, help, MetricType::Counter, static_cast<double>(value), {}, true);
  };
  gauge("vllm:num_requests_running", "Sequences in the running batch", static_cast<double>(stats.running));
  gauge("vllm:num_requests_waiting", "Sequences waiting", static_cast<double>(stats.waiting));
  gauge("vllm:kv_cache_usage_perc", "Share of KV blocks held by requests (0..1)",
        stats.num_blocks > 0 ? static_cast<double>(stats.blocks_held) / static_cast<double>(stats.num_blocks) : 0);
  counter("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache",
          stats.prefix_queries_tokens);
  counter("vllm:prefix_cache_hits_total", "Prompt tokens found in the prefix cache", stats.prefix_hit_tokens);
  counter("vllm:num_preemptions_total", "Preempted sequences", stats.preemptions);
  counter("vllm:prompt_tokens_total", "Prompt tokens of the requests that were taken, cached ones too",
          stats.prompt_tokens);
  counter("vllm:generation_tokens_total", "Tokens generated", stats.generation_tokens);
  add("vllm:cache_config_info", "The KV cache", MetricType::Gauge, 1,
      {{"block_size", fmt::to_string(stats.block_size)},
       {"num_gpu_blocks", fmt::to_string(stats.num_blocks)},
       {"cache_dtype", info.kv_dtype},
       {"enable_prefix_caching", state_->enable_prefix_caching ? "True" : "False"}},
      true);
  const ProcessStats process = read_process_stats();
  const auto process_gauge = [&](const char* name, const char* help, double value) {
    add(name, help, MetricType::Gauge, value, {}, false);
  };
  process_gauge("process_resident_memory_bytes", "Resident memory of the front process", process.resident_bytes);
  process_gauge("process_virtual_memory_bytes", "Virtual memory of the front process", process.virtual_bytes);
  process_gauge("process_open_fds", "Open file descriptors", process.open_fds);
  process_gauge("process_max_fds", "Limit of open file descriptors", process.max_fds);
  process_gauge("process_start_time_seconds", "Start of the process since the epoch", process.start_time_seconds);
  add("process_cpu_seconds_total", "User and system CPU time", MetricType::Counter, process.cpu_seconds, {}, false);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace mhub::http
