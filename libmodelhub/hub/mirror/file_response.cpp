// SPDX-License-Identifier: Apache-2.0
#include "mirror/file_response.h"

#include <algorithm>

#include <fmt/format.h>
#include <sys/stat.h>

#include <charconv>
#include <filesystem>

#include "store/file_tree.h"

namespace mhub::hub {
namespace {

std::optional<uint64_t> whole_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool etag_listed(std::string_view header, std::string_view etag) {
  return header == "*" || header.find(etag) != std::string_view::npos;
}

}  // namespace

ByteRange parse_range(std::string_view header, uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (size == 0 || !header.starts_with(kUnit)) return {};
  header.remove_prefix(kUnit.size());
  const size_t dash = header.find('-');
  if (dash == std::string_view::npos || header.find(',') != std::string_view::npos) return {};
  const auto first = whole_number(header.substr(0, dash));
  const auto last = whole_number(header.substr(dash + 1));
  if (dash == 0) {
    if (!last) return {};
    if (*last == 0) return {ByteRange::Kind::kUnsatisfiable, 0, 0};
    const uint64_t length = std::min(*last, size);
    return {ByteRange::Kind::kPart, size - length, length};
  }
  const bool open_ended = dash + 1 == header.size();
  if (!first || (!last && !open_ended) || (last && *last < *first)) return {};
  if (*first >= size) return {ByteRange::Kind::kUnsatisfiable, 0, 0};
  const uint64_t end = open_ended ? size - 1 : std::min(*last, size - 1);
  return {ByteRange::Kind::kPart, *first, end - *first + 1};
}

namespace {

// 200, 206, 304 or 416 for a file of this size and hash.
httpd::Response ranged_response(const httpd::Request& request, const registry::FileRecord& file,
                                const std::string& path) {
  httpd::Response response;
  const std::string etag = "\"" + file.sha256 + "\"";
  response.headers = {{"Accept-Ranges", "bytes"}, {"ETag", etag}, {"Content-Type", "application/octet-stream"}};
  const auto* if_none_match = request.header("If-None-Match");
  if (if_none_match && etag_listed(*if_none_match, etag)) {
    response.status = 304;
    return response;
  }
  ByteRange range;
  const auto* if_range = request.header("If-Range");
  if (const auto* asked = request.header("Range"); asked && (!if_range || *if_range == etag)) {
    range = parse_range(*asked, file.bytes);
  }
  if (range.kind == ByteRange::Kind::kUnsatisfiable) {
    response.status = 416;
    response.headers.emplace_back("Content-Range", fmt::format("bytes */{}", file.bytes));
    return response;
  }
  httpd::FileBody body{path, 0, file.bytes};
  if (range.kind == ByteRange::Kind::kPart) {
    response.status = 206;
    response.headers.emplace_back(
        "Content-Range", fmt::format("bytes {}-{}/{}", range.first, range.first + range.length - 1, file.bytes));
    body = {path, range.first, range.length};
  }
  response.file = body;
  return response;
}

}  // namespace

httpd::Response file_response(const httpd::Request& request, const registry::ModelRecord& model,
                              const registry::FileRecord& file) {
  const std::string path = (std::filesystem::path(model.path) / file.path).string();
  httpd::Response response;
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || !looks_unchanged(file, info)) {
    response.status = 500;
    response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
    response.body = fmt::format("{} has changed on disk since it was verified; run `mhub verify {}` on the mirror\n",
                                file.path, model.name);
    return response;
  }
  return ranged_response(request, file, path);
}

httpd::Response head_response(const httpd::Request& request, const registry::FileRecord& file) {
  return ranged_response(request, file, "/dev/null");
}

}  // namespace mhub::hub
