// SPDX-License-Identifier: Apache-2.0
// A registry of MODELS models with 10 files each (default 100,000): list, query, find, and the put of one more model,
// beside the ceiling of the latter: 4 KB written and synced on the same disk.
//   registry_bench [MODELS] [DIRECTORY]
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "mhub/registry/registry.h"

namespace {

using namespace mhub::registry;

FileRecord file_record(int model, int number) {
  FileRecord file;
  file.path = fmt::format("model-{:05}-of-00010.safetensors", number + 1);
  file.bytes = 1'000'000u + static_cast<uint64_t>(number);
  file.sha256 = fmt::format("{:056x}{:08x}", model, number);
  file.verified_at = "2026-11-25T10:00:00.000Z";
  file.inode = static_cast<uint64_t>(model) * 10 + static_cast<uint64_t>(number);
  return file;
}

ModelRecord model_record(int number) {
  ModelRecord model;
  model.name = fmt::format("org{:03}/model-{:06}", number % 500, number);
  model.source = number % 2 ? "modelscope" : "huggingface";
  model.endpoint = "https://hub.example";
  model.revision = "main";
  model.commit = fmt::format("{:040x}", number);
  model.path = fmt::format("/srv/mhub/models/{}/{}/{}", model.source, model.name, model.commit);
  model.format = "safetensors";
  model.quantization = number % 10 ? "BF16" : "int4-g128";
  model.architecture = "Qwen2ForCausalLM";
  model.created_at = fmt::format("2026-11-25T10:{:02}:{:02}.000Z", number / 60 % 60, number % 60);
  for (int f = 0; f < 10; ++f) model.files.push_back(file_record(number, f));
  return model;
}

// Median and worst of 15 runs, in milliseconds.
void time(const char* what, const std::function<size_t()>& body) {
  std::vector<double> runs;
  size_t rows = 0;
  for (int i = 0; i < 15; ++i) {
    const auto start = std::chrono::steady_clock::now();
    rows = body();
    runs.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(runs.begin(), runs.end());
  fmt::print("{{\"case\":\"{}\",\"rows\":{},\"median_ms\":{:.3f},\"worst_ms\":{:.3f}}}\n", what, rows, runs[7],
             runs.back());
}

template <typename T>
size_t count(const mhub::Result<T>& result) {
  if (!result) {
    fmt::print("{}\n", result.error().one_line());
    std::exit(1);
  }
  if constexpr (requires { result->rows; }) {
    return result->rows.size();
  } else {
    return result->size();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int models = argc > 1 ? std::atoi(argv[1]) : 100'000;
  const std::filesystem::path directory =
      argc > 2 ? argv[2] : (std::filesystem::temp_directory_path() / "mhub-registry-bench").string();
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  const auto file = directory / "registry.db";
  {
    std::vector<ModelRecord> rows;
    for (int i = 0; i < models; ++i) rows.push_back(model_record(i));
    const auto made = Registry::replace(file, rows);
    if (!made) return fmt::print("{}\n", made.error().one_line()), 1;
  }
  fmt::print("{} models, {} files, {} MB\n", models, models * 10, std::filesystem::file_size(file) >> 20);
  time("open", [&] { return Registry::open(file) ? size_t{1} : size_t{0}; });
  const auto registry = *Registry::open(file);
  time("list, first 100", [&] { return count(registry->list_models(ListFilter{.limit = 100})); });
  time("list 'org007/*'", [&] { return count(registry->list_models(ListFilter{.name = "org007/*"})); });
  time("list, the 100 largest",
       [&] { return count(registry->list_models(ListFilter{.order = ListFilter::Order::kBytes, .limit = 100})); });
  time("list, all", [&] { return count(registry->list_models(ListFilter())); });
  time("find by name", [&] { return registry->find_model("org007/model-000007") ? size_t{1} : size_t{0}; });
  time("query: sum of bytes by source",
       [&] { return count(registry->query("SELECT source, count(*), sum(bytes) FROM model GROUP BY source")); });
  time("query: files of one content", [&] {
    return count(registry->query(fmt::format("SELECT name, path FROM file WHERE sha256 = '{:056x}{:08x}'", 7, 3)));
  });
  time("query: files of one model",
       [&] { return count(registry->query("SELECT path, sha256 FROM file WHERE name = 'org007/model-000007'")); });
  const int fd = open((directory / "sync").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string page(4096, 'x');
  time("4 KB written and synced", [&] {
    const bool written = pwrite(fd, page.data(), page.size(), 0) == static_cast<ssize_t>(page.size());
    return written && fsync(fd) == 0 ? size_t{1} : size_t{0};
  });
  close(fd);
  int next = models;
  time("put one model of 10 files (synced)",
       [&] { return registry->put_model(model_record(next++)) ? size_t{10} : size_t{0}; });
  std::filesystem::remove_all(directory);
}
