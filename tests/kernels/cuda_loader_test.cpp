// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>

#include "cuda_loader.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels {
namespace {

TEST(CudaLoader, NamesTheFileThatIsMissing) {
  std::string why;
  EXPECT_EQ(load_cuda_backend({}, "/nowhere/at/all", &why), nullptr);
  EXPECT_EQ(why, "no CUDA back end: /nowhere/at/all/libmhub_cuda.so does not exist");
}

TEST(CudaLoader, SaysWhyAFileIsNoLibrary) {
  const std::string path = ::testing::TempDir() + "not_a_library.so";
  std::ofstream(path) << "text";
  std::string why;
  EXPECT_EQ(load_cuda_backend({}, path, &why), nullptr);
  // Without a driver the file is not even opened.
  const bool no_driver = why == "no CUDA device: this machine has no NVIDIA driver (libcuda.so.1)";
  EXPECT_TRUE(no_driver || why.rfind("cannot load " + path + ": ", 0) == 0) << why;
  EXPECT_EQ(why.find('\n'), std::string::npos);
}

TEST(CudaLoader, SaysWhatToInstallWhereCublasIsMissing) {
  EXPECT_EQ(explain_load_error("/opt/mhub/libmhub_cuda.so",
                               "libcublasLt.so.13: cannot open shared object file: No such "
                               "file or directory"),
            "cannot load /opt/mhub/libmhub_cuda.so: libcublasLt.so.13 is missing; install NVIDIA's cuBLAS 13 (apt-get "
            "install libcublas-13-0, or any CUDA 13 toolkit or container), or name its folder in LD_LIBRARY_PATH");
  EXPECT_EQ(explain_load_error("/a.so", "/a.so: invalid ELF header"), "cannot load /a.so: /a.so: invalid ELF header");
}

#ifdef MHUB_CUDA_LIBRARY
TEST(CudaLoader, OpensTheDeviceOrSaysInOneLineWhyNot) {
  std::string why;
  const auto backend = load_cuda_backend({}, MHUB_CUDA_LIBRARY, &why);
  if (backend) {
    EXPECT_EQ(backend->facts().name, "cuda");
    EXPECT_GT(backend->facts().memory_bytes, 0u);
    return;
  }
  EXPECT_TRUE(why.rfind("no CUDA device: ", 0) == 0 || why.rfind("device ", 0) == 0 ||
              why.rfind("the CUDA device cannot be used: ", 0) == 0 || why.rfind("cannot load ", 0) == 0)
      << why;
  EXPECT_EQ(why.find('\n'), std::string::npos);
}
#endif

}  // namespace
}  // namespace mhub::kernels
