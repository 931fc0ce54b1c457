// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "mhub/hub/site.h"

namespace mhub::hub {
namespace {

constexpr size_t kLargestSite = 1u << 20;
constexpr size_t kMostEntries = 10'000;

// Where a value stands and what is wrong with it: every reader of this file ends in one of these.
class SiteError : public std::exception {
 public:
  SiteError(const YAML::Node& node, std::string what) : line_(node.Mark().line), what_(std::move(what)) {}
  int line() const { return line_; }
  const std::string& text() const { return what_; }

 private:
  int line_;
  std::string what_;
};

void check_keys(const YAML::Node& map, const std::string& of, const std::set<std::string>& known) {
  if (!map.IsMap()) throw SiteError(map, of + " is no map of keys and values");
  std::set<std::string> seen;
  for (const auto& item : map) {
    const std::string key = item.first.IsScalar() ? item.first.Scalar() : "";
    if (!known.contains(key)) throw SiteError(item.first, fmt::format("{} has no key '{}'", of, printable(key)));
    if (!seen.insert(key).second) throw SiteError(item.first, fmt::format("'{}' is there twice", key));
  }
}

std::string text_of(const YAML::Node& map, const char* key, bool needed) {
  const YAML::Node value = map[key];
  if (!value) {
    if (needed) throw SiteError(map, fmt::format("'{}' is missing", key));
    return "";
  }
  if (!value.IsScalar() || value.Scalar().empty()) throw SiteError(value, fmt::format("'{}' is no text", key));
  return value.Scalar();
}

template <typename T>
T number_of(const YAML::Node& map, const char* key, T absent, T smallest, T largest) {
  const YAML::Node value = map[key];
  if (!value) return absent;
  T number{};
  if (!value.IsScalar() || !YAML::convert<T>::decode(value, number) || number < smallest || number > largest) {
    throw SiteError(value, fmt::format("'{}' is no number from {} to {}", key, smallest, largest));
  }
  return number;
}

bool flag_of(const YAML::Node& map, const char* key) {
  const YAML::Node value = map[key];
  bool flag = false;
  if (value && !YAML::convert<bool>::decode(value, flag))
    throw SiteError(value, fmt::format("'{}' is no yes or no", key));
  return flag;
}

// One text or a list of them.
std::vector<std::string> texts_of(const YAML::Node& map, const char* key) {
  std::vector<std::string> texts;
  const YAML::Node value = map[key];
  if (!value) return texts;
  if (value.IsScalar()) return {value.Scalar()};
  if (!value.IsSequence()) throw SiteError(value, fmt::format("'{}' is no list", key));
  for (const auto& item : value) {
    if (!item.IsScalar() || item.Scalar().empty())
      throw SiteError(item, fmt::format("'{}' holds something that is no text", key));
    texts.push_back(item.Scalar());
  }
  return texts;
}

SiteModel read_model(const YAML::Node& node) {
  check_keys(node, "a model",
             {"model", "endpoint", "include", "exclude", "alias", "quantize", "repo_type", "local_dir"});
  SiteModel model;
  model.model = text_of(node, "model", true);
  const auto ref = ModelRef::parse(model.model);
  if (!ref) throw SiteError(node["model"], ref.error().message);
  model.ref = *ref;
  model.endpoints = texts_of(node, "endpoint");
  model.include = texts_of(node, "include");
  model.exclude = texts_of(node, "exclude");
  model.alias = text_of(node, "alias", false);
  model.local_dir = text_of(node, "local_dir", false);
  if (const std::string type = text_of(node, "repo_type", false); !type.empty()) {
    if (type != "model" && type != "dataset")
      throw SiteError(node["repo_type"], "'repo_type' is neither model nor dataset");
    if (type == "dataset") model.repo_type = RepoType::kDataset;
  }
  if (const YAML::Node quantize = node["quantize"]; quantize) {
    check_keys(quantize, "quantize", {"bits", "group_size", "method", "name", "symmetric"});
    SiteQuantize wanted;
    wanted.bits = number_of<int>(quantize, "bits", 0, 2, 16);
    if (wanted.bits == 0) throw SiteError(quantize, "'bits' is missing");
    if (quantize["group_size"]) wanted.group_size = number_of<int64_t>(quantize, "group_size", 0, 1, 1 << 20);
    if (const std::string method = text_of(quantize, "method", false); !method.empty()) wanted.method = method;
    wanted.name = text_of(quantize, "name", true);
    wanted.symmetric = flag_of(quantize, "symmetric");
    model.quantize = wanted;
  }
  return model;
}

SiteService read_service(const YAML::Node& node) {
  check_keys(node, "a service", {"model", "port", "unit", "host", "options"});
  SiteService service;
  service.model = text_of(node, "model", true);
  service.unit = text_of(node, "unit", true);
  service.port = number_of<int>(node, "port", 8000, 1, 65535);
  if (const std::string host = text_of(node, "host", false); !host.empty()) service.host = host;
  service.options = texts_of(node, "options");
  return service;
}

Site read_site(const YAML::Node& root) {
  check_keys(root, "the file", {"version", "models", "services"});
  if (number_of<int>(root, "version", 0, 0, 1 << 30) != 1) throw SiteError(root, "'version' is not 1");
  Site site;
  for (const char* key : {"models", "services"}) {
    if (root[key] && !root[key].IsSequence()) throw SiteError(root[key], fmt::format("'{}' is no list", key));
    if (root[key] && root[key].size() > kMostEntries) throw SiteError(root[key], fmt::format("'{}' is too long", key));
  }
  std::set<std::string> aliases, quantized, units;
  for (const auto& node : root["models"]) {
    SiteModel model = read_model(node);
    if (!model.alias.empty() && !aliases.insert(model.alias).second) {
      throw SiteError(node, fmt::format("the alias '{}' is there twice", printable(model.alias)));
    }
    if (model.quantize && !quantized.insert(model.quantize->name).second) {
      throw SiteError(node, fmt::format("the name '{}' is there twice", printable(model.quantize->name)));
    }
    site.models.push_back(std::move(model));
  }
  for (const auto& node : root["services"]) {
    SiteService service = read_service(node);
    if (!units.insert(service.unit).second) {
      throw SiteError(node, fmt::format("the unit '{}' is there twice", printable(service.unit)));
    }
    site.services.push_back(std::move(service));
  }
  return site;
}

}  // namespace

Result<Site> parse_site(std::string_view yaml, const std::filesystem::path& file) {
  const auto wrong = [&](int line, const std::string& what) {
    return Error{ErrorCode::kUsage, fmt::format("read {}:{}: {}", printable(file.string(), 1024), line + 1, what),
                 "docs/provisioning.md has every key", ""};
  };
  if (yaml.size() > kLargestSite) return wrong(0, fmt::format("it is over {} bytes", kLargestSite));
  // An alias may stand for its anchor any number of times: a short file could mean a huge one.
  if (yaml.find('&') != std::string_view::npos && yaml.find(" *") != std::string_view::npos) {
    for (size_t at = 0; (at = yaml.find('&', at)) != std::string_view::npos; ++at) {
      const bool begins = at == 0 || yaml[at - 1] == ' ' || yaml[at - 1] == '\n' || yaml[at - 1] == '[';
      if (begins) {
        const auto line = std::count(yaml.begin(), yaml.begin() + static_cast<ptrdiff_t>(at), '\n');
        return wrong(static_cast<int>(line), "YAML anchors are not read");
      }
    }
  }
  try {
    return read_site(YAML::Load(std::string(yaml)));
  } catch (const SiteError& error) {
    return wrong(std::max(error.line(), 0), error.text());
  } catch (const YAML::Exception& error) {
    return wrong(std::max(error.mark.line, 0), printable(error.msg));
  }
}

DownloadOptions download_options(const SiteModel& model) {
  DownloadOptions options;
  options.endpoints = model.endpoints;
  options.include = model.include;
  options.exclude = model.exclude;
  options.repo_type = model.repo_type;
  options.local_dir = model.local_dir;
  return options;
}

Result<std::string> service_unit(const SiteService& service, const std::filesystem::path& program,
                                 const std::filesystem::path& home) {
  const auto plain = [](const std::string& text) {
    return !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
      return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\'' || c == '\\' || c == '%' || c == '$' ||
             c == ';';
    });
  };
  std::vector<std::string> words = {
      program.string(), "serve", service.model, "--host", service.host, "--port", std::to_string(service.port)};
  words.insert(words.end(), service.options.begin(), service.options.end());
  words.push_back(home.string());
  for (const std::string& word : words) {
    if (plain(word)) continue;
    return Error{ErrorCode::kUsage,
                 fmt::format("write the unit '{}': '{}' has a blank, a quote, '%', '$' or ';'", printable(service.unit),
                             printable(word)),
                 "name the model by an alias, and give each option as a list item of its own", ""};
  }
  words.pop_back();
  std::string command;
  for (const std::string& word : words) command += (command.empty() ? "" : " ") + word;
  return fmt::format(
      "# Written by mhub apply; changes are overwritten.\n"
      "[Unit]\n"
      "Description=mhub serving {}\n"
      "After=network-online.target\n"
      "Wants=network-online.target\n"
      "\n"
      "[Service]\n"
      "Environment=MHUB_HOME={}\n"
      "ExecStart={}\n"
      "Restart=on-failure\n"
      "RestartSec=2\n"
      "KillSignal=SIGTERM\n"
      "TimeoutStopSec=45\n"
      "LimitNOFILE=65536\n"
      "\n"
      "[Install]\n"
      "WantedBy=default.target\n",
      service.model, home.string(), command);
}

}  // namespace mhub::hub
