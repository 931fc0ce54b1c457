// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bad_model.h"
#include "mhub/formats/mapped_file.h"
#include "mhub/formats/model_config.h"

namespace mhub::formats {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPickleAdvice =
    "pickle can run code and is never opened; get the model's safetensors or GGUF files instead";

bool is_pickle_name(const std::string& name) {
  static constexpr std::array<std::string_view, 6> kEndings = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack"};
  return std::any_of(kEndings.begin(), kEndings.end(), [&](auto ending) { return name.ends_with(ending); });
}

// What lies in a directory, by name; only the chosen files are opened.
struct Contents {
  bool config = false;
  std::vector<std::string> safetensors, gguf, pickle;
};

Result<Contents> look_into(const fs::path& dir) {
  Contents out;
  std::error_code ec;
  for (fs::directory_iterator it(dir, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename().string();
    if (name == "config.json") out.config = true;
    if (name.ends_with(".safetensors")) out.safetensors.push_back(name);
    if (name.ends_with(".gguf")) out.gguf.push_back(name);
    if (is_pickle_name(name)) out.pickle.push_back(name);
  }
  if (ec) {
    return Error{ErrorCode::kDisk, fmt::format("listing {}: {}", printable(dir.string(), 1024), ec.message()),
                 "check the directory's permissions", ""};
  }
  for (auto* names : {&out.safetensors, &out.gguf, &out.pickle}) std::sort(names->begin(), names->end());
  return out;
}

// Part K > 1 of a split model is not a model of its own, nor is an image encoder.
bool is_gguf_model_name(const std::string& name) {
  unsigned part = 0, count = 0;
  int end = 0;
  constexpr size_t kSuffix = sizeof("-00001-of-00001.gguf") - 1;
  if (name.size() > kSuffix &&
      std::sscanf(name.c_str() + name.size() - kSuffix, "-%5u-of-%5u.gguf%n", &part, &count, &end) == 2 &&
      end == kSuffix) {
    return part == 1;
  }
  return name.rfind("mmproj", 0) != 0;
}

Result<ModelLocation> locate_in_directory(const fs::path& dir) {
  MHUB_TRY(auto found, look_into(dir));
  if (found.config && !found.safetensors.empty()) return ModelLocation{ModelLocation::Kind::kSafetensorsDir, dir};
  auto& gguf = found.gguf;
  std::erase_if(gguf, [](const std::string& name) { return !is_gguf_model_name(name); });
  if (found.safetensors.empty() && gguf.size() == 1) return ModelLocation{ModelLocation::Kind::kGguf, dir / gguf[0]};
  if (found.safetensors.empty() && gguf.size() > 1) {
    return bad_model(
        dir, fmt::format("{} GGUF models are there ({}, {}, …)", gguf.size(), printable(gguf[0]), printable(gguf[1])),
        "give the path of one of them");
  }
  if (!found.safetensors.empty())
    return bad_model(dir, "config.json is missing", "download the model's configuration files too");
  if (!found.pickle.empty())
    return bad_model(dir, fmt::format("it holds only pickle weights ({})", printable(found.pickle[0])), kPickleAdvice);
  return bad_model(
      dir,
      found.config ? "there is a config.json, but no *.safetensors or *.gguf" : "there is no config.json and no *.gguf",
      "give a model directory in Hugging Face layout, or a GGUF file");
}

Result<ModelLocation> locate_file(const fs::path& path) {
  MHUB_TRY(const auto file, MappedFile::open(path));
  const auto bytes = file->bytes();
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 9));
  if (head.starts_with("GGUF")) return ModelLocation{ModelLocation::Kind::kGguf, path};
  const bool pickle = head.size() > 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5;
  if (head.starts_with("PK\x03\x04") || pickle || is_pickle_name(path.filename().string())) {
    return bad_model(path, "it is a pickle (PyTorch) file", kPickleAdvice);
  }
  if (head.size() == 9 && head[8] == '{') {
    return bad_model(path, "one safetensors file is no model: config.json and the tokenizer belong to it",
                     "give the directory that holds it");
  }
  return bad_model(path, fmt::format("its first bytes are \"{}\": not a GGUF file", printable(head)),
                   "give a model directory or a GGUF file");
}

}  // namespace

Result<ModelLocation> locate_model(const fs::path& path) {
  std::error_code ec;
  const auto status = fs::status(path, ec);
  if (status.type() == fs::file_type::directory) return locate_in_directory(path);
  if (status.type() == fs::file_type::not_found) {
    return Error{ErrorCode::kModelNotFound,
                 fmt::format("reading {}: no such file or directory", printable(path.string(), 1024)), "check the path",
                 ""};
  }
  return locate_file(path);
}

}  // namespace mhub::formats
