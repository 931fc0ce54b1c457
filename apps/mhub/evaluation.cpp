// SPDX-License-Identifier: Apache-2.0
#include "evaluation.h"

#include <fmt/format.h>

#include "cli.h"
#include "mhub/formats/gguf.h"
#include "mhub/formats/model_config.h"
#include "mhub/model/backend_choice.h"
#include "mhub/model/model_runner.h"
#include "mhub/text/tokenizer.h"

namespace mhub::apps {
namespace fs = std::filesystem;
namespace {

class ModelEvaluator final : public quantize::Evaluator {
 public:
  ModelEvaluator(std::unique_ptr<model::LoadedModel> model, std::shared_ptr<const text::Tokenizer> tokenizer,
                 std::function<void()> on_window)
      : model_(std::move(model)), tokenizer_(std::move(tokenizer)), on_window_(std::move(on_window)) {}

  std::vector<int32_t> encode(std::string_view text) const override {
    return tokenizer_->encode(text, false, text::SpecialTokens::kParse);
  }
  void logits(std::span<const int32_t> tokens,
              const std::function<void(int64_t, std::span<const float>)>& sink) override {
    model_->forward_logits(tokens, sink);
    if (on_window_) on_window_();
  }

 private:
  std::unique_ptr<model::LoadedModel> model_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::function<void()> on_window_;
};

Result<std::shared_ptr<const text::Tokenizer>> load_tokenizer(const formats::ModelLocation& location) {
  if (location.kind == formats::ModelLocation::Kind::kSafetensorsDir) return text::load_tokenizer(location.path);
  MHUB_TRY(const auto gguf, formats::open_gguf(location.path));
  return text::tokenizer_from_gguf(gguf);
}

}  // namespace

Result<int64_t> context_length(const fs::path& model) {
  MHUB_TRY(const auto location, formats::locate_model(model));
  if (location.kind == formats::ModelLocation::Kind::kSafetensorsDir) {
    MHUB_TRY(const auto config, formats::read_model_config(location.path));
    return config.max_position_embeddings;
  }
  MHUB_TRY(const auto gguf, formats::open_gguf(location.path));
  MHUB_TRY(const auto config, formats::model_config_from_gguf(gguf));
  return config.max_position_embeddings;
}

Result<int64_t> count_tokens(const fs::path& model, std::string_view text) {
  MHUB_TRY(const auto location, formats::locate_model(model));
  MHUB_TRY(const auto tokenizer, load_tokenizer(location));
  return static_cast<int64_t>(tokenizer->encode(text, false, text::SpecialTokens::kParse).size());
}

Result<std::unique_ptr<quantize::Evaluator>> load_evaluator(const fs::path& model, int64_t context,
                                                            std::function<void()> on_window) {
  MHUB_TRY(const auto location, formats::locate_model(model));
  MHUB_TRY(auto tokenizer, load_tokenizer(location));
  kernels::BackendOptions backend_options;
  backend_options.compute = kernels::Compute::kFloat32;
  MHUB_TRY(auto backend, model::make_backend("cpu", backend_options));
  model::RunnerOptions options;
  options.model = location.path;
  options.dtype = "float32";
  options.max_model_len = context;
  options.max_num_seqs = 1;
  options.max_num_batched_tokens = std::min<int64_t>(context, 512);
  MHUB_TRY(auto loaded, model::LoadedModel::load(std::move(backend), options));
  return std::unique_ptr<quantize::Evaluator>(
      std::make_unique<ModelEvaluator>(std::move(loaded), std::move(tokenizer), std::move(on_window)));
}

Result<fs::path> default_eval_text() {
  std::error_code ec;
  const fs::path binary = fs::read_symlink("/proc/self/exe", ec);
  const fs::path directory = ec ? fs::path(".") : binary.parent_path();
  const fs::path place = (directory / "../share/mhub/eval/default.txt").lexically_normal();
  if (fs::exists(place, ec)) return place;
  return Error{ErrorCode::kDisk, fmt::format("looking for the evaluation text near {}: not found", directory.string()),
               "install the package's share/ folder, or give --eval-text FILE", ""};
}

}  // namespace mhub::apps
