// SPDX-License-Identifier: Apache-2.0
#include "model_json.h"

#include <gtest/gtest.h>

namespace mhub::apps {
namespace {

TEST(ModelJson, VerifiedIsTheOldestFile) {
  registry::ModelRecord model;
  EXPECT_TRUE(model_json(model)["verified"].is_null());
  for (const char* time : {"2026-03-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"}) {
    registry::FileRecord file;
    file.verified_at = time;
    file.bytes = 10;
    model.files.push_back(file);
  }
  EXPECT_EQ(model_json(model)["verified"], "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(model_json(model)["files"], 3);
  EXPECT_EQ(model_json(model)["bytes"], 30);
}

}  // namespace
}  // namespace mhub::apps
