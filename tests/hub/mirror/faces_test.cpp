// SPDX-License-Identifier: Apache-2.0
#include "mirror/faces.h"

#include <gtest/gtest.h>

#include "mhub/base/json.h"
#include "mirror/catalog.h"
#include "registry/records.h"
#include "support/temp_dir.h"

namespace mhub::hub {
namespace {

const std::string kCommit(40, 'c');

class Faces : public ::testing::Test {
 protected:
  Faces() : registry_(*registry::Registry::open(directory_ / "registry.db")) {
    auto model = registry::test::model_record("org/na.me", kCommit);
    model.files.push_back(registry::test::file_record("sub/dir/a b.txt", 5));
    EXPECT_TRUE(registry_->put_model(model));
  }
  httpd::Response get(const std::string& target) { return ask("GET", target, ""); }
  httpd::Response ask(const std::string& method, const std::string& target, const std::string& body) {
    httpd::Request request;
    request.method = method;
    request.raw_path = target.substr(0, target.find('?'));
    request.body = body;
    std::string rest = target.find('?') == std::string::npos ? "" : target.substr(target.find('?') + 1);
    while (!rest.empty()) {
      const std::string pair = rest.substr(0, rest.find('&'));
      request.query.emplace_back(pair.substr(0, pair.find('=')), pair.substr(pair.find('=') + 1));
      rest = rest.size() > pair.size() ? rest.substr(pair.size() + 1) : "";
    }
    const auto segments = path_segments(request.raw_path);
    EXPECT_TRUE(segments);
    if (auto response = modelscope_face(view_, request, *segments)) return *response;
    if (auto response = ollama_face(view_, request, *segments)) return *response;
    if (auto response = huggingface_face(view_, request, *segments)) return *response;
    httpd::Response none;
    none.status = 0;
    return none;
  }
  Json json(const std::string& target) {
    const auto response = get(target);
    EXPECT_EQ(response.status, 200) << target;
    return *parse_json(response.body);
  }

  test::TempDir directory_;
  std::unique_ptr<registry::Registry> registry_;
  MirrorCounters counters_;
  LibraryView view_{*registry_, directory_ / "registry.db", nullptr, false, counters_};
};

TEST(PathSegments, DecodeEachSegmentOnItsOwn) {
  EXPECT_EQ(path_segments("/a/refs%2Fpr%2F1//b"), (std::vector<std::string>{"a", "refs/pr/1", "b"}));
  EXPECT_FALSE(path_segments("/a%2"));
  EXPECT_FALSE(path_segments("/a%zz"));
}

TEST_F(Faces, ModelScopeListsFilesWithDigestsAndOneCommit) {
  const Json answer = json("/api/v1/models/org/na.me/repo/files?Revision=master&Recursive=True");
  EXPECT_EQ(answer["Code"], 200);
  EXPECT_EQ(answer["Success"], true);
  const Json& files = answer["Data"]["Files"];
  ASSERT_EQ(files.size(), 5u);  // three files, two directories on the way
  int blobs = 0;
  for (const Json& file : files) {
    EXPECT_EQ(file["Revision"], kCommit);
    if (file["Type"] == "blob") {
      ++blobs;
      EXPECT_EQ(file["Sha256"].get<std::string>().size(), 64u);
    }
  }
  EXPECT_EQ(blobs, 3);
}

TEST_F(Faces, ModelScopeListsOneDirectoryWithRoot) {
  EXPECT_EQ(json("/api/v1/models/org/na.me/repo/files?Recursive=False")["Data"]["Files"].size(), 3u);
  const Json files = json("/api/v1/models/org/na.me/repo/files?Root=sub&Recursive=false")["Data"]["Files"];
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0]["Path"], "sub/dir");
  EXPECT_EQ(files[0]["Type"], "tree");
}

TEST_F(Faces, ModelScopeMissesAre404InTheEnvelope) {
  for (const char* target : {"/api/v1/models/org/other/repo/files", "/api/v1/models/org/na.me/repo?FilePath=nope",
                             "/api/v1/models/org/na.me/repo/files?Revision=v9"}) {
    const auto response = get(target);
    EXPECT_EQ(response.status, 404) << target;
    EXPECT_EQ((*parse_json(response.body))["Success"], false) << target;
  }
}

TEST_F(Faces, ModelScopeHasRevisionsCommitsAndInfo) {
  EXPECT_EQ(json("/api/v1/models/org/na.me/revisions")["Data"]["RevisionMap"]["Branches"][0]["Revision"], "master");
  EXPECT_EQ(json("/api/v1/models/org/na.me/commits?Ref=master")["Data"]["Commit"][0]["Id"], kCommit);
  EXPECT_EQ(json("/api/v1/models/org/na.me")["Data"]["Name"], "na.me");
  EXPECT_EQ(json("/openapi/v1/models/org/na.me")["data"]["id"], "org/na.me");
}

TEST_F(Faces, HuggingFaceInfoPinsTheCommit) {
  for (const char* target : {"/api/models/org/na.me", "/api/models/org/na.me/revision/main"}) {
    const Json info = json(target);
    EXPECT_EQ(info["sha"], kCommit);
    EXPECT_EQ(info["siblings"].size(), 3u);
  }
  EXPECT_EQ(json("/api/models/org/na.me/refs")["branches"][0]["targetCommit"], kCommit);
}

