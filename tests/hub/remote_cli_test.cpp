// SPDX-License-Identifier: Apache-2.0
// The commands that look at a hub: login, logout, whoami, search, info, files, inspect, plan.
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "contract/cli_fixture.h"
#include "support/fake_hub.h"

namespace mhub::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class RemoteCli : public CliTest {
 protected:
  RemoteCli() {
    hub_.set_file("config.json", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})");
    hub_.set_file("nested/deep/notes.txt", "hello");
    options_.environment["MODELSCOPE_ENDPOINT"] = hub_.url();
    options_.environment["HF_ENDPOINT"] = hub_.url();
    options_.environment["MHUB_RETRY_DELAY"] = "0.01";
    options_.environment["MHUB_RETRIES"] = "1";
    hub_.set_hook([](const HubRequest& request, HubReply& reply) { know_users(request, reply); });
  }
  // The token "good" is Ada's.
  static void know_users(const HubRequest& request, HubReply& reply) {
    if (request.path != "/api/whoami-v2" && request.path != "/openapi/v1/users/me") return;
    reply = HubReply();
    const auto found = request.headers.find("authorization");
    if (found == request.headers.end() || found->second != "Bearer good") {
      reply.status = 401;
      reply.body = R"({"error":"Invalid credentials in Authorization header"})";
      return;
    }
    reply.body = request.path == "/api/whoami-v2" ? R"({"type":"user","name":"ada"})"
                                                  : R"({"success":true,"data":{"username":"ada"}})";
  }
  static double children_seconds() {
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  }
  static std::string tensors(size_t count) {
    SafetensorsBuilder builder;
    for (size_t i = 0; i < count; ++i) builder.add_f32("layer." + std::to_string(i), {2, 2}, {1, 2, 3, 4});
    return builder.build();
  }
  FakeHub hub_;
};

