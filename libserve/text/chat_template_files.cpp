// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "mhub/text/chat_template.h"

namespace mhub::text {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxTemplateBytes = 1u << 20;
constexpr size_t kMaxConfigBytes = 8u << 20;

Error unreadable(const fs::path& file, std::string_view what) {
  return Error{ErrorCode::kBadModel, fmt::format("reading {}: {}", printable(file.string()), what),
               "check the file, or give a template with --chat-template", ""};
}

Result<std::string> read_file(const fs::path& file, size_t max_bytes) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  const auto size = in ? static_cast<std::streamoff>(in.tellg()) : std::streamoff{-1};
  if (size < 0) return unreadable(file, "it cannot be opened");
  if (static_cast<size_t>(size) > max_bytes) return unreadable(file, fmt::format("it is over {} bytes", max_bytes));
  std::string text(static_cast<size_t>(size), '\0');
  if (!in.seekg(0).read(text.data(), size)) return unreadable(file, "it cannot be read");
  return text;
}

// "chat_template": a string, or a list of {"name", "template"}.
void add_templates(const Json& value, std::vector<ChatTemplateSource>& out) {
  if (value.is_string()) {
    out.push_back({"default", value.get<std::string>()});
  } else if (value.is_array()) {
    for (const Json& entry : value) {
      if (!entry.is_object() || !entry.contains("template") || !entry["template"].is_string()) continue;
      const auto name = entry.find("name");
      out.push_back({name != entry.end() && name->is_string() ? name->get<std::string>() : "default",
                     entry["template"].get<std::string>()});
    }
  }
}

Result<void> add_from_json(const fs::path& file, std::vector<ChatTemplateSource>& out) {
  MHUB_TRY(const std::string text, read_file(file, kMaxConfigBytes));
  const auto json = parse_json(text);
  if (!json) return unreadable(file, json.error().message);
  if (json->is_object() && json->contains("chat_template")) add_templates((*json)["chat_template"], out);
  return {};
}

Result<void> add_additional(const fs::path& dir, std::vector<ChatTemplateSource>& out) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".jinja") files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    MHUB_TRY(std::string text, read_file(file, kMaxTemplateBytes));
    out.push_back({file.stem().string(), std::move(text)});
  }
  return {};
}

}  // namespace

Result<std::vector<ChatTemplateSource>> read_chat_templates(const fs::path& dir) {
  std::vector<ChatTemplateSource> out;
  std::error_code ignored;
  if (fs::exists(dir / "chat_template.jinja", ignored)) {
    MHUB_TRY(std::string text, read_file(dir / "chat_template.jinja", kMaxTemplateBytes));
    out.push_back({"default", std::move(text)});
    MHUB_CHECK_OK(add_additional(dir / "additional_chat_templates", out));
    return out;
  }
  for (const char* name : {"chat_template.json", "tokenizer_config.json"}) {
    if (!out.empty() || !fs::exists(dir / name, ignored)) continue;
    MHUB_CHECK_OK(add_from_json(dir / name, out));
  }
  return out;
}

std::vector<ChatTemplateSource> chat_templates_from_gguf(const formats::GgufFile& gguf) {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  std::vector<ChatTemplateSource> out;
  if (auto text = gguf.string(kKey)) out.push_back({"default", std::move(*text)});
  for (auto it = gguf.metadata.lower_bound(kKey); it != gguf.metadata.end() && it->first.starts_with(kKey); ++it) {
    const std::string_view key = it->first;
    if (key.size() <= kKey.size() + 1 || key[kKey.size()] != '.') continue;
    if (const auto* text = std::get_if<std::string>(&it->second)) {
      out.push_back({std::string(key.substr(kKey.size() + 1)), *text});
    }
  }
  return out;
}

}  // namespace mhub::text
