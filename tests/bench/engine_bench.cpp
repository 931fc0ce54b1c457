// SPDX-License-Identifier: Apache-2.0
// Prefill and decode rates of a model through the engine in this process.
//   engine_bench MODEL [--dtype auto] [--threads 2] [--prompt 512] [--tokens 128] [--batch 1,8,16] [--runs 3]
// One JSON line per case: {"case","tokens_per_second" (median),"runs":[...]}.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "mhub/engine/engine.h"

namespace {
using Clock = std::chrono::steady_clock;
using mhub::engine::Engine;
using mhub::engine::EngineConfig;
using mhub::engine::GenerationRequest;
using mhub::engine::TokenStream;

struct Options {
  EngineConfig engine;
  int prompt = 512, tokens = 128, runs = 3;
  std::vector<int> batches = {1, 8, 16};
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

GenerationRequest random_request(std::mt19937& random, int64_t vocab, int prompt, int tokens) {
  GenerationRequest request;
  std::uniform_int_distribution<int32_t> ids(100, static_cast<int32_t>(vocab) - 1);
  for (int i = 0; i < prompt; ++i) request.prompt.push_back(ids(random));
  request.params.temperature = 0;
  request.params.max_tokens = tokens;
  return request;
}

std::unique_ptr<TokenStream> submit(Engine& engine, GenerationRequest request) {
  auto stream = engine.submit(std::move(request));
  if (!stream) {
    std::fprintf(stderr, "%s\n", stream.error().one_line().c_str());
    std::exit(1);
  }
  return *std::move(stream);
}

// Reads until the stream has given `count` tokens in all; returns how many it has given.
int read_tokens(TokenStream& stream, int have, int count) {
  while (have < count) {
    const auto delta = stream.next(std::chrono::seconds(60));
    if (!delta) break;
    have += static_cast<int>(delta->tokens.size());
    if (delta->finish) break;
  }
  return have;
}

double prefill_rate(Engine& engine, std::mt19937& random, int prompt) {
  auto request = random_request(random, engine.info().vocab_size, prompt, 1);
  const auto start = Clock::now();
  auto stream = submit(engine, std::move(request));
  read_tokens(*stream, 0, 1);
  return prompt / seconds_since(start);
}

// Tokens per second of `batch` sequences while all of them decode.
double decode_rate(Engine& engine, std::mt19937& random, int batch, int tokens) {
  std::vector<std::unique_ptr<TokenStream>> streams;
  for (int b = 0; b < batch; ++b) streams.push_back(submit(engine, random_request(random, engine.info().vocab_size, 32, tokens)));
  std::vector<int> have;
  for (auto& stream : streams) have.push_back(read_tokens(*stream, 0, 1));
  const auto start = Clock::now();
  int before = 0, after = 0;
  for (int n : have) before += n;
  for (size_t i = 0; i < streams.size(); ++i) after += read_tokens(*streams[i], have[i], tokens);
  return (after - before) / seconds_since(start);
}

void report(const std::string& name, std::vector<double> rates) {
  std::sort(rates.begin(), rates.end());
  std::string runs;
  for (double rate : rates) runs += fmt::format("{}{:.1f}", runs.empty() ? "" : ",", rate);
  std::printf("{\"engine\":\"mhub\",\"case\":\"%s\",\"tokens_per_second\":%.1f,\"runs\":[%s]}\n", name.c_str(),
              rates[rates.size() / 2], runs.c_str());
  std::fflush(stdout);
}

Options parse(int argc, char** argv) {
  Options options;
  options.engine.model = argc > 1 ? argv[1] : "";
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--dtype") options.engine.dtype = value;
    if (name == "--threads") options.engine.num_threads = std::atoi(value.c_str());
    if (name == "--prompt") options.prompt = std::atoi(value.c_str());
    if (name == "--tokens") options.tokens = std::atoi(value.c_str());
    if (name == "--runs") options.runs = std::atoi(value.c_str());
    if (name == "--load-format") options.engine.load_format = value;
    if (name == "--batch") {
      options.batches.clear();
      std::stringstream list(value);
      for (std::string item; std::getline(list, item, ',');) options.batches.push_back(std::atoi(item.c_str()));
    }
  }
  return options;
}
}  // namespace

int main(int argc, char** argv) {
  Options options = parse(argc, argv);
  options.engine.enable_prefix_caching = false;
  const auto start = Clock::now();
  auto engine = Engine::create(options.engine);
  if (!engine) {
    std::fprintf(stderr, "%s\n", engine.error().one_line().c_str());
    return 1;
  }
  std::printf("{\"engine\":\"mhub\",\"case\":\"load\",\"seconds\":%.3f,\"weights_bytes\":%llu,\"compute\":\"%s\"}\n",
              seconds_since(start), static_cast<unsigned long long>((*engine)->info().weights_bytes),
              (*engine)->info().compute.c_str());
  std::mt19937 random(1);
  std::vector<double> rates;
  prefill_rate(**engine, random, options.prompt);
  for (int r = 0; r < options.runs; ++r) rates.push_back(prefill_rate(**engine, random, options.prompt));
  report(fmt::format("prefill{}", options.prompt), rates);
  for (int batch : options.batches) {
    rates.clear();
    for (int r = 0; r < options.runs; ++r) rates.push_back(decode_rate(**engine, random, batch, options.tokens));
    report(fmt::format("decode_b{}", batch), rates);
  }
  return 0;
}
