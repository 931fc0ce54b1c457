// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <simdjson.h>

#include <fstream>

#include "sentencepiece.h"
#include "tekken.h"
#include "tokenizer_json.h"

namespace mhub::text {
namespace {

constexpr size_t kMaxConfigBytes = 8u << 20;

Result<std::string> read_file(const std::filesystem::path& file, size_t max_bytes) {
  const auto refuse = [&](std::string_view what) {
    return Error{ErrorCode::kBadModel, fmt::format("reading {}: {}", printable(file.string()), what), "check the file",
                 ""};
  };
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in) return refuse("it cannot be opened");
  const auto size = static_cast<std::streamoff>(in.tellg());
  if (size < 0 || static_cast<size_t>(size) > max_bytes) return refuse(fmt::format("it is over {} bytes", max_bytes));
  std::string text;
  text.reserve(static_cast<size_t>(size) + simdjson::SIMDJSON_PADDING);
  text.resize(static_cast<size_t>(size));
  if (!in.seekg(0).read(text.data(), size)) return refuse("it cannot be read");
  return text;
}

// The files that hold a whole tokenizer, in the order of preference.
struct Format {
  const char* file;
  Result<std::shared_ptr<const Tokenizer>> (*read)(std::string_view text, std::string_view tokenizer_config);
};
constexpr Format kFormats[] = {
    {"tokenizer.json", tokenizer_from_json},
    {"tekken.json", tokenizer_from_tekken},
    {"tokenizer.model", tokenizer_from_sentencepiece},
};

Error no_tokenizer(const std::filesystem::path& dir) {
  std::error_code ignored;
  const bool bare =
      std::filesystem::exists(dir / "vocab.json", ignored) || std::filesystem::exists(dir / "vocab.txt", ignored);
  return Error{ErrorCode::kBadModel,
               fmt::format("loading the tokenizer of {}: it has no tokenizer.json, tekken.json or tokenizer.model{}",
                           printable(dir.string()), bare ? ", only a bare vocabulary file" : ""),
               "add the model's tokenizer.json to the directory", ""};
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> load_tokenizer(const std::filesystem::path& dir) {
  std::error_code ignored;
  for (const Format& format : kFormats) {
    if (!std::filesystem::exists(dir / format.file, ignored)) continue;
    MHUB_TRY(const std::string tokenizer, read_file(dir / format.file, kMaxTokenizerBytes));
    std::string config;
    if (std::filesystem::exists(dir / "tokenizer_config.json", ignored)) {
      MHUB_TRY(config, read_file(dir / "tokenizer_config.json", kMaxConfigBytes));
    }
    auto loaded = format.read(tokenizer, config);
    if (!loaded) {
      loaded.error().message =
          fmt::format("loading the tokenizer of {}: {}", printable(dir.string()), loaded.error().message);
    }
    return loaded;
  }
  return no_tokenizer(dir);
}

}  // namespace mhub::text
