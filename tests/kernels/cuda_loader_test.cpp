// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>

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
  EXPECT_EQ(why.rfind("cannot load " + path + ": ", 0), 0u) << why;
  EXPECT_EQ(why.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace mhub::kernels
