// SPDX-License-Identifier: Apache-2.0
#include "mhub/hub/remote_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "library_transport.h"
#include "mhub/formats/gguf.h"
#include "mhub/formats/model_config.h"
#include "mhub/formats/tensor_table.h"
#include "net/curl_library.h"
#include "remote/api_client.h"
#include "remote/hub_target.h"
#include "remote/tensor_headers.h"
#include "store/safe_path.h"
#include "transfer/plan.h"
#include "transfer/ranged_read.h"

namespace mhub::hub {
namespace {

constexpr uint64_t kLargestIndex = 64u << 20;
constexpr const char* kIndexName = "model.safetensors.index.json";

}  // namespace

struct RemoteModel::State {
  State(const HubConfig& the_config, std::stop_token the_stop)
      : config(the_config), transport(curl_config(config)), stop(std::move(the_stop)) {}
  const HubConfig config;
  CurlTransport transport;
  const std::stop_token stop;
  HubTarget target;
  std::unique_ptr<HubApi> api;
  std::string name, revision, commit;
  std::vector<RemoteFile> remote_files;
  std::vector<RemoteFileInfo> files;

  Result<void> open() {
    MHUB_TRY(api, open_hub(target, transport, retry_policy(config), stop));
    revision = target.revision.empty() ? api->default_revision() : target.revision;
    MHUB_TRY(const std::string found, api->find_commit(revision, stop));
    MHUB_TRY(Snapshot snapshot, api->list(revision, found, stop));
    std::vector<std::string> paths;
    for (const RemoteFile& file : snapshot.files) paths.push_back(file.path);
    MHUB_CHECK_OK(check_listing_names(paths));
    commit = found.empty() ? commit_of_listing(snapshot) : found;
    remote_files = std::move(snapshot.files);
    files.clear();
    for (const RemoteFile& file : remote_files) files.push_back({file.path, file.bytes, file.sha256, file.git_sha1});
    return {};
  }
  const RemoteFile* find(const std::string& path) const {
    const auto found = std::find_if(remote_files.begin(), remote_files.end(),
                                    [&](const RemoteFile& file) { return file.path == path; });
    return found == remote_files.end() ? nullptr : &*found;
  }
  Result<std::vector<const RemoteFile*>> model_files(const std::string& path);
};

RemoteModel::RemoteModel(std::unique_ptr<State> state) : state_(std::move(state)) {}
RemoteModel::~RemoteModel() = default;
const std::string& RemoteModel::name() const {
  return state_->name;
}
const std::string& RemoteModel::source() const {
  return state_->target.source;
}
const std::string& RemoteModel::endpoint() const {
  return state_->target.repository.endpoint;
}
const std::string& RemoteModel::revision() const {
  return state_->revision;
}
const std::string& RemoteModel::commit() const {
  return state_->commit;
}
const std::vector<RemoteFileInfo>& RemoteModel::files() const {
  return state_->files;
}
const RemoteFileInfo* RemoteModel::find_file(const std::string& path) const {
  const auto found = std::find_if(state_->files.begin(), state_->files.end(),
                                  [&](const RemoteFileInfo& file) { return file.path == path; });
  return found == state_->files.end() ? nullptr : &*found;
}

Result<std::unique_ptr<RemoteModel>> RemoteModel::open(ModelLibrary& library, const ModelRef& ref,
                                                       const DownloadOptions& options, std::stop_token stop) {
  MHUB_CHECK_OK(load_curl());
  auto state = std::make_unique<State>(library.config(), std::move(stop));
  MHUB_TRY(const std::vector<registry::ModelRecord> rows, library.registry().list_models(false));
  MHUB_TRY(state->target, choose_target(ref, options, state->config, rows));
  MHUB_CHECK_OK(add_stored_tokens(state->target, state->config));
  state->name = registry_name(state->target.repository);
  const std::vector<Repository> others = std::exchange(state->target.others, {});
  auto opened = state->open();
  for (const Repository& other : others) {
    if (opened || !another_endpoint_may_help(opened.error())) break;
    state->target.repository = other;
    if (auto again = state->open(); again) opened = again;
  }
  if (!opened) return opened.error();
  return std::unique_ptr<RemoteModel>(new RemoteModel(std::move(state)));
}

Result<RemoteModelInfo> RemoteModel::info() {
  MHUB_TRY(const RepositoryInfo about, state_->api->info(state_->revision, state_->stop));
  RemoteModelInfo info;
  info.name = name();
  info.source = source();
  info.endpoint = endpoint();
  info.page = state_->target.repository.page(state_->api->source());
  info.revision = revision();
  info.commit = commit();
  info.is_private = about.is_private;
  info.gated = about.gated;
  info.license = about.license;
  info.last_modified = about.last_modified;
  info.task = about.task;
  info.downloads = about.downloads;
  info.likes = about.likes;
  info.tags = about.tags;
  return info;
}

Result<std::string> RemoteModel::read_file(const std::string& path, uint64_t max_bytes) {
  const RemoteFile* file = state_->find(path);
  if (!file) {
    return Error{ErrorCode::kHubNotFound,
                 fmt::format("read {} of {}: the revision does not have it", printable(path), name()),
                 "`mhub files` lists what there is", ""};
  }
  if (file->bytes > max_bytes) {
    return Error{
        ErrorCode::kPolicy,
        fmt::format("read {} of {}: it has {} bytes, over {}", printable(path), name(), file->bytes, max_bytes),
        "download the model", ""};
  }
  MHUB_TRY(auto bodies, read_ranges(state_->transport, *state_->api, {{file, 0, file->bytes}},
                                    retry_policy(state_->config), state_->stop));
  return std::move(bodies.front());
}

Result<std::vector<const RemoteFile*>> RemoteModel::State::model_files(const std::string& path) {
  std::vector<const RemoteFile*> chosen;
  const auto ends = [](const RemoteFile& file, const char* suffix) { return file.path.ends_with(suffix); };
  if (!path.empty()) {
    const RemoteFile* file = find(path);
    if (!file) {
      return Error{ErrorCode::kHubNotFound,
                   fmt::format("inspect {} of {}: the revision does not have it", printable(path), name),
                   "`mhub files` lists what there is", ""};
    }
    chosen.push_back(file);
    return chosen;
  }
  const bool at_top = std::any_of(remote_files.begin(), remote_files.end(), [&](const RemoteFile& file) {
    return ends(file, ".safetensors") && file.path.find('/') == std::string::npos;
  });
  for (const RemoteFile& file : remote_files) {
    const bool nested = file.path.find('/') != std::string::npos;
    if (ends(file, ".safetensors") && !(at_top && nested)) chosen.push_back(&file);
  }
  if (!chosen.empty()) return chosen;
  for (const RemoteFile& file : remote_files) {
    if (ends(file, ".gguf")) chosen.push_back(&file);
  }
  // Parts of one split model go together; otherwise several files are several models.
  const bool split = chosen.size() > 1 && std::all_of(chosen.begin(), chosen.end(), [](const RemoteFile* file) {
                       return file->path.find("-of-0") != std::string::npos;
                     });
  if (chosen.size() > 1 && !split) {
    return Error{ErrorCode::kUsage,
                 fmt::format("inspect {}: it has {} GGUF models, {} the first", name, chosen.size(),
                             printable(chosen.front()->path)),
                 "name one: `mhub inspect MODEL FILE`", ""};
  }
  if (chosen.empty()) {
    return Error{ErrorCode::kBadModel, fmt::format("inspect {}: it has neither safetensors nor GGUF files", name),
                 "`mhub files` lists what there is", ""};
  }
  return chosen;
}

Result<TensorListing> RemoteModel::tensors(const std::string& path) {
  std::string asked = path;
  std::vector<const RemoteFile*> chosen;
  if (asked.empty() && state_->find(kIndexName)) asked = kIndexName;
  if (asked.ends_with(".index.json")) {
    MHUB_TRY(const std::string index, read_file(asked, kLargestIndex));
    MHUB_TRY(const std::vector<std::string> shards, shards_of_index(index));
    const std::string folder = asked.substr(0, asked.rfind('/') + 1);
    for (const std::string& shard : shards) {
      const RemoteFile* file = state_->find(folder + shard);
      if (!file) {
        return Error{ErrorCode::kBadModel,
                     fmt::format("inspect {}: {} names the shard {}, which the revision lacks", name(),
                                 printable(asked), printable(shard)),
                     "the repository is incomplete", ""};
      }
      chosen.push_back(file);
    }
  } else {
    MHUB_TRY(chosen, state_->model_files(asked));
  }
  std::vector<HeaderSource> files;
  for (const RemoteFile* file : chosen) files.push_back({file->path, file->bytes});
  const ReadHeaders read = [&](const std::vector<HeaderRead>& wanted) {
    std::vector<RangedRead> reads;
    for (const HeaderRead& want : wanted) reads.push_back({chosen[want.file], want.offset, want.bytes});
    return read_ranges(state_->transport, *state_->api, reads, retry_policy(state_->config), state_->stop);
  };
  const bool gguf = !files.empty() && files.front().path.ends_with(".gguf");
  return gguf ? list_gguf(files, read) : list_safetensors(files, read);
}

Result<TensorListing> list_local_tensors(const std::string& path) {
  MHUB_TRY(const formats::ModelLocation location, formats::locate_model(path));
  TensorListing listing;
  const auto add = [&](const formats::TensorTable& table) {
    for (const auto& file : table.files) listing.bytes_total += file->bytes().size();
    listing.files = table.files.size();
    for (const auto& [name, tensor] : table.tensors) {
      listing.tensors.push_back({name, std::string(kernels::dtype_info(tensor.dtype).name),
                                 table.files.at(tensor.file)->path().filename().string(), tensor.shape, tensor.bytes});
    }
    for (const auto& [name, dtype] : table.unsupported) listing.tensors.push_back({name, dtype, "", {}, 0});
  };
  if (location.kind == formats::ModelLocation::Kind::kGguf) {
    listing.format = "gguf";
    MHUB_TRY(const formats::GgufFile gguf, formats::open_gguf(location.path));
    add(gguf.table);
    for (const auto& [key, value] : gguf.metadata) {
      if (const auto text = gguf.string(key)) listing.metadata.emplace(key, *text);
      if (const auto number = gguf.number(key)) listing.metadata.emplace(key, fmt::format("{}", *number));
    }
    return listing;
  }
  listing.format = "safetensors";
  MHUB_TRY(const formats::TensorTable table, formats::open_safetensors_dir(location.path));
  add(table);
  listing.metadata = table.metadata;
  return listing;
}

}  // namespace mhub::hub
