// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/remote_model.h"

namespace mhub::hub {

struct HeaderSource {
  std::string path;
  uint64_t bytes = 0;  // of the whole file
};
// Gives bytes [offset, offset + count) of each file asked for, in that order.
struct HeaderRead {
  size_t file = 0;
  uint64_t offset = 0, bytes = 0;
};
using ReadHeaders = std::function<Result<std::vector<std::string>>(const std::vector<HeaderRead>&)>;

// The tensors of files that are not here, from their headers alone; the same parsers as for local files judge them.
// kBadModel, and what `read` fails with.
Result<TensorListing> list_safetensors(const std::vector<HeaderSource>& files, const ReadHeaders& read);
Result<TensorListing> list_gguf(const std::vector<HeaderSource>& files, const ReadHeaders& read);

// The shards that a model.safetensors.index.json names, each once.
Result<std::vector<std::string>> shards_of_index(const std::string& index_json);

}  // namespace mhub::hub
