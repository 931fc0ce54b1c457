// SPDX-License-Identifier: Apache-2.0
// Hostile names and hostile redirects, many of each: nothing outside the target, no token at another host.
#include <fmt/format.h>

#include <map>

#include "hub/transfer/download_fixture.h"
#include "mhub/base/json.h"

namespace mhub::hub::test {
namespace {

std::vector<std::string> hostile_names() {
  std::vector<std::string> names = {"",
                                    ".",
                                    "..",
                                    "/",
                                    "//",
                                    "../x",
                                    "../../x",
                                    "a/../x",
                                    "a/../../x",
                                    "a/..",
                                    "a/.",
                                    "./a",
                                    "a/./b",
                                    "a//b",
                                    "/a",
                                    "/etc/passwd",
                                    "//host/share",
                                    "a/",
                                    "..\\x",
                                    "a\\..\\x",
                                    "\\x",
                                    "\\\\host\\x",
                                    "C:\\x",
                                    "C:/x",
                                    "C:x",
                                    "D:x",
                                    "c:",
                                    "a:b",
                                    ".mhub",
                                    ".mhub/x",
                                    "a/.mhub/x",
                                    ".git/config",
                                    ".git",
                                    "a/.git/hooks/x",
                                    ".lock",
                                    "x.part",
                                    "a/x.part",
                                    "-rf",
                                    "a/-rf",
                                    "a ",
                                    "a.",
                                    "a/b ",
                                    "a/b./c",
                                    "CON",
                                    "con",
                                    "con.txt",
                                    "NUL",
                                    "aux",
                                    "a/PRN.bin",
                                    "COM1",
                                    "LPT9.txt",
                                    "\x01",
                                    "a\tb",
                                    "a\nb",
                                    "a\rb",
                                    "a\x7f"
                                    "b",
                                    "\x1b[2J",
                                    "a\x1f"};
  for (int control = 1; control < 32; ++control) names.push_back(std::string("x") + static_cast<char>(control));
  names.push_back(std::string(256, 'a'));
  names.push_back("d/" + std::string(300, 'a'));
  names.push_back(std::string(2000, 'a'));
  std::string deep;
  for (int i = 0; i < 70; ++i) deep += "d/";
  names.push_back(deep + "x");
  for (int i = 0; names.size() < 120; ++i) {
    std::string climb = "ok/";
    for (int up = 0; up <= i; ++up) climb += "../";
    names.push_back(climb + "escape");
  }
  return names;
}

class Hostile : public DownloadTest {
 protected:
  Hostile() { hub_.set_file("model.bin", random_bytes(5'000, 1)); }
  std::map<std::string, uint64_t> everything_outside() const {
    std::map<std::string, uint64_t> found;
    for (const auto& entry : fs::recursive_directory_iterator(dir_.path())) {
      if (entry.path().string().starts_with((dir_ / "home").string())) continue;
      found[entry.path()] = entry.is_regular_file() ? entry.file_size() : 0;
    }
    return found;
  }
};

TEST_F(Hostile, H01OneBadNameRefusesTheWholeListing) {
  write_file(dir_ / "canary", "stays");
  const auto before = everything_outside();
  const auto names = hostile_names();
  ASSERT_GE(names.size(), 120u);
  for (const std::string& name : names) {
    hub_.set_hook([&](const HubRequest& request, HubReply& reply) {
      if (!request.path.ends_with("/repo/files")) return;
      auto listing = *parse_json(reply.body);
      Json entry = listing["Data"]["Files"][0];
      entry["Path"] = name;
      listing["Data"]["Files"].push_back(entry);
      reply.body = dump_json(listing);
    });
    const auto result = download();
    ASSERT_FALSE(result) << "'" << printable(name) << "' was taken";
    EXPECT_EQ(error_info(result.error().code).exit_code, 8) << printable(name) << ": " << result.error().one_line();
    EXPECT_TRUE(final_files().empty()) << printable(name);
  }
  EXPECT_EQ(hub_.body_requests(), 0u);
  EXPECT_EQ(everything_outside(), before);
}

TEST_F(Hostile, H08FortyRedirectsLeakNothing) {
  FakeHub other;
  other.set_file("model.bin", hub_.content("model.bin"));
  const int port = other.port();
  const auto loopback = [port](const std::string& host) { return fmt::format("http://{}:{}/x", host, port); };
  const std::vector<std::string> targets = {"file:///etc/passwd",
                                            "FILE:///etc/passwd",
                                            "gopher://127.0.0.1/_x",
                                            "ftp://127.0.0.1/x",
                                            "dict://127.0.0.1/x",
                                            "ldap://127.0.0.1/",
                                            "tftp://127.0.0.1/x",
                                            "data:text/plain,x",
                                            "javascript:alert(1)",
                                            "ws://127.0.0.1/x",
                                            "http://169.254.169.254/latest",
                                            "http://169.254.169.254:80/",
                                            "http://[::ffff:169.254.169.254]/",
                                            "http://[::ffff:a9fe:a9fe]/",
                                            "http://2852039166/",
                                            "http://0xa9fea9fe/",
                                            "http://0251.0376.0251.0376/",
                                            "http://169.254.43518/",
                                            "http://[64:ff9b::a9fe:a9fe]/",
                                            "http://user:pass@127.0.0.1/",
                                            "http://user@127.0.0.1/",
                                            "http://127.0.0.1\\@evil.invalid/",
                                            "http:\\\\127.0.0.1\\x",
                                            "http:///x",
                                            "http://",
                                            "://",
                                            "http://:0/",
                                            "http://127.0.0.1:99999/",
                                            "http://127.0.0.1:-1/",
                                            "http://[::1/",
                                            "https://127.0.0.1:1/",
                                            "\\\\host\\share",
                                            loopback("127.0.0.1"),
                                            loopback("localhost"),
                                            loopback("127.1"),
                                            loopback("2130706433"),
                                            loopback("0x7f000001"),
                                            loopback("017700000001"),
                                            "//127.0.0.1:" + std::to_string(port) + "/y",
                                            loopback("LOCALHOST"),
                                            loopback("[::ffff:127.0.0.1]"),
                                            fmt::format("http://127.0.0.1:{}#@evil.invalid/", port)};
  ASSERT_GE(targets.size(), 40u);
  config_.modelscope_token = config_.huggingface_token = "canary-token";
  config_.retries = 0;
  reopen();
  for (const std::string& target : targets) {
    for (const bool listing : {false, true}) {
      hub_.set_hook([&](const HubRequest& request, HubReply& reply) {
        if (request.file.empty() != listing) return;
        reply = HubReply();
        reply.status = 302;
        reply.set("Location", target);
      });
      DownloadOptions options;
      options.force = true;
      const auto result = download(options);
      if (result) {
        EXPECT_EQ(read_file(result->path / "model.bin"), hub_.content("model.bin")) << target;
        continue;
      }
      const int code = error_info(result.error().code).exit_code;
      EXPECT_TRUE(code == 8 || code == 3 || code == 4) << target << ": " << result.error().one_line();
      EXPECT_EQ(result.error().one_line().find("canary"), std::string::npos);
    }
  }
  for (const HubRequest& request : other.requests()) {
    for (const auto& [name, value] : request.headers) {
      EXPECT_EQ(value.find("canary"), std::string::npos) << request.path << " was sent " << name;
    }
  }
}

}  // namespace
}  // namespace mhub::hub::test
