// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mhub/base/result.h"

namespace mhub::registry {

struct FileRecord {
  std::string path;  // relative, '/' separated
  uint64_t bytes = 0;
  std::string sha256;       // 64 hex
  std::string verified_at;  // RFC 3339
  // stat() of the file when it was verified: a warm check trusts an unchanged one.
  uint64_t inode = 0;
  int64_t mtime_ns = 0, ctime_ns = 0;
  std::string git_sha1;  // "" when the hub gave none
};

struct ModelRecord {
  int64_t id = 0;
  std::string name;          // "org/name"
  std::string source;        // "modelscope" | "huggingface" | "mirror" | "local"
  std::string endpoint;      // "" for local
  std::string revision;      // as asked for
  std::string commit;        // what it resolved to
  std::string path;          // absolute directory, or GGUF file's directory
  bool in_store = true;      // false: --local-dir or import in place; rm leaves the files
  std::string format;        // "safetensors" | "gguf" | "other"
  std::string quantization;  // "" | "Q4_1" | "int4-g128" ...
  std::string architecture;
  bool complete = true;    // false: only some files of the revision were asked for
  std::string card_json;   // quality card of `quantize`, "" when none
  std::string created_at;  // RFC 3339
  std::vector<FileRecord> files;
  std::vector<std::string> aliases;
  uint64_t total_bytes() const;
};

struct OpenOptions {
  double busy_timeout_seconds = 15;  // how long a call waits for another process's transaction
};

// One SQLite file. Thread-safe (calls take turns); any number of processes. Errors: kRegistry (locked for too long,
// damaged, newer than the program), kDisk (full, permission, I/O) and kModelNotFound.
class Registry {
 public:
  // Creates (0700 directory, 0600 file) and migrates as needed; a newer schema is refused unchanged. A file that this
  // user may only read opens too; its writers then fail with kDisk.
  static Result<std::unique_ptr<Registry>> open(const std::filesystem::path& file, const OpenOptions& options = {});
  ~Registry();
  // One BEGIN IMMEDIATE transaction. Replaces the row with the same (source, name, commit, path), whose id stays; an
  // alias moves here from whatever had it. created_at "" means now.
  Result<int64_t> put_model(const ModelRecord& model);
  Result<std::vector<ModelRecord>> list_models(bool with_files);  // by name, newest first
  // By exact name or alias (optionally "name@revision-or-commit"); the newest when several. kModelNotFound if none.
  Result<ModelRecord> find_model(const std::string& name);
  Result<std::optional<ModelRecord>> find_exact(const std::string& source, const std::string& name,
                                                const std::string& commit, const std::string& path);
  Result<void> remove_model(int64_t id);
  Result<void> update_file_stats(int64_t model_id, const std::vector<FileRecord>& files);

 private:
  struct State;
  explicit Registry(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mhub::registry
