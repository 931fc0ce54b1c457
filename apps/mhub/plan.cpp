// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "mhub/formats/mapped_file.h"
#include "mhub/hub/memory_plan.h"
#include "remote_options.h"

namespace mhub::apps {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kLargestConfig = 8u << 20;

struct PlanCommand {
  std::string model, memory, device;
  std::optional<int> bits;
  hub::MemoryAsk ask;
  RemoteOptions remote;
};

// What a plan is made of, whether it came from a hub or from this disk.
struct Subject {
  std::string name, source, revision, commit, directory;
  std::optional<std::string> config;
  std::optional<uint64_t> weights_bytes;
  size_t files = 0;
  uint64_t bytes = 0, bytes_reused = 0;
};

bool is_weights(const std::string& path) {
  return path.find('/') == std::string::npos && (path.ends_with(".safetensors") || path.ends_with(".gguf"));
}

Result<Subject> local_subject(const std::string& path) {
  Subject subject;
  subject.name = path;
  subject.source = "local";
  const fs::path config = fs::is_directory(path) ? fs::path(path) / "config.json" : fs::path(path);
  MHUB_TRY(subject.config, formats::read_text_file(config, kLargestConfig));
  if (!fs::is_directory(path)) return subject;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    if (!entry.is_regular_file(error)) continue;
    ++subject.files;
    subject.bytes += entry.file_size(error);
    if (is_weights(entry.path().filename())) {
      subject.weights_bytes = subject.weights_bytes.value_or(0) + entry.file_size(error);
    }
  }
  subject.bytes_reused = subject.bytes;
  return subject;
}

// A whole model that is registered under the name as typed: its hub need not be asked, unless a prefix, an endpoint or
// a revision says so.
Result<std::optional<Subject>> installed_subject(const PlanCommand& command) {
  const auto ref = hub::ModelRef::parse(command.model);
  const hub::DownloadOptions& asked = command.remote.options;
  const bool of_a_hub = !ref || ref->source || ref->endpoint || ref->revision || !asked.revision.empty() ||
                        !asked.endpoints.empty() || !command.remote.source.empty() || !command.remote.repo_type.empty();
  if (of_a_hub) return std::optional<Subject>();
  MHUB_TRY(const auto library, open_library());
  const auto row = library->find(command.model);
  if (!row || row->id == 0 || !row->complete) return std::optional<Subject>();
  Subject subject;
  subject.name = row->name;
  subject.source = row->source;
  subject.revision = row->revision;
  subject.commit = row->commit;
  subject.directory = library->config().home.string();
  for (const auto& file : row->files) {
    ++subject.files;
    subject.bytes += file.bytes;
    if (is_weights(file.path)) subject.weights_bytes = subject.weights_bytes.value_or(0) + file.bytes;
    if (file.path != "config.json") continue;
    MHUB_TRY(subject.config, formats::read_text_file(fs::path(row->path) / file.path, kLargestConfig));
  }
  subject.bytes_reused = subject.bytes;
  return std::optional(std::move(subject));
}

// Asks the hub for its listing and config.json, and what of it a download would take from the store.
Result<Subject> remote_subject(const Cli& cli, const PlanCommand& command) {
  MHUB_TRY(const OpenedRemote opened, open_remote(command.model, command.remote, cli.stop_token()));
  hub::RemoteModel& model = *opened.model;
  Subject subject;
  subject.name = model.name();
  subject.source = model.source();
  subject.revision = model.revision();
  subject.commit = model.commit();
  subject.directory = opened.library->config().home.string();
  MHUB_TRY(const auto rows, opened.library->registry().list_models(true));
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& known) {
    return known.name == model.name() && known.source == model.source() && known.commit == model.commit();
  });
  for (const auto& file : model.files()) {
    ++subject.files;
    subject.bytes += file.bytes;
    if (is_weights(file.path)) subject.weights_bytes = subject.weights_bytes.value_or(0) + file.bytes;
    bool here = row != rows.end() && std::any_of(row->files.begin(), row->files.end(), [&](const auto& known) {
                  return known.path == file.path && known.bytes == file.bytes &&
                         (file.sha256.empty() ? known.git_sha1 == file.git_sha1 : known.sha256 == file.sha256);
                });
    if (!here && !file.sha256.empty() && file.bytes > 0) {
      // Of another revision, model or hub: a download links it.
      MHUB_TRY(const auto known, opened.library->registry().files_with_content(file.sha256));
      here = !known.empty();
    }
    if (here) subject.bytes_reused += file.bytes;
  }
  if (model.find_file("config.json")) {
    MHUB_TRY(subject.config, model.read_file("config.json", kLargestConfig));
  }
  return subject;
}

