// SPDX-License-Identifier: Apache-2.0
#include "remote/token_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "mhub/base/json.h"
#include "net/url.h"
#include "remote/api_client.h"
#include "store/open_beneath.h"
#include "store/unique_fd.h"

namespace mhub::hub {
namespace {

constexpr size_t kMaxFileBytes = 1u << 20;

// Held while the file is read and replaced: two logins at once keep both tokens.
Result<UniqueFd> lock(const std::filesystem::path& file) {
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  const std::string path = file.string() + ".lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return disk_error("open", path, errno);
  while (flock(fd.get(), LOCK_EX) != 0 && errno == EINTR) {
  }
  return fd;
}

}  // namespace

std::string same_hub_key(const std::string& endpoint) {
  const auto parts = parse_url(endpoint);
  if (!parts) return endpoint;
  const std::string host = parts->host.starts_with("www.") ? parts->host.substr(4) : parts->host;
  return parts->scheme + "://" + host + ":" + parts->port;
}

Result<std::map<std::string, StoredToken>> TokenStore::read() const {
  std::map<std::string, StoredToken> tokens;
  const UniqueFd fd(::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && errno == ENOENT) return tokens;
  if (!fd) return disk_error("open", file_.string(), errno);
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return disk_error("stat", file_.string(), errno);
  if (!S_ISREG(info.st_mode) || (info.st_mode & 077) != 0) {
    return Error{ErrorCode::kPolicy, fmt::format("read tokens from {}: others can read it", file_.string()),
                 fmt::format("chmod 600 '{}', and renew the tokens if somebody may have seen them", file_.string()),
                 ""};
  }
  std::string text(kMaxFileBytes, '\0');
  const ssize_t n = pread(fd.get(), text.data(), text.size(), 0);
  if (n < 0) return disk_error("read", file_.string(), errno);
  text.resize(static_cast<size_t>(n));
  const auto document = parse_json(text);
  const auto damaged = [&](const std::string& what) {
    return Error{ErrorCode::kPolicy, fmt::format("read tokens from {}: {}", file_.string(), what),
                 "remove that file and log in again", ""};
  };
  if (!document) return damaged(document.error().message);
  const auto list = document->is_object() ? document->find("tokens") : document->end();
  if (list == document->end() || !list->is_object()) return damaged("it holds no 'tokens'");
  for (const auto& [key, entry] : list->items()) {
    const auto source = parse_source(json_string(entry, "source"));
    StoredToken token{source ? *source : Source::kModelScope, json_string(entry, "endpoint"),
                      json_string(entry, "token"), json_string(entry, "user")};
    if (!source || token.token.empty() || same_hub_key(token.endpoint) != key) return damaged("an entry is malformed");
    tokens.emplace(key, std::move(token));
  }
  return tokens;
}

Result<void> TokenStore::write(const std::map<std::string, StoredToken>& tokens) const {
  Json list = Json::object();
  for (const auto& [key, token] : tokens) {
    list[key] = {{"source", source_name(token.source)},
                 {"endpoint", token.endpoint},
                 {"token", token.token},
                 {"user", token.user}};
  }
  const std::string text = dump_json(Json{{"version", 1}, {"tokens", std::move(list)}}, 2) + "\n";
  const std::string temporary = fmt::format("{}.{}", file_.string(), getpid());
  const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return disk_error("create", temporary, errno);
  const bool written = ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       fchmod(fd.get(), 0600) == 0 && fsync(fd.get()) == 0 &&
                       rename(temporary.c_str(), file_.c_str()) == 0;
  if (written) return sync_directory(file_.parent_path());
  const int error = errno;
  unlink(temporary.c_str());
  return disk_error("write", file_.string(), error);
}

Result<void> TokenStore::put(const StoredToken& token) const {
  MHUB_TRY(const UniqueFd held, lock(file_));
  MHUB_TRY(auto tokens, read());
  tokens[same_hub_key(token.endpoint)] = token;
  return write(tokens);
}

Result<bool> TokenStore::remove(const std::string& endpoint) const {
  MHUB_TRY(const UniqueFd held, lock(file_));
  MHUB_TRY(auto tokens, read());
  if (tokens.erase(same_hub_key(endpoint)) == 0) return false;
  MHUB_CHECK_OK(write(tokens));
  return true;
}

}  // namespace mhub::hub