TEST_F(Faces, HuggingFaceTreeHasDigestsAndNoXetFields) {
  const Json tree = json("/api/models/org/na.me/tree/" + kCommit + "?recursive=true");
  ASSERT_EQ(tree.size(), 3u);
  for (const Json& entry : tree) {
    EXPECT_EQ(entry["lfs"]["oid"].get<std::string>().size(), 64u);
    EXPECT_FALSE(entry.contains("xetHash"));
  }
  EXPECT_EQ(json("/api/models/org/na.me/tree/main/sub?recursive=true").size(), 1u);
  EXPECT_EQ(json("/api/models/org/na.me/tree/main")[2]["type"], "directory");
}

TEST_F(Faces, HuggingFacePathsInfoTakesFormsAndJson) {
  const std::string target = "/api/models/org/na.me/paths-info/main";
  for (const char* body : {"paths=config.json&paths=sub%2Fdir%2Fa+b.txt&expand=False",
                           R"({"paths": ["config.json", "sub/dir/a b.txt"]})"}) {
    EXPECT_EQ(parse_json(ask("POST", target, body).body)->size(), 2u) << body;
  }
}

TEST_F(Faces, HuggingFaceMissesCarryErrorCodes) {
  const auto code = [&](const std::string& target) {
    const auto response = get(target);
    EXPECT_EQ(response.status, 404) << target;
    for (const auto& [name, value] : response.headers) {
      if (name == "X-Error-Code") return value;
    }
    return std::string();
  };
  EXPECT_EQ(code("/api/models/org/other"), "RepoNotFound");
  EXPECT_EQ(code("/api/models/org/na.me/revision/v9"), "RevisionNotFound");
  EXPECT_EQ(code("/org/na.me/resolve/main/nope.txt"), "EntryNotFound");
}

TEST_F(Faces, CompleteRowsWinOverNewerPartOnes) {
  auto part = registry::test::model_record("org/na.me", std::string(40, 'd'));
  part.complete = false;
  part.created_at = "2026-11-26T10:00:00.000Z";
  ASSERT_TRUE(registry_->put_model(part));
  EXPECT_EQ(json("/api/models/org/na.me")["sha"], kCommit);
  EXPECT_EQ(get("/api/models/org/na.me/revision/" + part.commit).status, 404) << "not shown as whole";
}

TEST_F(Faces, AModelOfWhichOnlySomeFilesAreHereIsNotListedAsWhole) {
  auto part = registry::test::model_record("org/part", std::string(40, 'd'));
  part.complete = false;
  ASSERT_TRUE(registry_->put_model(part));
  for (const std::string target : {"/api/v1/models/org/part/repo/files?Recursive=True", "/api/v1/models/org/part",
                                   "/api/models/org/part", "/api/models/org/part/tree/main?recursive=true",
                                   "/api/models/org/part/revision/main", "/openapi/v1/models/org/part"}) {
    const auto response = get(target);
    EXPECT_EQ(response.status, 404) << target;
    EXPECT_NE(response.body.find("only some files"), std::string::npos) << target << response.body;
  }
  // Asked for by name, a file is served (here: it would be, were it on the disk).
  EXPECT_EQ(get("/org/part/resolve/main/config.json").status, 500);
  EXPECT_EQ(get("/api/v1/models/org/part/repo?FilePath=config.json").status, 500);
  LibraryView willing(*registry_, directory_ / "registry.db", nullptr, true, counters_);
  httpd::Request request;
  request.method = "GET";
  EXPECT_EQ(huggingface_face(willing, request, {"api", "models", "org", "part"})->status, 200);
}

TEST_F(Faces, OllamaGetsAManifestOfTheGgufFileAndItsBlobs) {
  auto model = registry::test::model_record("org/gguf", std::string(40, 'e'));
  model.files = {registry::test::file_record("tiny-Q4_K_M.gguf", 10),
                 registry::test::file_record("tiny-Q8_0.gguf", 20)};
  model.files[1].sha256 = std::string(64, 'b');
  ASSERT_TRUE(registry_->put_model(model));
  EXPECT_EQ(get("/v2/").status, 200);
  const auto answer = get("/v2/org/gguf/manifests/q8_0");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const Json manifest = *parse_json(answer.body);
  EXPECT_EQ(manifest["layers"][0]["digest"], "sha256:" + std::string(64, 'b'));
  EXPECT_EQ(manifest["layers"][0]["size"], 20);
  EXPECT_EQ(manifest["layers"][0]["mediaType"], "application/vnd.ollama.image.model");
  const auto config = get("/v2/org/gguf/blobs/" + manifest["config"]["digest"].get<std::string>());
  EXPECT_EQ(config.status, 200);
  EXPECT_EQ(config.body.size(), manifest["config"]["size"].get<size_t>());
  EXPECT_EQ(get("/v2/org/gguf/manifests/q8_0").body, answer.body) << "the same each time";
  EXPECT_EQ(get("/v2/org/gguf/manifests/latest").status, 404) << "two files: which one?";
  EXPECT_EQ(get("/v2/org/gguf/blobs/sha256:" + std::string(64, '0')).status, 404);
  EXPECT_EQ(get("/v2/org/none/manifests/latest").status, 404);
  EXPECT_EQ(get("/v2/org/na.me/manifests/latest").status, 404) << "no GGUF";
}

}  // namespace
}  // namespace mhub::hub
