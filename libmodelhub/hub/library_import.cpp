// SPDX-License-Identifier: Apache-2.0
// ModelLibrary::import, make_staging_directory and register_directory.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "library_state.h"
#include "mhub/base/error.h"
#include "mhub/formats/model_config.h"
#include "model_facts.h"
#include "store/file_tree.h"
#include "store/layout.h"
#include "store/manifest.h"
#include "store/open_beneath.h"
#include "store/place_file.h"
#include "store/safe_path.h"
#include "store/staging.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

using registry::FileRecord;
using registry::ModelRecord;

struct SourceFile {
  std::string name;   // relative, as it will be called
  fs::path location;  // where it is now
};

// What git, the hubs' own clients and operating systems leave beside a model.
bool is_client_state(const std::string& path) {
  static constexpr std::array<std::string_view, 10> kNames = {
      ".git", ".cache", ".msc", ".mdl", ".mv", ".mhub", ".lock", ".DS_Store", "._____temp", "__pycache__"};
  const std::string_view leaf = std::string_view(path).substr(path.rfind('/') + 1);
  return std::find(kNames.begin(), kNames.end(), leaf) != kNames.end();
}

Result<std::vector<SourceFile>> files_of_directory(const fs::path& root) {
  std::vector<SourceFile> files;
  std::error_code error;
  auto it = fs::recursive_directory_iterator(root, error);
  for (; !error && it != fs::end(it); it.increment(error)) {
    std::string name = it->path().lexically_relative(root).generic_string();
    if (is_client_state(name)) {
      it.disable_recursion_pending();
      continue;
    }
    // Links to files count as files: the Hugging Face cache is made of them.
    std::error_code unreadable;
    if (it->is_regular_file(unreadable)) files.push_back({std::move(name), it->path()});
  }
  if (error) return disk_error("read directory", root.string(), error.value());
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

Error bad_name(const std::string& name, const std::string& why) {
  return {ErrorCode::kUsage, fmt::format("name the model '{}': {}", printable(name), why),
          "give --name NAME or --name ORG/NAME of letters, digits, '.', '_' and '-'", ""};
}

// "NAME" -> "local/NAME", checked.
Result<std::string> local_name(const std::string& asked) {
  const auto ref = ModelRef::parse(asked);
  if (!ref) return bad_name(asked, ref.error().message);
  if (ref->source || ref->endpoint || ref->revision)
    return bad_name(asked, "a prefix, URL or revision is no part of a name");
  const std::string name = asked.find('/') == std::string::npos ? "local/" + asked : asked;
  if (const auto safe = check_listing_name(name); !safe) return bad_name(asked, safe.error().message);
  return name;
}

// From "/models/My Model.Q4.gguf": "My-Model.Q4".
std::string name_from_path(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  fs::path leaf = absolute.filename().empty() ? absolute.parent_path().filename() : absolute.filename();
  if (leaf.extension() == ".gguf") leaf = leaf.stem();
  std::string name = leaf.string();
  for (char& c : name) {
    const bool allowed =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_';
    if (!allowed) c = '-';
  }
  const size_t first = name.find_first_not_of("-.");
  name = first == std::string::npos ? "" : name.substr(first, 96);
  while (name.ends_with('.')) name.pop_back();
  return name;
}

Result<FileRecord> place(const SourceFile& source, int staging_fd, std::stop_token stop) {
  MHUB_TRY(const UniqueFd from, open_source(source.location));
  MHUB_TRY(const ParentDirectory parent, make_parents_beneath(staging_fd, source.name));
  MHUB_TRY(PlacedFile placed, place_file(from.get(), source.location.string(), parent.fd.get(), parent.leaf, stop));
  if (!placed.hash) {
    MHUB_TRY(std::vector<FileRecord> hashed, hash_files(staging_fd, std::span(&source.name, 1), false, stop));
    return std::move(hashed.front());
  }
  FileRecord file;
  struct stat info {};
  if (fstatat(parent.fd.get(), parent.leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return disk_error("stat", source.name, errno);
  }
  set_stat(file, info);
  file.path = source.name;
  file.sha256 = std::move(placed.hash->sha256);
  file.extents = std::move(placed.hash->extents);
  file.verified_at = timestamp_now();
  return file;
}

void fill_in(ModelRecord& model, const ModelFacts& facts) {
  if (model.source.empty()) model.source = "local";
  if (model.format.empty()) model.format = facts.format;
  if (model.quantization.empty()) model.quantization = facts.quantization;
  if (model.architecture.empty()) model.architecture = facts.architecture;
  if (model.commit.empty()) model.commit = listing_digest(model.files);
  if (model.revision.empty()) model.revision = model.commit;
  if (model.created_at.empty()) model.created_at = timestamp_now();
}

// To its place in the store and into the registry, in one transaction.
Result<ModelRecord> publish(registry::Registry& registry, const StoreLayout& layout, StagingDirectory& staging,
                            ModelRecord model) {
  const fs::path target = layout.model_directory(model.source, model.name, model.commit);
  model.path = target.string();
  model.in_store = true;
  MHUB_TRY(model.id, record_model(registry, layout, model, [&] { return staging.publish(target); }));
  return model;
}

}  // namespace

Result<ModelRecord> ModelLibrary::import(const fs::path& path, const std::string& name, std::stop_token stop) {
  const std::string asked = name.empty() ? name_from_path(path) : name;
  MHUB_TRY(const formats::ModelLocation location, formats::locate_model(path));
  MHUB_TRY(const InspectedModel inspected, inspect_model(location));
  ModelRecord model;
  MHUB_TRY(model.name, local_name(asked));

  std::vector<SourceFile> files;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    MHUB_TRY(files, files_of_directory(path));
  } else {
    for (const fs::path& file : inspected.tensor_files) files.push_back({file.filename().string(), file});
  }
  std::vector<std::string> names;
  for (const SourceFile& file : files) names.push_back(file.name);
  MHUB_CHECK_OK(check_listing_names(names));
  const StoreLayout layout(state_->config.home);
  MHUB_CHECK_OK(check_distinct_on_disk(names, layout.home()));

  MHUB_TRY(StagingDirectory staging, StagingDirectory::create(layout, "import"));
  model.files.resize(files.size());
  MHUB_CHECK_OK(run_parallel(files.size(), [&](size_t i) -> Result<void> {
    MHUB_TRY(model.files[i], place(files[i], staging.fd(), stop));
    return {};
  }));
  fill_in(model, inspected.facts);
  return publish(*state_->registry, layout, staging, std::move(model));
}

