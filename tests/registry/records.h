// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "mhub/registry/registry.h"

namespace mhub::registry::test {

inline FileRecord file_record(const std::string& path, uint64_t bytes) {
  FileRecord file;
  file.path = path;
  file.bytes = bytes;
  file.sha256 = std::string(64, 'a');
  file.verified_at = "2026-11-25T10:00:00.000Z";
  file.inode = 0xF000000000000001;
  file.mtime_ns = 1764060000123456789;
  file.ctime_ns = -1;
  file.git_sha1 = std::string(40, 'b');
  return file;
}

inline ModelRecord model_record(const std::string& name, const std::string& commit) {
  ModelRecord model;
  model.name = name;
  model.source = "modelscope";
  model.endpoint = "https://modelscope.cn";
  model.revision = "master";
  model.commit = commit;
  model.path = "/store/models/modelscope/" + name + "/" + commit;
  model.format = "safetensors";
  model.quantization = "BF16";
  model.architecture = "LlamaForCausalLM";
  model.created_at = "2026-11-25T10:00:00.000Z";
  model.files = {file_record("config.json", 700), file_record("model.safetensors", 1u << 20)};
  return model;
}

}  // namespace mhub::registry::test
