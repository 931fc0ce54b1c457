// SPDX-License-Identifier: Apache-2.0
// Every environment variable that the program reads is in docs/options.md.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <regex>

#include "support/temp_dir.h"

namespace mhub::test {
namespace {

TEST(EnvironmentDocs, NameEveryVariable) {
  const char* source = std::getenv("MHUB_SOURCE_DIR");
  ASSERT_NE(source, nullptr);
  const std::string page = read_file(std::filesystem::path(source) / "docs/options.md");
  const std::regex variable(R"re("([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)")re");
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(source) / "apps/mhub")) {
    const std::string text = read_file(entry.path());
    for (std::sregex_iterator it(text.begin(), text.end(), variable), end; it != end; ++it, ++found) {
      EXPECT_NE(page.find("`" + (*it)[1].str() + "`"), std::string::npos) << (*it)[1] << " of " << entry.path();
    }
  }
  EXPECT_GT(found, 20);
}

}  // namespace
}  // namespace mhub::test
