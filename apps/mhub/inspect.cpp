// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "cli.h"
#include "hub_config.h"
#include "mhub/base/bytes.h"
#include "remote_options.h"
#include "table.h"

namespace mhub::apps {
namespace {

struct InspectCommand {
  std::string model, file;
  bool summary = false;
  RemoteOptions remote;
};

// What lies here is read here: a registered model or a path.
Result<std::optional<hub::TensorListing>> local_listing(const InspectCommand& command) {
  std::optional<hub::TensorListing> none;
  if (!command.file.empty()) return none;
  MHUB_TRY(const auto library, open_library());
  const auto found = library->find(command.model);
  if (!found) {
    const bool may_be_on_a_hub = found.error().code == ErrorCode::kModelNotFound && hub::ModelRef::parse(command.model);
    if (may_be_on_a_hub) return none;
    return found.error();
  }
  MHUB_TRY(hub::TensorListing listing, hub::list_local_tensors(found->path));
  return std::optional(std::move(listing));
}

Json listing_json(const InspectCommand& command, const hub::TensorListing& listing) {
  Json tensors = Json::array();
  for (const auto& tensor : listing.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"dtype", tensor.dtype},
                       {"shape", tensor.shape},
                       {"bytes", tensor.bytes},
                       {"file", tensor.file}});
  }
  Json metadata = Json::object();
  for (const auto& [key, value] : listing.metadata) metadata[key] = value;
  return {{"model", command.model},          {"format", listing.format},         {"files", listing.files},
          {"bytes", listing.bytes_total},    {"bytes_read", listing.bytes_read}, {"parameters", listing.parameters()},
          {"metadata", std::move(metadata)}, {"tensors", std::move(tensors)}};
}

std::string listing_text(const InspectCommand& command, const hub::TensorListing& listing, bool colour) {
  std::map<std::string, std::pair<size_t, uint64_t>> by_dtype;
  for (const auto& tensor : listing.tensors) {
    ++by_dtype[tensor.dtype].first;
    by_dtype[tensor.dtype].second += tensor.bytes;
  }
  std::string text =
      fmt::format("{}: {}, {} tensors, {} parameters, {} in {} files", printable(command.model), listing.format,
                  listing.tensors.size(), listing.parameters(), human_bytes(listing.bytes_total), listing.files);
  if (listing.bytes_read > 0) text += fmt::format("; {} read", human_bytes(listing.bytes_read));
  text += "\n";
  if (command.summary) {
    for (const auto& [key, value] : listing.metadata)
      text += fmt::format("{}: {}\n", printable(key), printable(value, 200));
    Table table({{"DTYPE"}, {"TENSORS", true}, {"SIZE", true}});
    for (const auto& [dtype, sum] : by_dtype) table.add({dtype, std::to_string(sum.first), human_bytes(sum.second)});
    return text + table.text(colour);
  }
  Table table({{"TENSOR"}, {"DTYPE"}, {"SHAPE"}, {"SIZE", true}, {"FILE"}});
  for (const auto& tensor : listing.tensors) {
    table.add({tensor.name, tensor.dtype, fmt::format("[{}]", fmt::join(tensor.shape, ", ")), human_bytes(tensor.bytes),
               tensor.file});
  }
  return text + table.text(colour);
}

Result<void> inspect(const Cli& cli, const InspectCommand& command) {
  MHUB_TRY(std::optional<hub::TensorListing> listing, local_listing(command));
  if (!listing) {
    MHUB_TRY(const OpenedRemote opened, open_remote(command.model, command.remote, cli.stop_token()));
    MHUB_TRY(listing, opened.model->tensors(command.file));
  }
  if (cli.json()) {
    cli.print_json(listing_json(command, *listing));
  } else {
    cli.print_line(listing_text(command, *listing, cli.stdout_is_terminal()));
  }
  return {};
}

}  // namespace

void add_inspect(Cli& cli) {
  auto command = std::make_shared<InspectCommand>();
  CLI::App* app = cli.command("inspect", "Show the tensors of a model here or on a hub: only headers are read",
                              "  mhub inspect Qwen/Qwen2.5-7B-Instruct\n"
                              "  mhub inspect hf:org/name-GGUF model-Q4_K_M.gguf --summary\n"
                              "  mhub inspect ./model.gguf --json",
                              [&cli, command] { return inspect(cli, *command); });
  app->add_option("MODEL", command->model, "A registered model, a path, or a model of a hub as for download")
      ->required();
  app->add_option("FILE", command->file, "One safetensors or GGUF file of a model on a hub");
  app->add_flag("--summary", command->summary, "Metadata and a line per type instead of every tensor");
  command->remote.add_to(app);
  cli.add_json_flag(app);
}

}  // namespace mhub::apps
