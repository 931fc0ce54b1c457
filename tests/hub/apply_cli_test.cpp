// SPDX-License-Identifier: Apache-2.0
// `mhub apply`, `lock` and `doctor`.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <csignal>
#include <sstream>
#include <thread>

#include "contract/cli_fixture.h"
#include "support/fake_hub.h"
#include "support/tiny_model.h"

namespace mhub::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class ApplyCli : public CliTest {
 protected:
  ApplyCli() {
    hub_.set_file("config.json", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})");
    hub_.set_file("model.bin", random_bytes(2 << 20, 1));
    hub_.set_file("notes.txt", "not wanted");
    options_.environment["MODELSCOPE_ENDPOINT"] = hub_.url();
    options_.environment["HF_ENDPOINT"] = hub_.url();
    options_.environment["MHUB_RETRY_DELAY"] = "0.01";
    options_.environment["MHUB_RETRIES"] = "1";
    options_.environment["MHUB_UNIT_DIR"] = (dir_ / "units").string();
  }
  std::string site(const std::string& body) {
    write_file(dir_ / "site.yaml", "version: 1\n" + body);
    return (dir_ / "site.yaml").string();
  }
  std::string usual() {
    return site(
        "models:\n"
        "  - model: ms:org/name@master\n"
        "    include: [\"*.json\", \"*.bin\"]\n"
        "    alias: demo\n"
        "services:\n"
        "  - {model: demo, port: 18005, unit: mhub-demo}\n");
  }
  std::vector<std::string> actions(const std::string& file, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"apply", file, "--dry-run", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Json document = json(arguments);
    std::vector<std::string> found;
    for (const Json& change : document["changes"]) found.push_back(change["action"]);
    return found;
  }
  FakeHub hub_;
};

TEST_F(ApplyCli, DoesWhatTheFileSaysAndThenNothing) {
  const std::string file = usual();
  EXPECT_EQ(actions(file), (std::vector<std::string>{"download", "alias", "unit"}));
  EXPECT_EQ(hub_.body_requests(), 0u);
  EXPECT_FALSE(fs::exists(dir_ / "units"));
  const auto done = mhub({"apply", file, "--json"});
  ASSERT_EQ(done.exit_code, 0) << done.err << done.out;
  std::istringstream lines(done.out);
  Json last;
  for (std::string line; std::getline(lines, line);) last = *parse_json(line);
  EXPECT_EQ(last["event"], "summary");
  EXPECT_EQ(last["changes"], 3);
  const Json model = json({"show", "demo", "--json"});
  EXPECT_EQ(model["name"], "org/name");
  EXPECT_FALSE(fs::exists(model["path"].get<std::string>() + "/notes.txt"));
  const std::string unit = read_file(dir_ / "units/mhub-demo.service");
  EXPECT_THAT(unit, HasSubstr(" serve demo --host 127.0.0.1 --port 18005\n"));
  EXPECT_THAT(unit, HasSubstr("MHUB_HOME=" + home().string()));
  hub_.forget_requests();
  EXPECT_TRUE(actions(file).empty());
  EXPECT_EQ(mhub({"apply", file}).exit_code, 0);
  EXPECT_EQ(hub_.body_requests(), 0u);
}

TEST_F(ApplyCli, EachDifferenceIsSeenAlone) {
  const std::string file = usual();
  ASSERT_EQ(mhub({"apply", file, "--quiet"}).exit_code, 0);
  write_file(dir_ / "units/mhub-demo.service", "[Unit]\n");
  EXPECT_EQ(actions(file), std::vector<std::string>{"unit"});
  ASSERT_EQ(mhub({"apply", file, "--quiet"}).exit_code, 0);
  hub_.set_file("model.bin", random_bytes(1 << 20, 2));
  hub_.set_commit(std::string(40, 'd'));
  EXPECT_EQ(actions(file), (std::vector<std::string>{"download", "alias"}));
  ASSERT_EQ(mhub({"apply", file, "--quiet"}).exit_code, 0);
  EXPECT_EQ(json({"show", "demo", "--json"})["commit"], std::string(40, 'd'));
}

TEST_F(ApplyCli, PruneTakesOnlyWhatApplyInstalled) {
  ASSERT_EQ(mhub({"import", gguf_model().string(), "--name", "mine"}).exit_code, 0);
  ASSERT_EQ(mhub({"apply", usual(), "--quiet"}).exit_code, 0);
  const std::string empty = site("models: []\n");
  EXPECT_TRUE(actions(empty).empty());
  EXPECT_EQ(actions(empty, {"--prune"}), (std::vector<std::string>{"remove_unit", "remove_alias", "remove"}));
  ASSERT_EQ(mhub({"apply", empty, "--prune"}).exit_code, 0);
  const Json models = json({"list", "--json"})["models"];
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0]["name"], "local/mine");
  EXPECT_FALSE(fs::exists(dir_ / "units/mhub-demo.service"));
  EXPECT_TRUE(actions(empty, {"--prune"}).empty());
}