TEST_F(RemoteCli, LoginIsCheckedStoredUsedAndForgotten) {
  EXPECT_THAT(fails({"whoami"}, 3), HasSubstr("mhub login"));
  EXPECT_THAT(fails({"login", "hf", "--token", "bad"}, 3), HasSubstr("settings/tokens"));
  EXPECT_FALSE(std::filesystem::exists(home() / "tokens.json"));
  EXPECT_EQ(json({"login", "hf", "--token", "good", "--json"})["user"], "ada");
  struct stat info {};
  ASSERT_EQ(stat((home() / "tokens.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const Json accounts = json({"whoami", "--json"})["accounts"];
  ASSERT_EQ(accounts.size(), 1u);
  EXPECT_EQ(accounts[0]["user"], "ada");
  EXPECT_EQ(accounts[0]["from"], "file");
  hub_.forget_requests();
  ASSERT_EQ(mhub({"download", "hf:org/name", "--quiet"}).exit_code, 0);
  for (const auto& request : hub_.requests()) EXPECT_EQ(request.headers.at("authorization"), "Bearer good");
  EXPECT_EQ(json({"logout", "hf", "--json"})["removed"], true);
  EXPECT_EQ(json({"logout", "hf", "--json"})["removed"], false);
  fails({"whoami"}, 3);
}

TEST_F(RemoteCli, EnvironmentGoesBeforeTheFileAndOptionBeforeBoth) {
  ASSERT_EQ(mhub({"login", "ms", "--token", "good"}).exit_code, 0);
  const auto token_sent = [&](std::vector<std::string> arguments) {
    hub_.forget_requests();
    arguments.insert(arguments.begin(), {"files", "org/name"});
    mhub(arguments);
    const auto requests = hub_.requests();
    const auto& headers = requests.front().headers;
    return headers.contains("authorization") ? headers.at("authorization").substr(7) : std::string("none");
  };
  EXPECT_EQ(token_sent({}), "good");
  options_.environment["MODELSCOPE_API_TOKEN"] = "environment";
  EXPECT_EQ(token_sent({}), "environment");
  EXPECT_EQ(token_sent({"--token", "option"}), "option");
  EXPECT_EQ(mhub({"whoami"}).exit_code, 3) << "the one in the environment is refused";
}

TEST_F(RemoteCli, StoredTokenGoesToItsHostOnly) {
  FakeHub other;
  other.set_file("config.json", "{}");
  ASSERT_EQ(mhub({"login", "hf", "--token", "good"}).exit_code, 0);
  ASSERT_EQ(mhub({"files", "hf:org/name", "--endpoint", other.url()}).exit_code, 0);
  ASSERT_EQ(mhub({"files", other.url() + "/org/name"}).exit_code, 0);
  for (const auto& request : other.requests()) EXPECT_FALSE(request.has("authorization")) << request.path;
}

TEST_F(RemoteCli, TokenFromStdinAndNothingPrinted) {
  const auto result = run_on_terminal(command({"login", "hf"}), "good\n", options_);
  EXPECT_EQ(result.exit_code, 0) << result.out;
  EXPECT_EQ(json({"whoami", "--json"})["accounts"][0]["user"], "ada");
  EXPECT_THAT(mhub({"whoami"}).out, Not(HasSubstr("good\n")));
}

TEST_F(RemoteCli, GatedSaysWhere) {
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    if (!request.path.starts_with("/api/models")) return;
    reply = HubReply();
    reply.status = 403;
    reply.set("X-Error-Code", "GatedRepo");
  });
  EXPECT_THAT(fails({"download", "hf:org/name"}, 3), HasSubstr(hub_.url() + "/org/name"));
}

TEST_F(RemoteCli, InfoOfBothHubs) {
  const Json hf = json({"info", "hf:org/name", "--json"});
  EXPECT_EQ(hf["license"], "apache-2.0");
  EXPECT_EQ(hf["gated"], true);
  EXPECT_EQ(hf["downloads"], 7);
  EXPECT_EQ(hf["files"], 2);
  EXPECT_EQ(hf["commit"], std::string(40, 'c'));
  const Json ms = json({"info", "ms:org/name", "--json"});
  EXPECT_EQ(ms["license"], "apache-2.0");
  EXPECT_EQ(ms["private"], false);
  EXPECT_THAT(mhub({"info", "org/name"}).out, HasSubstr("in 2 files"));
  fails({"info", "hf:other/name"}, 3);
}

TEST_F(RemoteCli, FilesAsTableTreeAndJson) {
  EXPECT_THAT(mhub({"files", "org/name"}).out, HasSubstr("sha256:" + sha256_of(hub_.content("config.json"))));
  const std::string tree = mhub({"files", "org/name", "--tree"}).out;
  EXPECT_THAT(tree, HasSubstr("nested/  5 B"));
  EXPECT_THAT(tree, HasSubstr("    └── notes.txt  5 B"));
  const Json files = json({"files", "hf:org/name", "--json"})["files"];
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0]["git_sha1"], git_sha1_of(hub_.content("config.json")));
}

TEST_F(RemoteCli, DatasetsOfBothHubs) {
  for (int i = 0; i < 210; ++i) hub_.set_file("part/" + std::to_string(i) + ".txt", std::to_string(i));
  for (const char* ref : {"ms:org/name", "hf:org/name"}) {
    const auto result = mhub({"download", ref, "--repo-type", "dataset", "--quiet"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("datasets/org/name"));
    const std::string path = result.out.substr(0, result.out.size() - 1);
    EXPECT_EQ(read_file(path + "/part/209.txt"), "209");
  }
  for (const auto& request : hub_.requests()) EXPECT_THAT(request.path, HasSubstr("datasets/"));
  EXPECT_EQ(json({"list", "--json"})["models"][0]["name"], "datasets/org/name");
}

TEST_F(RemoteCli, SearchOfBothHubs) {
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    if (request.path == "/api/models") {
      reply = HubReply();
      EXPECT_EQ(request.query_value("search"), "tiny llama");
      reply.body =
          R"([{"id":"org/tiny","downloads":5,"likes":1,"tags":["license:mit"],"private":false,"gated":false}])";
    }
    if (request.path == "/openapi/v1/models") {
      reply = HubReply();
      reply.body =
          R"({"success":true,"data":{"models":[{"id":"ms/tiny","downloads":9,"license":"MIT","file_size":10}]}})";
    }
  });
  const Json hf = json({"search", "tiny llama", "--source", "hf", "--json"})["models"];
  ASSERT_EQ(hf.size(), 1u);
  EXPECT_EQ(hf[0]["name"], "org/tiny");
  EXPECT_EQ(hf[0]["license"], "mit");
  const Json ms = json({"search", "tiny llama", "--json"})["models"];
  ASSERT_EQ(ms.size(), 1u);
  EXPECT_EQ(ms[0]["bytes"], 10);
  EXPECT_THAT(mhub({"search", "tiny llama"}).out, HasSubstr("ms/tiny"));
}

