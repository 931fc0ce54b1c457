// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>

#include <filesystem>
#include <string>

#include "cuda/abi.h"
#include "cuda_loader.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels {
namespace {

std::string library_path(std::string_view search_path) {
  namespace fs = std::filesystem;
  constexpr const char* kName = "libmhub_cuda.so";
  if (!search_path.empty()) {
    const fs::path given(search_path);
    return (given.extension() == ".so" ? given : given / kName).string();
  }
  std::error_code ignored;
  return (fs::read_symlink("/proc/self/exe", ignored).parent_path() / kName).string();
}

}  // namespace

std::string explain_load_error(const std::string& path, const std::string& error) {
  constexpr std::string_view kCublas = "libcublasLt.so.", kMissing = ": cannot open shared object file";
  const size_t end = error.find(kMissing);
  if (!error.starts_with(kCublas) || end == std::string::npos) return "cannot load " + path + ": " + error;
  const std::string library = error.substr(0, end), version = library.substr(kCublas.size());
  return "cannot load " + path + ": " + library + " is missing; install NVIDIA's cuBLAS " + version +
         " (apt-get install libcublas-" + version + "-0, or any CUDA " + version +
         " toolkit or container), or name its folder in LD_LIBRARY_PATH";
}

std::unique_ptr<Backend> load_cuda_backend(const BackendOptions& options, std::string_view search_path,
                                           std::string* why) {
  const auto refuse = [why](std::string reason) -> std::unique_ptr<Backend> {
    if (why != nullptr) *why = std::move(reason);
    return nullptr;
  };
  const std::string path = library_path(search_path);
  if (std::error_code ignored; !std::filesystem::exists(path, ignored))
    return refuse("no CUDA back end: " + path + " does not exist");
  // Asked first, because the library brings cuBLASLt along: tens of MiB and milliseconds for nothing without a driver.
  if (dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL) == nullptr)
    return refuse("no CUDA device: this machine has no NVIDIA driver (libcuda.so.1)");
  // Never closed: CUDA's run-time library does not survive being unloaded.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return refuse(explain_load_error(path, dlerror()));
  const auto open = reinterpret_cast<cuda::OpenBackend*>(dlsym(library, cuda::kOpenBackendSymbol));
  if (open == nullptr) return refuse(path + " is not a back end of this mhub version");
  char reason[cuda::kReasonBytes] = {};
  Backend* backend = open(&options, reason);
  if (backend == nullptr) return refuse(reason);
  return std::unique_ptr<Backend>(backend);
}

}  // namespace mhub::kernels