uint64_t free_bytes(fs::path directory) {
  struct statvfs space {};
  while (statvfs(directory.c_str(), &space) != 0 && directory.has_relative_path()) directory = directory.parent_path();
  return static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
}

Json memory_json(const hub::ModelShape& shape, const hub::MemoryPlan& plan, const hub::MemoryAsk& ask) {
  Json memory = {
      {"weights", {{"bytes", plan.weights_bytes}, {"type", plan.weights}, {"as_stored", plan.weights_as_stored}}},
      {"kv",
       {{"bytes", plan.kv_bytes},
        {"bytes_per_token", plan.kv_bytes_per_token},
        {"bits", ask.kv_bits},
        {"context", plan.context},
        {"concurrency", plan.concurrency}}},
      {"workspace_bytes", plan.workspace_bytes},
      {"total_bytes", plan.total_bytes},
      {"parameters", shape.parameters()},
      {"active_parameters", shape.active_parameters},
      {"extra_parameters", shape.extra_parameters},
      {"architecture", shape.architecture}};
  if (ask.memory) {
    memory["card"] = {{"bytes", *ask.memory},
                      {"cards", ask.cards},
                      {"usable_bytes", plan.usable_bytes},
                      {"fits", plan.fits},
                      {"largest_context", plan.largest_context},
                      {"largest_concurrency", plan.largest_concurrency}};
  }
  return memory;
}

std::string billions(uint64_t parameters) {
  return fmt::format("{:.2f} B", static_cast<double>(parameters) / 1e9);
}

std::string memory_text(const hub::ModelShape& shape, const hub::MemoryPlan& plan, const hub::MemoryAsk& ask) {
  std::string text;
  const auto line = [&](const char* label, const std::string& value) {
    text += fmt::format("{:<14}{}\n", label, value);
  };
  line("architecture", printable(shape.architecture));
  line("parameters", shape.experts == 0 ? billions(shape.parameters())
                                        : fmt::format("{}, {} per token", billions(shape.parameters()),
                                                      billions(shape.active_parameters)));
  line("weights", fmt::format("{} as {}{}", human_bytes(plan.weights_bytes), plan.weights,
                              plan.weights_as_stored ? ", as stored" : ", computed"));
  line("KV cache", fmt::format("{} a token ({} bits); {} for {} x {} tokens", human_bytes(plan.kv_bytes_per_token),
                               ask.kv_bits, human_bytes(plan.kv_bytes), plan.concurrency, plan.context));
  line("workspace", human_bytes(plan.workspace_bytes));
  line("in memory", human_bytes(plan.total_bytes));
  if (!ask.memory) return text;
  line("available", fmt::format("{} of {} on {} card{}", human_bytes(plan.usable_bytes), human_bytes(*ask.memory),
                                ask.cards, ask.cards == 1 ? "" : "s"));
  line("fits", plan.fits ? "yes" : "no");
  line("at most", fmt::format("{} tokens of context for {}, or {} at once with {}", plan.largest_context,
                              plan.concurrency, plan.largest_concurrency, plan.context));
  return text;
}

Result<void> read_memory(PlanCommand& command) {
  if (!command.memory.empty() && !command.device.empty()) {
    return Error{ErrorCode::kUsage, "plan: both --memory and --device are given", "give one of them", ""};
  }
  if (!command.memory.empty()) {
    command.ask.memory = parse_bytes(command.memory);
    if (!command.ask.memory || *command.ask.memory == 0) {
      return Error{ErrorCode::kUsage, fmt::format("read --memory '{}': no size", printable(command.memory)),
                   "write it like 24GiB", ""};
    }
  }
  if (!command.device.empty()) {
    MHUB_TRY(const hub::CardMemory card, hub::card_memory(command.device));
    command.ask.memory = card.bytes;
    command.ask.cards = card.cards;
  }
  return {};
}

