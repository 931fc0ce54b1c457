// SPDX-License-Identifier: Apache-2.0
#include "quantize.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

#include "evaluation.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "mhub/formats/mapped_file.h"

namespace mhub::apps {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxEvalBytes = 64u << 20;
constexpr int64_t kDefaultContext = 1024;

// Where the model grows until it is complete: removed with everything in it unless it was moved away.
class WorkPlace {
 public:
  explicit WorkPlace(fs::path directory) : directory_(std::move(directory)) {}
  ~WorkPlace() {
    std::error_code ec;
    fs::remove_all(directory_, ec);
  }
  WorkPlace(const WorkPlace&) = delete;
  WorkPlace& operator=(const WorkPlace&) = delete;
  fs::path model() const { return directory_ / "model"; }

 private:
  fs::path directory_;
};

// Progress as events, or as a line every ten seconds.
class Reporter {
 public:
  explicit Reporter(const Cli& cli) : cli_(cli) {}
  void plan(const QuantizeCommand& command, const fs::path& source) {
    if (!cli_.json()) return;
    cli_.print_json({{"event", "plan"},
                     {"source", source.string()},
                     {"method", command.options.method},
                     {"bits", command.options.bits},
                     {"group_size", command.options.group_size},
                     {"symmetric", command.options.symmetric}});
  }
  void progress(const char* stage, int64_t done, int64_t total, const std::string& what) {
    if (cli_.json()) {
      Json event{{"event", "progress"}, {"stage", stage}, {"done", done}};
      if (total > 0) event["total"] = total;
      if (!what.empty()) event["tensor"] = what;
      cli_.print_json(event);
      return;
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - last_line_ < std::chrono::seconds(10)) return;
    last_line_ = now;
    cli_.note(total > 0 ? fmt::format("{}: {} of {}", stage, done, total) : fmt::format("{}: {} windows", stage, done));
  }
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  const Cli& cli_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_line_ = begin_;
};

// A group size that was not given: the largest that fits, or one scale per row at 8 bits.
Result<void> complete_options(QuantizeCommand& command, const fs::path& source) {
  auto& options = command.options;
  if (command.group_size) {
    options.group_size = *command.group_size;
  } else if (options.bits == 8) {
    options.group_size = 0;
  } else {
    MHUB_TRY(options.group_size, quantize::default_group_size(source));
  }
  return quantize::check_options(options);
}

struct Evaluation {
  std::string text;
  int64_t context = 0;
};

// Everything about the evaluation that can be refused, before the long part of the work.
Result<Evaluation> prepare_evaluation(const QuantizeCommand& command, const fs::path& source) {
  fs::path file = command.eval_text;
  if (file.empty()) {
    MHUB_TRY(file, default_eval_text());
  }
  Evaluation evaluation;
  MHUB_TRY(evaluation.text, formats::read_text_file(file, kMaxEvalBytes));
  MHUB_TRY(const int64_t limit, context_length(source));
  evaluation.context = command.eval_context.value_or(std::min(kDefaultContext, limit));
  if (evaluation.context < 2 || evaluation.context > limit) {
    return Error{ErrorCode::kUsage, fmt::format("--eval-context {}: out of range", evaluation.context),
                 fmt::format("give a number from 2 to the model's {}", limit), ""};
  }
  MHUB_TRY(const int64_t tokens, count_tokens(source, evaluation.text));
  if (tokens < evaluation.context) {
    return Error{ErrorCode::kUsage,
                 fmt::format("measuring on {}: its {} tokens are fewer than one window of {}",
                             printable(file.string(), 1024), tokens, evaluation.context),
                 "give a longer --eval-text or a smaller --eval-context", ""};
  }
  return evaluation;
}

// A name that register_directory will accept, checked before the work.
Result<void> check_name(const std::string& name) {
  const auto ref = hub::ModelRef::parse(name);
  if (ref && !ref->source && !ref->endpoint && !ref->revision) return {};
  return Error{ErrorCode::kUsage, fmt::format("naming the result \"{}\": not a model name", printable(name, 128)),
               "give --name NAME or --name ORG/NAME of letters, digits, '.', '_' and '-'", ""};
}

Result<quantize::QualityCard> measure(const Cli& cli, const QuantizeCommand& command, const fs::path& source,
                                      const fs::path& quantized, const Evaluation& evaluation, Reporter& reporter) {
  int64_t windows = 0;
  MHUB_TRY(const auto before, load_evaluator(source, evaluation.context, {}));
  MHUB_TRY(const auto after,
           load_evaluator(quantized, evaluation.context, [&] { reporter.progress("evaluate", ++windows, 0, ""); }));
  quantize::QualityCard card;
  MHUB_CHECK_OK(quantize::compare(*before, *after, evaluation.text, evaluation.context, card, cli.stop_token()));
  card.method = command.options.method;
  card.group_size = command.options.group_size;
  card.symmetric = command.options.symmetric;
  return card;
}

std::string registered_name(const QuantizeCommand& command, const registry::ModelRecord& source) {
  if (!command.name.empty()) return command.name;
  if (!command.output.empty()) return fs::absolute(command.output).lexically_normal().filename().string();
  std::string stem =
      source.name.empty() ? fs::path(source.path).stem().string() : source.name.substr(source.name.rfind('/') + 1);
  stem += fmt::format("-int{}", command.options.bits);
  if (command.options.group_size != 0) stem += fmt::format("-g{}", command.options.group_size);
  return stem;
}

// The directory that the user named, without a trailing slash.
fs::path output_directory(const QuantizeCommand& command) {
  fs::path path = fs::absolute(command.output).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

Result<fs::path> make_work_place(const QuantizeCommand& command, hub::ModelLibrary& library) {
  if (command.output.empty()) return library.make_staging_directory();
  const fs::path output = output_directory(command);
  std::error_code ec;
  if (fs::symlink_status(output, ec).type() != fs::file_type::not_found) {
    return Error{ErrorCode::kUsage, fmt::format("--output {}: it exists already", printable(output.string(), 1024)),
                 "choose another directory or remove it", ""};
  }
  const fs::path work = output.parent_path() / fmt::format(".{}.mhub-{}", output.filename().string(), getpid());
  fs::create_directories(work, ec);
  if (ec)
    return Error{ErrorCode::kDisk, fmt::format("creating {}: {}", printable(work.string(), 1024), ec.message()),
                 "choose another --output", ""};
  return work;
}

Result<registry::ModelRecord> publish(const Cli& cli, const QuantizeCommand& command, hub::ModelLibrary& library,
                                      const registry::ModelRecord& source, const quantize::QualityCard& card,
                                      fs::path built) {
  registry::ModelRecord record;
  record.name = registered_name(command, source);
  record.in_store = command.output.empty();
  record.card_json = dump_json(card.to_json());
  if (!record.in_store) {
    const fs::path output = output_directory(command);
    std::error_code ec;
    fs::rename(built, output, ec);
    if (ec)
      return Error{ErrorCode::kDisk, fmt::format("renaming to {}: {}", printable(output.string(), 1024), ec.message()),
                   "check that it is on the same disk and may be written", ""};
    built = output;
  }
  return library.register_directory(built, std::move(record), cli.stop_token());
}

void print_result(const Cli& cli, const registry::ModelRecord& model, const quantize::QualityCard& card,
                  double seconds) {
  if (cli.json()) {
    cli.print_json({{"event", "summary"},
                    {"name", model.name},
                    {"path", model.path},
                    {"card", card.to_json()},
                    {"seconds", seconds}});
    return;
  }
  cli.note(fmt::format("{} ({}): {} to {}, {:.3f} bits per quantized weight", model.name, model.quantization,
                       human_bytes(card.source_bytes), human_bytes(card.quantized_bytes), card.bits_per_weight));
  cli.note(fmt::format("perplexity {:.4f} to {:.4f} ({} tokens, context {}), mean KL {:.5f}, same top token {:.2f} %",
                       card.source_perplexity, card.quantized_perplexity, card.tokens, card.context, card.mean_kl,
                       100 * card.same_top));
  if (card.quantized_bytes >= card.source_bytes)
    cli.note("the copy is not smaller than its source, which was quantized already: start from the original weights");
  cli.print_line(model.path);
}

}  // namespace

Result<void> quantize_model(const Cli& cli, QuantizeCommand& command) {
  const int64_t any_valid_group = 128;
  MHUB_CHECK_OK(quantize::check_options({.bits = command.options.bits,
                                         .group_size = command.group_size.value_or(any_valid_group),
                                         .method = command.options.method}));
  MHUB_TRY(const auto library, open_library());
  MHUB_TRY(const auto source, library->find(command.model));
  MHUB_CHECK_OK(complete_options(command, source.path));
  MHUB_CHECK_OK(check_name(registered_name(command, source)));
  MHUB_TRY(const Evaluation evaluation, prepare_evaluation(command, source.path));

  Reporter reporter(cli);
  reporter.plan(command, source.path);
  MHUB_TRY(const fs::path work, make_work_place(command, *library));
  const WorkPlace place(work);
  MHUB_TRY(const auto report, quantize::write_quantized(
                                  source.path, place.model(), command.options,
                                  [&](int64_t done, int64_t total, const std::string& tensor) {
                                    reporter.progress("quantize", done, total, tensor);
                                  },
                                  cli.stop_token()));
  MHUB_TRY(auto card, measure(cli, command, source.path, place.model(), evaluation, reporter));
  card.bits_per_weight = report.bits_per_weight;
  card.source_bytes = report.source_bytes;
  card.quantized_bytes = report.quantized_bytes;
  MHUB_CHECK_OK(quantize::store_card(place.model(), card));
  MHUB_TRY(const auto model, publish(cli, command, *library, source, card, place.model()));
  print_result(cli, model, card, reporter.seconds());
  return {};
}

void add_quantize(Cli& cli) {
  auto options = std::make_shared<QuantizeCommand>();
  CLI::App* command =
      cli.command("quantize", "Write a smaller copy of a model with 4- or 8-bit weights, and measure what it costs",
                  "  mhub quantize Qwen/Qwen2.5-7B-Instruct --bits 4 --name qwen-int4\n"
                  "  mhub quantize ./model.gguf --bits 8 --output ./model-int8 --eval-text sample.txt",
                  [&cli, options] { return quantize_model(cli, *options); });
  command->add_option("MODEL", options->model, "Registered name, directory or GGUF file")->required();
  command->add_option("--bits", options->options.bits, "Bits per weight: 4 or 8")->required();
  command->add_option("--method", options->options.method, "How codes are chosen: rtn (round to nearest)")
      ->capture_default_str();
  command->add_option("--group-size", options->group_size,
                      "Columns that share a scale: 32, 64 or 128; absent: the largest that fits, per row at 8 bits");
  command->add_flag("--symmetric", options->options.symmetric,
                    "No zero points: slightly smaller and faster, less exact");
  auto* name = command->add_option("--name", options->name, "Name in the registry, NAME meaning local/NAME");
  command->add_option("--output", options->output, "Write to this new directory instead of the store (registered too)")
      ->excludes(name);
  command
      ->add_option("--eval-text", options->eval_text, "UTF-8 text to measure on; absent: the text that ships with mhub")
      ->check(CLI::ExistingFile);
  command->add_option("--eval-context", options->eval_context,
                      "Tokens per window, default 1024 or the model's own limit");
  cli.add_json_flag(command);
}

}  // namespace mhub::apps
