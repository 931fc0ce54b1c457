// SPDX-License-Identifier: Apache-2.0
// Arrows go down only (docs/design.md section 2), and each third-party library is included from one room.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {
namespace fs = std::filesystem;

// Folder prefix -> room; room -> rooms whose headers (mhub/<room>/...) it may include.
const std::map<std::string, std::string> kRooms = {
    {"kernels/", "kernels"},           {"libmodelhub/base/", "base"},   {"libmodelhub/formats/", "formats"},
    {"libmodelhub/httpd/", "httpd"},   {"registry/", "registry"},       {"libmodelhub/hub/", "hub"},
    {"libmodelhub/quantize/", "quantize"}, {"libserve/text/", "text"},  {"libserve/sched/", "sched"},
    {"libserve/constraint/", "constraint"},
    {"libserve/model/", "model"},      {"libserve/engine/", "engine"},  {"libserve/http/", "http"},
    {"apps/", "apps"},
};
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"kernels", {}},
    {"base", {}},
    {"formats", {"base", "kernels"}},
    {"httpd", {"base"}},
    {"registry", {"base"}},
    {"quantize", {"base", "formats", "kernels"}},
    {"hub", {"base", "formats", "registry", "httpd", "kernels"}},
    {"text", {"base", "formats"}},
    {"constraint", {"base"}},
    {"sched", {"base"}},
    {"model", {"base", "formats", "kernels"}},
    {"engine", {"base", "formats", "kernels", "text", "constraint", "sched", "model"}},
    {"http", {"base", "formats", "httpd", "text", "constraint", "engine", "model"}},
    {"apps",
     {"base", "formats", "kernels", "httpd", "registry", "hub", "quantize", "text", "constraint", "sched", "model", "engine",
      "http"}},
};
// Include pattern of a library -> the only rooms that may name it.
const std::vector<std::pair<std::string, std::set<std::string>>> kLibraries = {
    {"curl/", {"hub"}},        {"openssl/", {"hub", "httpd"}},      {"SQLiteCpp/", {"registry"}}, {"sqlite3.h", {"registry"}},
    {"httplib.h", {"httpd"}},  {"yaml-cpp/", {"hub"}},     {"CLI/", {"apps"}},           {"prometheus/", {"http"}},
    {"pcre2.h", {"text"}},     {"utf8proc.h", {"text"}},   {"simdjson.h", {"text"}}, {"cuda", {"kernels"}},
    {"nccl.h", {"kernels"}},   {"immintrin.h", {"kernels"}}, {"nlohmann/", {"base"}},
    {"spdlog/", {"base", "formats", "httpd", "registry", "hub", "quantize", "text", "sched", "model", "engine", "http", "apps"}},
};

std::string room_of(const std::string& relative) {
  for (const auto& [prefix, room] : kRooms) {
    if (relative.rfind(prefix, 0) == 0) return room;
  }
  return "";
}

// Every rule that `include` in a file of `room` breaks.
std::vector<std::string> violations(const std::string& room, const std::string& include) {
  std::vector<std::string> found;
  if (include.rfind("mhub/", 0) == 0) {
    const std::string target = include.substr(5, include.find('/', 5) - 5);
    if (target != room && !kMayInclude.at(room).count(target)) found.push_back(room + " may not include " + include);
    // Of the kernels, rooms other than model, engine, quantize and apps see only the element types and matrix description.
    if (target == "kernels" && (room == "formats" || room == "hub") && include != "mhub/kernels/dtype.h") {
      found.push_back(room + " may include only mhub/kernels/dtype.h of the kernels, not " + include);
    }
  }
  for (const auto& [prefix, rooms] : kLibraries) {
    if (include.rfind(prefix, 0) == 0 && !rooms.count(room)) found.push_back(room + " may not include <" + include + ">");
  }
  return found;
}

fs::path source_dir() {
  const char* dir = std::getenv("MHUB_SOURCE_DIR");
  return dir ? dir : ".";
}

TEST(Layering, ArrowsGoDownOnly) {
  const std::regex include_line(R"(^\s*#\s*include\s*["<]([^">]+)[">])");
  int files = 0;
  for (const char* top : {"apps", "kernels", "libmodelhub", "libserve", "registry"}) {
    for (const auto& entry : fs::recursive_directory_iterator(source_dir() / top)) {
      const auto extension = entry.path().extension();
      if (extension != ".cpp" && extension != ".h" && extension != ".cu" && extension != ".cuh" && extension != ".inc") continue;
      const std::string relative = fs::relative(entry.path(), source_dir()).generic_string();
      const std::string room = room_of(relative);
      ASSERT_FALSE(room.empty()) << relative << " is in no room of docs/design.md section 2";
      ++files;
      std::ifstream in(entry.path());
      std::string line;
      std::smatch match;
      while (std::getline(in, line)) {
        if (line.size() > 300 || line.find("include") == std::string::npos) continue;
        if (!std::regex_search(line, match, include_line)) continue;
        for (const auto& what : violations(room, match[1])) ADD_FAILURE() << relative << ": " << what;
      }
    }
  }
  EXPECT_GT(files, 20);
}

TEST(Layering, CatchesAnUpwardInclude) {
  EXPECT_FALSE(violations("sched", "mhub/model/model_runner.h").empty());
  EXPECT_FALSE(violations("kernels", "mhub/base/result.h").empty());
  EXPECT_FALSE(violations("hub", "mhub/engine/engine.h").empty());
  EXPECT_FALSE(violations("http", "curl/curl.h").empty());
  EXPECT_FALSE(violations("kernels", "spdlog/spdlog.h").empty());
  EXPECT_FALSE(violations("http", "nlohmann/json.hpp").empty());
  EXPECT_FALSE(violations("hub", "mhub/kernels/backend.h").empty());
  EXPECT_TRUE(violations("engine", "mhub/sched/scheduler.h").empty());
}
}  // namespace
