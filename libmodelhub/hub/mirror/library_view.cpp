// SPDX-License-Identifier: Apache-2.0
#include "mirror/library_view.h"

#include <fmt/format.h>

#include "mirror/catalog.h"
#include "mirror/file_response.h"
#include "store/file_tree.h"
#include "store/open_beneath.h"

namespace mhub::hub {
namespace {

httpd::Response refuse(const Error& error) {
  httpd::Response response = json_response(error_info(error.code).http_status, {{"error", error.one_line()}});
  if (response.status == 503) response.headers.emplace_back("Retry-After", "5");
  return response;
}

// A file of which only the ctime has moved: another name of it came or went (a cache that shares it was cleared). Its
// content decides once more, and the row is told.
std::optional<registry::FileRecord> verify_again(registry::Registry& registry, const registry::ModelRecord& model,
                                                 const registry::FileRecord& file) {
  const auto directory = open_directory(model.path, false);
  struct stat info {};
  if (!directory || fstatat(directory->get(), file.path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  registry::FileRecord now = file;
  set_stat(now, info);
  if (now.inode != file.inode || now.mtime_ns != file.mtime_ns || now.bytes != file.bytes) return std::nullopt;
  const auto hashed = hash_files(directory->get(), std::span(&file.path, 1), false, {});
  if (!hashed || hashed->front().sha256 != file.sha256) return std::nullopt;
  now = hashed->front();
  now.git_sha1 = file.git_sha1;
  (void)registry.update_file_stats(model.id, {now});  // a home that may only be read still serves
  return now;
}

}  // namespace

Result<std::shared_ptr<const registry::ModelRecord>> LibraryView::registered(const std::string& repo_id,
                                                                             const std::string& revision) {
  const std::string key = repo_id + "@" + revision;
  auto known = rows_.find(key);
  if (known) return known;
  const RowCache::Stamp before = rows_.stamp();
  MHUB_TRY(std::optional<registry::ModelRecord> row, find_mirrored(registry_, repo_id, revision));
  if (!row) return known;
  known = std::make_shared<const registry::ModelRecord>(*std::move(row));
  rows_.keep(key, before, known);
  return known;
}

Result<std::optional<LibraryView::Found>> LibraryView::find(const std::string& repo_id, const std::string& revision) {
  MHUB_TRY(auto here, registered(repo_id, revision));
  if (here && here->complete) return std::optional(Found{std::move(here), false});
  if (upstream_) {
    auto there = upstream_->describe(repo_id, revision);
    if (there) return std::optional(Found{std::make_shared<const registry::ModelRecord>(*std::move(there)), false});
    // Without the upstream a mirror goes on with what it has.
    if (there.error().code != ErrorCode::kHubNotFound && !here) return there.error();
  }
  if (!here) return std::optional<Found>();
  return std::optional(Found{std::move(here), !serve_incomplete_});
}

httpd::Response LibraryView::file(const httpd::Request& request, const registry::ModelRecord& model,
                                  const registry::FileRecord& file) {
  ++counters_.file_requests;
  if (model.id != 0) {
    httpd::Response response = file_response(request, model, file);
    if (response.status != 500) return response;
    const auto again = verify_again(registry_, model, file);
    return again ? file_response(request, model, *again) : response;
  }
  // A model that the upstream listed: some of its files may be here by now.
  const bool head = request.method == "HEAD";
  if (head && !file.sha256.empty()) return head_response(request, file);
  ++counters_.cold_requests;
  const auto fetched = upstream_->fetch(model, file.path);
  if (!fetched) return refuse(fetched.error());
  const registry::FileRecord* now = find_file(*fetched, file.path);
  if (!now) return refuse({ErrorCode::kInternal, fmt::format("fetch {}: it is not in its row", file.path), "", ""});
  return file_response(request, *fetched, *now);
}

}  // namespace mhub::hub
