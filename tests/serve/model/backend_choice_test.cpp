// SPDX-License-Identifier: Apache-2.0
#include "mhub/model/backend_choice.h"

#include <gtest/gtest.h>

namespace mhub::model {
namespace {

TEST(BackendChoice, DtypeNames) {
  for (const char* name : {"auto", "half", "float16", "bfloat16"})
    EXPECT_EQ(*compute_for_dtype(name), kernels::Compute::kFast) << name;
  for (const char* name : {"float", "float32"}) EXPECT_EQ(*compute_for_dtype(name), kernels::Compute::kFloat32) << name;
  EXPECT_EQ(compute_for_dtype("fp8").error().code, ErrorCode::kUsage);
}

TEST(BackendChoice, CudaNeverFallsBackSilently) {
  const auto cuda = make_backend("cuda", {}, "/nonexistent");
  ASSERT_FALSE(cuda);
  EXPECT_EQ(cuda.error().code, ErrorCode::kDevice);
  std::string why;
  const auto automatic = make_backend("auto", {}, "/nonexistent", &why);
  ASSERT_TRUE(automatic);
  EXPECT_EQ((*automatic)->facts().name, "cpu");
  EXPECT_NE(why.find("/nonexistent"), std::string::npos) << why;
  EXPECT_NE(cuda.error().message.find(why), std::string::npos) << cuda.error().message;
}

TEST(BackendChoice, UnknownNames) {
  EXPECT_EQ(make_backend("tpu", {}).error().code, ErrorCode::kUsage);
  kernels::BackendOptions options;
  options.force_isa = "mmx";
  EXPECT_EQ(make_backend("cpu", options).error().code, ErrorCode::kUsage);
}

}  // namespace
}  // namespace mhub::model
