// SPDX-License-Identifier: Apache-2.0
#include "net/explanation.h"

#include <gtest/gtest.h>

namespace mhub::hub {
namespace {

std::string said(const std::string& type, const std::string& body) {
  return explanation({500, {{"content-type", type}}, ""}, body);
}

TEST(Explanation, FieldsOfJsonAndPlainText) {
  EXPECT_EQ(said("application/json", R"({"Code":500,"Message":"the disk is full"})"), "the disk is full");
  EXPECT_EQ(said("application/json", R"({"error":{"code":7,"message":"no such thing"}})"), "no such thing");
  EXPECT_EQ(said("text/plain; charset=utf-8", "a.bin has changed;\n  run `mhub verify`\r\n"),
            "a.bin has changed; run `mhub verify`");
}

TEST(Explanation, NothingForPagesAndWhatIsNeither) {
  EXPECT_EQ(said("text/html", "<html><body>oops</body></html>"), "");
  EXPECT_EQ(said("application/json", R"(["x"])"), "");
  EXPECT_EQ(said("application/json", R"({"message": 7})"), "");
  EXPECT_EQ(said("application/octet-stream", std::string(100, '\x01')), "");
  EXPECT_EQ(said("text/plain", ""), "");
  EXPECT_LE(said("text/plain", std::string(1 << 20, 'x')).size(), kMaxExplanationBytes);
  EXPECT_EQ(explanation({500, {}, ""}, "no type"), "");
}

}  // namespace
}  // namespace mhub::hub
