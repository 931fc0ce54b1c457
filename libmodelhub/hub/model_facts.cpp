// SPDX-License-Identifier: Apache-2.0
#include "model_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "mhub/base/json.h"
#include "mhub/formats/gguf.h"
#include "mhub/formats/mapped_file.h"
#include "mhub/kernels/dtype.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxConfigBytes = 8u << 20;

// The element type that most bytes have.
std::string dominant_dtype(const formats::TensorTable& table) {
  std::map<std::string_view, uint64_t> bytes_of;
  for (const auto& [name, tensor] : table.tensors) bytes_of[kernels::dtype_info(tensor.dtype).name] += tensor.bytes;
  const auto largest = std::max_element(bytes_of.begin(), bytes_of.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; });
  return largest == bytes_of.end() ? "" : std::string(largest->first);
}

// general.file_type of a GGUF file (llama.h, enum llama_ftype): the name of the mixture.
std::string gguf_mixture(const formats::GgufFile& gguf) {
  static constexpr std::pair<int64_t, std::string_view> kNames[] = {
      {0, "F32"},     {1, "F16"},     {2, "Q4_0"},    {3, "Q4_1"},    {7, "Q8_0"},    {8, "Q5_0"},
      {9, "Q5_1"},    {10, "Q2_K"},   {11, "Q3_K_S"}, {12, "Q3_K_M"}, {13, "Q3_K_L"}, {14, "Q4_K_S"},
      {15, "Q4_K_M"}, {16, "Q5_K_S"}, {17, "Q5_K_M"}, {18, "Q6_K"},   {32, "BF16"}};
  const auto type = gguf.integer("general.file_type");
  const auto found =
      std::find_if(std::begin(kNames), std::end(kNames), [&](const auto& entry) { return type == entry.first; });
  return found == std::end(kNames) ? dominant_dtype(gguf.table) : std::string(found->second);
}

std::string text_at(const Json& value, const Json::json_pointer& pointer) {
  return value.contains(pointer) && value.at(pointer).is_string() ? value.at(pointer).get<std::string>() : "";
}

int64_t integer_at(const Json& value, const Json::json_pointer& pointer) {
  return value.contains(pointer) && value.at(pointer).is_number_integer() ? value.at(pointer).get<int64_t>() : 0;
}

// "int4-g128", "gptq-int4-g128", "fp8": method, width and group of quantization_config; "" when there is none.
std::string quantization_of(const Json& config) {
  if (!config.contains("quantization_config") || !config["quantization_config"].is_object()) return "";
  const Json& quantization = config["quantization_config"];
  const std::string method = text_at(quantization, "/quant_method"_json_pointer);
  Json weights = quantization;
  std::string bits_key = "/bits";
  if (method == "compressed-tensors" && quantization.contains("config_groups") &&
      quantization["config_groups"].is_object() && !quantization["config_groups"].empty()) {
    const Json& group = quantization["config_groups"].front();
    weights = group.is_object() && group.contains("weights") ? group["weights"] : Json::object();
    bits_key = "/num_bits";
  }
  const int64_t bits = integer_at(weights, Json::json_pointer(bits_key));
  const int64_t group_size = integer_at(weights, "/group_size"_json_pointer);
  std::string name = method == "compressed-tensors" ? "" : method;
  if (bits > 0) {
    const bool is_float = text_at(weights, "/type"_json_pointer) == "float";
    name += fmt::format("{}{}{}", name.empty() ? "" : "-", is_float ? "fp" : "int", bits);
  }
  if (group_size > 0) name += fmt::format("-g{}", group_size);
  return name.empty() ? method : name;
}

Result<Json> read_config(const fs::path& directory) {
  MHUB_TRY(const std::string text, formats::read_text_file(directory / "config.json", kMaxConfigBytes));
  auto config = parse_json(text);
  if (config && config->is_object()) return config;
  return Error{ErrorCode::kBadModel,
               fmt::format("read {}: {}", (directory / "config.json").string(),
                           config ? "not a JSON object" : config.error().message),
               "fetch the file again", ""};
}

void add_config_facts(const Json& config, ModelFacts& facts) {
  facts.architecture = text_at(config, "/architectures/0"_json_pointer);
  if (facts.architecture.empty()) facts.architecture = text_at(config, "/model_type"_json_pointer);
  if (const std::string quantization = quantization_of(config); !quantization.empty())
    facts.quantization = quantization;
}

void add_tensor_files(const formats::TensorTable& table, InspectedModel& model) {
  for (const auto& file : table.files) model.tensor_files.push_back(file->path());
}

Result<InspectedModel> read_headers(const formats::ModelLocation& location) {
  InspectedModel model;
  if (location.kind == formats::ModelLocation::Kind::kGguf) {
    MHUB_TRY(const formats::GgufFile gguf, formats::open_gguf(location.path));
    model.facts.format = "gguf";
    model.facts.quantization = gguf_mixture(gguf);
    const auto config = formats::model_config_from_gguf(gguf);
    model.facts.architecture = config ? config->architecture : gguf.string("general.architecture").value_or("");
    add_tensor_files(gguf.table, model);
    return model;
  }
  MHUB_TRY(const formats::TensorTable table, formats::open_safetensors_dir(location.path));
  MHUB_TRY(const Json config, read_config(location.path));
  model.facts.format = "safetensors";
  model.facts.quantization = dominant_dtype(table);
  add_config_facts(config, model.facts);
  add_tensor_files(table, model);
  return model;
}

}  // namespace

Result<InspectedModel> inspect_model(const formats::ModelLocation& location) {
  auto model = read_headers(location);
  if (!model && model.error().hint.empty()) model.error().hint = "get a good copy of the file";
  return model;
}

ModelFacts describe_directory(const fs::path& directory) {
  if (const auto location = formats::locate_model(directory)) {
    if (auto model = inspect_model(*location)) return std::move(model->facts);
  }
  ModelFacts facts;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".gguf" && facts.format == "other") facts.format = "gguf";
    if (extension == ".safetensors") facts.format = "safetensors";
  }
  if (const auto config = read_config(directory)) add_config_facts(*config, facts);
  return facts;
}

}  // namespace mhub::hub
