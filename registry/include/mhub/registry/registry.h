// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
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
  // Hashes of its extents (hub/store/extent_hash.h). put_model keeps them by sha256; extents_of() gives them back.
  std::string extents;
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
  bool pinned = false;                    // gc leaves it
  std::string used_at;                    // RFC 3339; "" = never since it came
  std::string verified_at;                // of its least recently verified file
  uint64_t num_files = 0, num_bytes = 0;  // of the row; `files` may not have been read
  uint64_t total_bytes() const;           // of `files`, else of the row
};

// Which rows to list, and how. Empty fields mean any; texts are globs ('*', '?', '[...]'), letter case counts.
struct ListFilter {
  std::string name{}, source{}, format{}, quantization{}, architecture{};  // name: also of an alias
  std::optional<bool> complete{}, pinned{}, in_store{};
  enum class Order { kName, kBytes, kCreated, kUsed, kVerified } order = Order::kName;
  bool descending = false;
  int64_t limit = -1, offset = 0;  // limit -1 = all
};

using QueryValue = std::variant<std::nullptr_t, int64_t, double, std::string>;
struct QueryResult {
  std::vector<std::string> columns;
  std::vector<std::vector<QueryValue>> rows;
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
  // `publish` runs inside it, before the commit: gc, which holds the same lock, never sees the one without the other.
  Result<int64_t> put_model(const ModelRecord& model, const std::function<Result<void>()>& publish = {});
  Result<std::vector<ModelRecord>> list_models(bool with_files);           // by name, newest first
  Result<std::vector<ModelRecord>> list_models(const ListFilter& filter);  // without files
  Result<std::vector<ModelRecord>> models_named(const std::string& name);  // newest first, without files
  // By exact name or alias (optionally "name@revision-or-commit"); of several a whole one before one of some files, then
  // the newest. kModelNotFound if none.
  Result<ModelRecord> find_model(const std::string& name);
  Result<std::optional<ModelRecord>> find_exact(const std::string& source, const std::string& name,
                                                const std::string& commit, const std::string& path);
  Result<void> remove_model(int64_t id);
  Result<void> update_file_stats(int64_t model_id, const std::vector<FileRecord>& files);

  Result<void> set_pinned(int64_t id, bool pinned);
  Result<void> touch_model(int64_t id);  // used now
  // Takes the alias from whatever had it.
  Result<void> set_alias(const std::string& alias, int64_t id);
  Result<bool> remove_alias(const std::string& alias);  // false: there was none
  // Files of registered models that had this content when they were verified.
  struct Located {
    int64_t model_id = 0;
    std::string directory;
    FileRecord file;
  };
  Result<std::vector<Located>> files_with_content(const std::string& sha256);
  Result<std::string> extents_of(const std::string& sha256);  // "" when not known
  // Runs `body` if no row has this path, while no other process can write. False: there is a row.
  Result<bool> if_unregistered(const std::string& path, const std::function<Result<void>()>& body);
  // Whether there are rows, and the time from which on every directory of the store has been this registry's ("" =
  // always): what is older and has no row may belong to a registry that was lost.
  struct StoreKnowledge {
    bool has_models = false;
    std::string since;
  };
  Result<StoreKnowledge> store_knowledge();
  // One SELECT over the views `model` and `file` (docs/registry.md), on a connection that can do nothing else. kUsage
  // with what SQLite says; kPolicy for anything but reading; more than `max_rows` rows or `seconds` are kUsage too.
  Result<QueryResult> query(const std::string& sql, size_t max_rows = 1'000'000, double seconds = 60);

  // Puts a new registry with these rows in place of `file`, which is kept beside it (returned; "" when there was none).
  // The new one knows the whole store. kRegistry while another process is writing.
  static Result<std::filesystem::path> replace(const std::filesystem::path& file,
                                               const std::vector<ModelRecord>& models);

 private:
  struct State;
  explicit Registry(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mhub::registry