Result<void> plan(Cli& cli, PlanCommand& command) {
  MHUB_CHECK_OK(read_memory(command));
  command.ask.bits = command.bits;
  std::error_code error;
  const bool is_path = fs::exists(command.model, error);
  std::optional<Subject> found;
  if (!is_path) {
    MHUB_TRY(found, installed_subject(command));
  }
  if (!found) {
    MHUB_TRY(found, is_path ? local_subject(command.model) : remote_subject(cli, command));
  }
  const Subject& subject = *found;
  std::optional<hub::ModelShape> shape;
  hub::MemoryPlan memory;
  if (subject.config) {
    MHUB_TRY(shape, hub::read_model_shape(*subject.config));
    memory = hub::plan_memory(*shape, command.ask, subject.weights_bytes);
  }
  const uint64_t to_fetch = subject.bytes - subject.bytes_reused;
  const uint64_t free = subject.directory.empty() ? 0 : free_bytes(subject.directory);
  const bool enough = subject.directory.empty() || to_fetch + to_fetch / 100 <= free;
  if (cli.json()) {
    Json document = {{"name", subject.name},
                     {"source", subject.source},
                     {"revision", subject.revision},
                     {"commit", subject.commit},
                     {"files", subject.files},
                     {"bytes", subject.bytes},
                     {"bytes_reused", subject.bytes_reused},
                     {"bytes_to_fetch", to_fetch}};
    if (!subject.directory.empty()) {
      document["disk"] = {{"free_bytes", free},
                          {"free_bytes_after", free - std::min(free, to_fetch)},
                          {"enough", enough},
                          {"path", subject.directory}};
    }
    document["memory"] = shape ? memory_json(*shape, memory, command.ask) : Json();
    cli.print_json(document);
    return {};
  }
  std::string text = fmt::format("{:<14}{}\n", "model", printable(subject.name, 1000));
  if (!subject.directory.empty()) {
    text += fmt::format("{:<14}{} from {}\n", "revision", printable(subject.revision), printable(subject.source));
    text += fmt::format("{:<14}{} in {} files: {} here already, {} to fetch\n", "download", human_bytes(subject.bytes),
                        subject.files, human_bytes(subject.bytes_reused), human_bytes(to_fetch));
    text += fmt::format("{:<14}{} free, {}\n", "disk", human_bytes(free),
                        enough ? fmt::format("{} after", human_bytes(free - to_fetch)) : "not enough");
  }
  text += shape ? memory_text(*shape, memory, command.ask) : "memory        no config.json, so no arithmetic\n";
  text.pop_back();
  cli.print_line(text);
  return {};
}

}  // namespace

void add_plan(Cli& cli) {
  auto command = std::make_shared<PlanCommand>();
  CLI::App* app = cli.command("plan", "What a download would fetch, and what serving needs in memory, before either",
                              "  mhub plan Qwen/Qwen2.5-7B-Instruct --memory 24GiB --context 32768\n"
                              "  mhub plan hf:deepseek-ai/DeepSeek-R1 --device h200:8 --concurrency 32\n"
                              "  mhub plan ./config.json --bits 4 --json",
                              [&cli, command] { return plan(cli, *command); });
  app->add_option("MODEL", command->model, "A model of a hub as for download, a directory, or a config.json")
      ->required();
  app->add_option("--context", command->ask.context, "Tokens per sequence; default 8192, at most what the model can")
      ->check(CLI::Range(1, 1 << 30));
  app->add_option("--concurrency", command->ask.concurrency, "Sequences at once; default 1")
      ->check(CLI::Range(1, 1 << 20));
  app->add_option("--bits", command->bits, "Weights quantized to so many bits, in groups of 128; default as stored")
      ->check(CLI::Range(2, 16));
  app->add_option("--kv-bits", command->ask.kv_bits, "Bits of a cached key or value; default 16")
      ->check(CLI::IsMember({8, 16, 32}));
  app->add_option("--memory", command->memory, "Memory to fit into, like 24GiB");
  app->add_option("--device", command->device, "A card to fit into, like rtx4090 or h200:8");
  app->add_option("--memory-utilization", command->ask.utilization, "Share of the memory that may be used; default 0.9")
      ->check(CLI::Range(0.1, 1.0));
  command->remote.add_to(app);
  cli.add_json_flag(app);
}

}  // namespace mhub::apps