TEST_F(ApplyCli, MakesTheQuantizedVariantOnceAndAnewWhenItsSourceOrSettingsChange) {
  const auto serve_tiny = [&](uint64_t seed) {
    TinyModelOptions tiny;
    tiny.seed = seed;
    const fs::path made = dir_ / ("tiny-" + std::to_string(seed));
    write_tiny_model(made, tiny);
    for (const auto& entry : fs::directory_iterator(made)) {
      hub_.set_file(entry.path().filename(), read_file(entry.path()));
    }
  };
  const auto wanted = [&](int bits) {
    return site(
        fmt::format("models:\n"
                    "  - model: ms:org/name\n"
                    "    exclude: [model.bin, notes.txt]\n"
                    "    quantize: {{bits: {}, group_size: 32, name: tiny-small}}\n"
                    "services:\n"
                    "  - {{model: local/tiny-small, port: 18005, unit: mhub-tiny}}\n",
                    bits));
  };
  const auto variants = [&] {
    std::vector<std::string> found;
    const Json document = json({"list", "local/*", "--json"});
    for (const Json& model : document["models"]) found.push_back(model["quantization"]);
    return found;
  };
  serve_tiny(1);
  EXPECT_EQ(actions(wanted(4)), (std::vector<std::string>{"download", "quantize", "unit"}));
  const auto done = mhub({"apply", wanted(4), "--quiet"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_TRUE(actions(wanted(4)).empty());
  const Json card = json({"show", "local/tiny-small", "--json"})["card"];
  EXPECT_GT(card["perplexity"]["quantized"].get<double>(), 1.0);
  EXPECT_EQ(card["group_size"], 32);
  const auto four_bits = variants();
  ASSERT_EQ(four_bits.size(), 1u);

  EXPECT_EQ(actions(wanted(8)), std::vector<std::string>{"quantize"});
  ASSERT_EQ(mhub({"apply", wanted(8), "--quiet"}).exit_code, 0);
  EXPECT_TRUE(actions(wanted(8)).empty());
  ASSERT_EQ(variants().size(), 1u) << "the one of before is gone";
  EXPECT_NE(variants(), four_bits);

  serve_tiny(2);
  hub_.set_commit(std::string(40, 'd'));
  EXPECT_EQ(actions(wanted(8)), (std::vector<std::string>{"download", "quantize"}));
  ASSERT_EQ(mhub({"apply", wanted(8), "--quiet"}).exit_code, 0);
  EXPECT_TRUE(actions(wanted(8)).empty());
  EXPECT_EQ(variants().size(), 1u);

  EXPECT_EQ(actions(site("models: []\n"), {"--prune"}),
            (std::vector<std::string>{"remove_unit", "remove", "remove", "remove"}));
  ASSERT_EQ(mhub({"apply", site("models: []\n"), "--prune", "--quiet"}).exit_code, 0);
  EXPECT_TRUE(json({"list", "--json"})["models"].empty());
}

TEST_F(ApplyCli, AnInterruptedRunGoesOn) {
  const std::string file = usual();
  hub_.set_bytes_per_second(0.7e6);
  options_.while_running = [](pid_t pid) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1800));
    kill(pid, SIGTERM);
  };
  EXPECT_EQ(mhub({"apply", file}).exit_code, 143);
  options_.while_running = {};
  hub_.set_bytes_per_second(0);
  const uint64_t before = hub_.body_bytes_sent();
  ASSERT_EQ(mhub({"apply", file}).exit_code, 0);
  EXPECT_LT(hub_.body_bytes_sent() - before, hub_.content("model.bin").size() - 100'000);
  EXPECT_TRUE(actions(file).empty());
}

TEST_F(ApplyCli, LockHoldsEveryByte) {
  const std::string file = usual();
  EXPECT_THAT(fails({"apply", file, "--locked"}, 2), HasSubstr("mhub lock"));
  const Json locked = json({"lock", file, "--json"});
  EXPECT_EQ(locked["path"], (dir_ / "mhub.lock").string());
  const Json lock = *parse_json(read_file(dir_ / "mhub.lock"));
  ASSERT_EQ(lock["models"][0]["files"].size(), 2u);
  EXPECT_EQ(lock["models"][0]["commit"], std::string(40, 'c'));
  EXPECT_EQ(lock["models"][0]["files"][1]["sha256"], sha256_of(hub_.content("model.bin")));
  EXPECT_EQ(mhub({"apply", file, "--locked", "--quiet"}).exit_code, 0);
  EXPECT_EQ(mhub({"apply", file, "--locked", "--quiet"}).exit_code, 0);
}

