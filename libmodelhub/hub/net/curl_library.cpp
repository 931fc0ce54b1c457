// SPDX-License-Identifier: Apache-2.0
#include "net/curl_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "mhub/base/check.h"

namespace mhub::hub {
namespace {

constexpr const char* kSoname = "libcurl.so.4";

Error failure(const char* why) {
  return {ErrorCode::kNetwork, fmt::format("load {}: {}", kSoname, why ? why : "it is another version"),
          "install libcurl 7.87 or newer (Debian: libcurl4)", ""};
}

Result<CurlLibrary> load() {
  void* const handle = dlopen(kSoname, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle) return failure(dlerror());
  CurlLibrary library;
#define MHUB_CURL_LOAD(name)                                                             \
  library.name = reinterpret_cast<decltype(library.name)>(dlsym(handle, "curl_" #name)); \
  if (!library.name) return failure(dlerror());
  MHUB_CURL_FUNCTIONS(MHUB_CURL_LOAD)
#undef MHUB_CURL_LOAD
  if (library.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return failure("it cannot be initialized");
  return library;
}

const Result<CurlLibrary>& loaded() {
  static const Result<CurlLibrary> once = load();
  return once;
}

}  // namespace

Result<void> load_curl() {
  if (!loaded()) return loaded().error();
  return {};
}

const CurlLibrary& curl_library() {
  MHUB_CHECK(loaded());
  return *loaded();
}

}  // namespace mhub::hub
