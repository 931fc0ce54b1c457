// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>

#include "mhub/base/result.h"

#define MHUB_CURL_FUNCTIONS(F)                                                                                 \
  F(easy_cleanup)                                                                                              \
  F(easy_getinfo) F(easy_init) F(easy_pause) F(easy_setopt) F(easy_strerror) F(free) F(getdate) F(global_init) \
      F(multi_add_handle) F(multi_cleanup) F(multi_info_read) F(multi_init) F(multi_perform) F(multi_poll)     \
          F(multi_remove_handle) F(multi_setopt) F(multi_wakeup) F(slist_append) F(slist_free_all) F(url)      \
              F(url_cleanup) F(url_get) F(url_set)

namespace mhub::hub {

// libcurl's functions without their prefix. The library is loaded when the first URL is read: it brings 24 others
// along, and loading those takes longer than most commands that talk to nobody run.
struct CurlLibrary {
#define MHUB_CURL_MEMBER(name) decltype(&::curl_##name) name = nullptr;
  MHUB_CURL_FUNCTIONS(MHUB_CURL_MEMBER)
#undef MHUB_CURL_MEMBER
};

// kNetwork where this machine does not have it.
Result<void> load_curl();
// After load_curl() or parse_url() went well, as a CurlTransport is made. Any thread.
const CurlLibrary& curl_library();

}  // namespace mhub::hub