TEST_F(RemoteCli, InspectReadsHeadersOnly) {
  const std::string head = tensors(3);
  // A shard of 4 GB of which only the header exists: its tensor ends with the file.
  const uint64_t size = uint64_t{4} << 30;
  const std::string header = R"({"big":{"dtype":"U8","shape":[)" + std::to_string(size - 8 - 80) +
                             R"(],"data_offsets":[0,)" + std::to_string(size - 8 - 80) + "]}}";
  ASSERT_LE(header.size(), 80u);
  std::string big(8, '\0');
  big[0] = 80;
  big += header + std::string(80 - header.size(), ' ');
  hub_.set_headed_file("model-00002-of-00002.safetensors", big, size);
  hub_.set_file("model-00001-of-00002.safetensors", head);
  const Json listing = json({"inspect", "org/name", "--json"});
  EXPECT_EQ(listing["format"], "safetensors");
  EXPECT_EQ(listing["tensors"].size(), 4u);
  EXPECT_EQ(listing["bytes"], size + head.size());
  EXPECT_LT(listing["bytes_read"].get<uint64_t>(), 20'000u);
  EXPECT_LT(hub_.body_bytes_sent(), 20'000u);
  EXPECT_THAT(mhub({"inspect", "org/name"}).out, HasSubstr("layer.2"));
  EXPECT_EQ(json({"inspect", "org/name", "model-00001-of-00002.safetensors", "--json"})["tensors"].size(), 3u);
}

TEST_F(RemoteCli, InspectGgufAlsoWithALongVocabulary) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 20'000; ++i) tokens.push_back("token-" + std::to_string(i));
  const std::string file = GgufBuilder()
                               .text("general.architecture", "llama")
                               .texts("tokenizer.ggml.tokens", tokens)
                               .tensor_f32("token_embd.weight", {64, 64}, std::vector<float>(4096, 1))
                               .build();
  hub_.set_headed_file("model.gguf", file.substr(0, file.size() - 4096 * 4), file.size());
  const Json listing = json({"inspect", "org/name", "--json"});
  ASSERT_EQ(listing["tensors"].size(), 1u);
  EXPECT_EQ(listing["tensors"][0]["name"], "token_embd.weight");
  EXPECT_EQ(listing["metadata"]["general.architecture"], "llama");
  EXPECT_EQ(listing["metadata"]["tokenizer.ggml.tokens"], "[20000 values]");
}

TEST_F(RemoteCli, InspectRefusesWhatIsNoModel) {
  fails({"inspect", "org/name"}, 7);
  hub_.set_file("model.safetensors", "<html>this is not a model</html>");
  fails({"inspect", "org/name"}, 7);
  hub_.set_file("x.gguf", std::string(200'000, 'x'));
  fails({"inspect", "org/name", "x.gguf"}, 7);
  fails({"inspect", "org/name", "absent.gguf"}, 3);
}

TEST_F(RemoteCli, InspectOfWhatLiesHereAsksNobody) {
  ASSERT_EQ(mhub({"import", gguf_model().string(), "--name", "tiny"}).exit_code, 0);
  EXPECT_EQ(json({"inspect", "tiny", "--json"})["tensors"].size(), 1u);
  EXPECT_EQ(json({"inspect", safetensors_model().string(), "--json"})["tensors"].size(), 1u);
  EXPECT_TRUE(hub_.requests().empty());
}

TEST_F(RemoteCli, PlanSaysWhatIsFetchedAndWhatItNeeds) {
  const std::string data = std::string(std::getenv("MHUB_SOURCE_DIR")) + "/tests/data/deepseek-r1/";
  hub_.set_file("config.json", read_file(data + "distill-llama-8b.json"));
  hub_.set_headed_file("model.safetensors", "x", 16'060'556'376);
  const Json plan = json({"plan", "org/name", "--memory", "24GiB", "--context", "8192", "--json"});
  EXPECT_EQ(plan["bytes_to_fetch"], plan["bytes"]);
  EXPECT_EQ(plan["memory"]["weights"]["bytes"], 16'060'556'376u);
  EXPECT_EQ(plan["memory"]["weights"]["as_stored"], true);
  EXPECT_EQ(plan["memory"]["kv"]["bytes"], 131'072u * 8192);
  EXPECT_EQ(plan["memory"]["card"]["fits"], true);
  EXPECT_TRUE(plan["disk"]["enough"].is_boolean());
  ASSERT_EQ(mhub({"download", "org/name", "config.json", "--quiet"}).exit_code, 0);
  EXPECT_EQ(json({"plan", "org/name", "--json"})["bytes_reused"], hub_.content("config.json").size());
  EXPECT_THAT(mhub({"plan", "org/name", "--device", "t4"}).out, HasSubstr("fits          no"));
  fails({"plan", "org/name", "--memory", "many"}, 2);
  fails({"plan", "org/name", "--memory", "1G", "--device", "t4"}, 2);
  EXPECT_EQ(json({"plan", data + "r1-671b.json", "--json"})["memory"]["parameters"], 671'026'419'200u);
}

TEST_F(RemoteCli, PlanKnowsWhatIsHere) {
  const std::string data = std::string(std::getenv("MHUB_SOURCE_DIR")) + "/tests/data/deepseek-r1/";
  hub_.set_file("config.json", read_file(data + "distill-llama-8b.json"));
  hub_.set_file("model.bin", random_bytes(50'000, 1));
  ASSERT_EQ(mhub({"download", "org/name", "--quiet"}).exit_code, 0);
  hub_.forget_requests();
  const Json plan = json({"plan", "org/name", "--context", "8192", "--json"});
  EXPECT_EQ(plan["bytes_to_fetch"], 0);
  EXPECT_EQ(plan["commit"], std::string(40, 'c'));
  EXPECT_EQ(plan["memory"]["kv"]["bytes"], 131'072u * 8192);
  EXPECT_TRUE(hub_.requests().empty()) << "an installed model needs no hub";
  EXPECT_LT(json({"plan", "hf:org/name", "--json"})["bytes_to_fetch"], 1000)
      << "the other hub's files are known by their SHA-256; of small ones it gives none";
  EXPECT_FALSE(hub_.requests().empty());
  ASSERT_EQ(mhub({"import", gguf_model().string(), "--name", "mine"}).exit_code, 0);
  hub_.forget_requests();
  EXPECT_EQ(json({"plan", "local/mine", "--json"})["bytes_to_fetch"], 0);
  EXPECT_TRUE(hub_.requests().empty());
}

TEST_F(RemoteCli, PlanOf671BillionInUnderASecond) {
  const std::string data = std::string(std::getenv("MHUB_SOURCE_DIR")) + "/tests/data/deepseek-r1/";
  hub_.set_file("config.json", read_file(data + "r1-671b.json"));
  std::string index = R"({"metadata":{"total_size":688586727753},"weight_map":{)";
  for (int shard = 1; shard <= 163; ++shard) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05d-of-000163.safetensors", shard);
    hub_.set_headed_file(name, tensors(4), 4'300'000'000);
    for (int tensor = 0; tensor < 560; ++tensor) {
      index += (index.back() == '{' ? "" : ",") + std::string("\"t.") + std::to_string(shard) + "." +
               std::to_string(tensor) + "\":\"" + name + "\"";
    }
  }
  hub_.set_file("model.safetensors.index.json", index + "}}");
  const double before = children_seconds();
  const Json plan = json({"plan", "hf:org/name", "--device", "h200:8", "--concurrency", "32", "--json"});
  EXPECT_EQ(plan["memory"]["weights"]["bytes"], 163 * 4'300'000'000u);
  EXPECT_EQ(plan["memory"]["card"]["fits"], true);
  EXPECT_LT(children_seconds() - before, 1.0) << "of processor time: other tests may run beside this one";
}

}  // namespace
}  // namespace mhub::test
