// SPDX-License-Identifier: Apache-2.0
#include "unknown_argument.h"

#include <gtest/gtest.h>

namespace mhub::apps {
namespace {

TEST(UnknownArgument, NearestName) {
  const std::vector<std::string> names = {"list", "login", "logout", "serve", "--port", "--prompt-file"};
  EXPECT_EQ(nearest_name("lst", names), "list");
  EXPECT_EQ(nearest_name("srve", names), "serve");
  EXPECT_EQ(nearest_name("--prot", names), "--port");
  EXPECT_EQ(nearest_name("frobnicate", names), "");
  EXPECT_EQ(nearest_name("", names), "");
}

TEST(UnknownArgument, NamesTheFirstOne) {
  CLI::App app("test", "mhub");
  app.allow_extras();
  CLI::App* serve = app.add_subcommand("serve", "");
  serve->allow_extras();
  serve->add_option("--port", "");
  app.parse("serve --prot=1 more");
  const auto error = unknown_argument(app);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ErrorCode::kUsage);
  EXPECT_EQ(error->message, "command line: serve has no option --prot");
  EXPECT_EQ(error->hint, "did you mean --port? see `mhub serve --help`");
}

TEST(UnknownArgument, NothingLeftOver) {
  CLI::App app("test", "mhub");
  app.add_subcommand("serve", "");
  app.parse("serve");
  EXPECT_FALSE(unknown_argument(app));
}

}  // namespace
}  // namespace mhub::apps
