// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"

namespace mhub::hub {

// A model in the cache of another program, as that program's bookkeeping tells it. Names are unchecked.
struct ForeignModel {
  struct File {
    std::string path;                // in the model
    std::filesystem::path location;  // on disk; links are followed
    std::string sha256, git_sha1;    // that it must have; "" = unknown
  };
  std::filesystem::path place;
  std::string source;    // "huggingface", "modelscope", "ollama"
  std::string name;      // "org/name"
  std::string revision;  // "main", a tag ...
  std::string commit;    // 40 hex, or "" = not known
  bool complete = false;
  std::vector<File> files;
};

// All models below a root of any known kind: Hugging Face (models--org--name/snapshots/<commit>), ModelScope
// (models/org--name/snapshots/<revision>, or [models/]org/name with .msc or .mv), Ollama (manifests/ and blobs/). Empty
// when it is none of them. kDisk.
Result<std::vector<ForeignModel>> scan_foreign_cache(const std::filesystem::path& root);

// The layers of an Ollama manifest as files of a model named `model` at `tag`: {path, digest}. kBadModel.
struct OllamaLayer {
  std::string path, sha256;
  uint64_t bytes = 0;
};
Result<std::vector<OllamaLayer>> parse_ollama_manifest(std::string_view text, const std::string& model,
                                                       const std::string& tag);

}  // namespace mhub::hub
