// SPDX-License-Identifier: Apache-2.0
#include "driver_calls.h"

#include <dlfcn.h>

#include <cstdlib>

namespace mhub::model {
namespace {

// What is used of CUPTI's stable interface.
constexpr int kDriverDomain = 1, kEnter = 0;
using Callback = void (*)(void* user, int domain, uint32_t id, const void* data);
struct CallbackData {
  int site;
  const char* function_name;  // more follows
};

}  // namespace

std::unique_ptr<DriverCalls> DriverCalls::start(std::string* why) {
  std::unique_ptr<DriverCalls> calls(new DriverCalls);
  const char* named = std::getenv("MHUB_CUPTI_LIBRARY");
  for (const char* name : {named ? named : "libcupti.so", "libcupti.so.13", "libcupti.so.12",
                           "/usr/local/cuda/extras/CUPTI/lib64/libcupti.so"}) {
    if (!calls->library_) calls->library_ = dlopen(name, RTLD_NOW);
  }
  if (!calls->library_) {
    *why = "libcupti.so was not found";
    return nullptr;
  }
  const auto subscribe = reinterpret_cast<int (*)(void**, Callback, void*)>(dlsym(calls->library_, "cuptiSubscribe"));
  const auto enable = reinterpret_cast<int (*)(uint32_t, void*, int)>(dlsym(calls->library_, "cuptiEnableDomain"));
  if (!subscribe || !enable || subscribe(&calls->subscriber_, on_call, calls.get()) != 0 ||
      enable(1, calls->subscriber_, kDriverDomain) != 0) {
    *why = "libcupti.so does not trace here";
    return nullptr;
  }
  return calls;
}

DriverCalls::~DriverCalls() {
  if (!subscriber_) return;
  if (const auto unsubscribe = reinterpret_cast<int (*)(void*)>(dlsym(library_, "cuptiUnsubscribe")))
    unsubscribe(subscriber_);
}

void DriverCalls::on_call(void* self, int, uint32_t, const void* data) {
  const auto* call = static_cast<const CallbackData*>(data);
  if (call->site == kEnter) ++static_cast<DriverCalls*>(self)->counts_[call->function_name];
}

}  // namespace mhub::model