Result<fs::path> ModelLibrary::make_staging_directory() {
  MHUB_TRY(StagingDirectory staging, StagingDirectory::create(StoreLayout(state_->config.home), "new"));
  return staging.release();
}

Result<ModelRecord> ModelLibrary::register_directory(const fs::path& directory, ModelRecord model,
                                                     std::stop_token stop) {
  MHUB_TRY(model.name, local_name(model.name));
  MHUB_TRY(const UniqueFd fd, open_directory(directory, false));
  MHUB_TRY(const std::vector<std::string> names, list_files(fd.get(), is_client_state));
  MHUB_CHECK_OK(check_listing_names(names));
  MHUB_TRY(model.files, hash_files(fd.get(), names, true, stop));
  fill_in(model, describe_directory(directory));
  const StoreLayout layout(state_->config.home);
  if (model.in_store) {
    MHUB_TRY(StagingDirectory staging, StagingDirectory::adopt(directory));
    auto published = publish(*state_->registry, layout, staging, std::move(model));
    if (!published) staging.release();  // the caller's work is not ours to delete
    return published;
  }
  MHUB_CHECK_OK(sync_directory(fd.get(), directory.string()));
  std::error_code error;
  model.path = fs::canonical(directory, error).string();
  if (error) return disk_error("resolve", directory.string(), error.value());
  MHUB_TRY(model.id, record_model(*state_->registry, layout, model));
  return model;
}

}  // namespace mhub::hub