TEST_F(ApplyCli, DriftIsRefusedBeforeAByte) {
  const std::string file = usual();
  ASSERT_EQ(mhub({"lock", file}).exit_code, 0);
  const std::string bytes = hub_.content("model.bin");
  const auto refused = [&](const std::string& why) {
    hub_.forget_requests();
    EXPECT_THAT(fails({"apply", file, "--locked"}, 8), HasSubstr(why));
    EXPECT_EQ(hub_.body_requests(), 0u);
  };
  hub_.set_file("model.bin", random_bytes(2 << 20, 9));
  refused("another hash");
  hub_.set_file("model.bin", bytes + "x");
  refused("bytes");
  hub_.set_file("model.bin", bytes);
  hub_.set_file("new.bin", "x");
  refused("is new");
  FakeHub other;
  other.set_file("config.json", hub_.content("config.json"));
  options_.environment["MODELSCOPE_ENDPOINT"] = other.url();
  EXPECT_THAT(fails({"apply", file, "--locked"}, 8), HasSubstr("is gone"));
  other.set_commit(std::string(40, 'e'));
  EXPECT_THAT(fails({"apply", file, "--locked"}, 8), HasSubstr("commit"));
  write_file(dir_ / "mhub.lock", "{}");
  fails({"apply", file, "--locked"}, 8);
}

TEST_F(ApplyCli, MistakesNameFileLineAndKey) {
  const auto wrong = [&](const std::string& body, const std::string& why, int line) {
    const std::string file = site(body);
    const std::string said = fails({"apply", file, "--dry-run"}, 2);
    EXPECT_THAT(said, HasSubstr(why));
    EXPECT_THAT(said, HasSubstr("site.yaml:" + std::to_string(line) + ":"));
  };
  wrong("modles: []\n", "no key 'modles'", 2);
  wrong("models:\n  - model: ms:org/name\n    inclde: x\n", "no key 'inclde'", 4);
  wrong("models:\n  - alias: x\n", "'model' is missing", 3);
  wrong("models:\n  - model: a/b/c\n", "more than one '/'", 3);
  wrong("models: {}\n", "no list", 2);
  wrong("services:\n  - {model: x, unit: u, port: 99999}\n", "'port'", 3);
  wrong("services:\n  - {model: x, unit: u}\n  - {model: y, unit: u}\n", "twice", 4);
  wrong("models:\n  - model: org/name\n    quantize: {bits: 4}\n", "'name' is missing", 4);
  fails({"apply", site("models: [")}, 2);
  write_file(dir_ / "site.yaml", "version: 2\n");
  EXPECT_THAT(fails({"apply", (dir_ / "site.yaml").string()}, 2), HasSubstr("version"));
  fails({"apply", (dir_ / "absent.yaml").string()}, 2);
  EXPECT_TRUE(hub_.requests().empty());
}

TEST_F(ApplyCli, AUnitHoldsNoSurprises) {
  const auto refused = [&](const std::string& service) {
    fails({"apply", site("services:\n  - " + service + "\n")}, 2);
    EXPECT_FALSE(fs::exists(dir_ / "units"));
  };
  refused("{model: \"x; rm -rf /\", unit: u}");
  refused("{model: \"x\\nExecStart=/bin/sh\", unit: u}");
  refused("{model: x, unit: ../u}");
  refused("{model: x, unit: u, host: \"%h\"}");
}

TEST_F(ApplyCli, DoctorFindsWhatIsThere) {
  const Json checks = json({"doctor", "--json"})["checks"];
  const auto find = [&](const std::string& name) {
    for (const Json& check : checks) {
      if (check["check"] == name) return check;
    }
    return Json();
  };
  for (const char* name : {"store", "space", "write", "locks", "sharing", "registry", "processor", "driver", "proxy",
                           "certificates", "tokens", "clock"}) {
    EXPECT_FALSE(find(name).is_null()) << name;
  }
  EXPECT_EQ(find("write")["state"], "good");
  EXPECT_EQ(find("hub " + hub_.url())["state"], "good");
  EXPECT_EQ(find("locks")["state"], "good");
  EXPECT_THAT(mhub({"doctor", "--offline", "--speed", "org/name"}).out, HasSubstr("/s over"));
  for (const auto& entry : fs::directory_iterator(home())) {
    EXPECT_FALSE(entry.path().filename().string().starts_with(".doctor")) << "nothing is left behind";
  }
}

TEST_F(ApplyCli, DoctorFailsWithTheCodeOfWhatFailed) {
  options_.environment["HF_ENDPOINT"] = "http://127.0.0.1:1";
  EXPECT_EQ(mhub({"doctor"}).exit_code, 3);
  options_.environment["HF_ENDPOINT"] = hub_.url();
  hub_.set_hook([](const HubRequest&, HubReply& reply) { reply.set("Date", "Mon, 01 Jan 2001 00:00:00 GMT"); });
  const auto result = mhub({"doctor"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.out, HasSubstr("timedatectl"));
  EXPECT_EQ(mhub({"doctor", "--offline"}).exit_code, 0);
}

TEST_F(ApplyCli, DoctorSeesLocksThatDoNothing) {
  options_.environment["LD_PRELOAD"] = std::getenv("MHUB_FAULT_LIBRARY");
  options_.environment["MHUB_NO_LOCKS"] = "1";
  const auto result = mhub({"doctor", "--offline"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("it does nothing here"));
}

}  // namespace
}  // namespace mhub::test
