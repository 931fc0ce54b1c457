// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli.h"
#include "mhub/base/bytes.h"
#include "remote_options.h"
#include "table.h"

namespace mhub::apps {
namespace {

struct FilesCommand {
  std::string model;
  bool tree = false;
  RemoteOptions remote;
};

struct Folder {
  std::map<std::string, Folder> folders;
  std::map<std::string, uint64_t> files;
  uint64_t bytes = 0;
};

Folder folder_of(const std::vector<hub::RemoteFileInfo>& files) {
  Folder root;
  for (const auto& file : files) {
    Folder* at = &root;
    at->bytes += file.bytes;
    size_t begin = 0;
    for (size_t end; (end = file.path.find('/', begin)) != std::string::npos; begin = end + 1) {
      at = &at->folders[file.path.substr(begin, end - begin)];
      at->bytes += file.bytes;
    }
    at->files[file.path.substr(begin)] = file.bytes;
  }
  return root;
}

void draw(const Folder& folder, const std::string& indent, std::string& text) {
  const size_t count = folder.folders.size() + folder.files.size();
  size_t shown = 0;
  const auto branch = [&] { return ++shown == count ? "└── " : "├── "; };
  for (const auto& [name, inner] : folder.folders) {
    text += fmt::format("{}{}{}/  {}\n", indent, branch(), printable(name), human_bytes(inner.bytes));
    draw(inner, indent + (shown == count ? "    " : "│   "), text);
  }
  for (const auto& [name, bytes] : folder.files) {
    text += fmt::format("{}{}{}  {}\n", indent, branch(), printable(name), human_bytes(bytes));
  }
}

Result<void> files(const Cli& cli, const FilesCommand& command) {
  MHUB_TRY(const OpenedRemote opened, open_remote(command.model, command.remote, cli.stop_token()));
  const hub::RemoteModel& model = *opened.model;
  if (cli.json()) {
    Json list = Json::array();
    for (const auto& file : model.files()) {
      list.push_back(
          {{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}, {"git_sha1", file.git_sha1}});
    }
    cli.print_json({{"name", model.name()},
                    {"source", model.source()},
                    {"revision", model.revision()},
                    {"commit", model.commit()},
                    {"files", std::move(list)}});
    return {};
  }
  if (command.tree) {
    const Folder root = folder_of(model.files());
    std::string text = fmt::format("{}@{}  {}\n", model.name(), model.revision(), human_bytes(root.bytes));
    draw(root, "", text);
    text.pop_back();
    cli.print_line(text);
    return {};
  }
  Table table({{"FILE"}, {"SIZE", true}, {"HASH"}});
  for (const auto& file : model.files()) {
    const std::string hash = !file.sha256.empty()     ? "sha256:" + file.sha256
                             : !file.git_sha1.empty() ? "git:" + file.git_sha1
                                                      : "none";
    table.add({file.path, human_bytes(file.bytes), hash});
  }
  cli.print_line(table.text(cli.stdout_is_terminal()));
  return {};
}

}  // namespace

void add_files(Cli& cli) {
  auto command = std::make_shared<FilesCommand>();
  CLI::App* app =
      cli.command("files", "List the files of a model on a hub, with sizes and hashes",
                  "  mhub files Qwen/Qwen2.5-7B-Instruct --tree\n  mhub files hf:org/data --repo-type dataset",
                  [&cli, command] { return files(cli, *command); });
  app->add_option("MODEL", command->model, "[ms:|hf:]org/name[@revision] or http(s)://host[:port]/org/name[@revision]")
      ->required();
  app->add_flag("--tree", command->tree, "As a tree of folders");
  command->remote.add_to(app);
  cli.add_json_flag(app);
}

}  // namespace mhub::apps
