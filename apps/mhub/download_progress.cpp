// SPDX-License-Identifier: Apache-2.0
#include "download_progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "mhub/base/bytes.h"

namespace mhub::apps {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string duration(double seconds) {
  if (seconds < 0 || seconds > 359'999) return "--:--";
  const int whole = static_cast<int>(seconds + 0.5);
  if (whole < 3600) return fmt::format("{:02}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

// What every text form counts: done and total over all files, and the rate over the last seconds.
class Tally {
 public:
  void plan(const hub::DownloadPlan& plan) {
    files_.clear();
    total_ = done_ = 0;
    for (const auto& file : plan.files) {
      if (!file.present) total_ += file.bytes;
    }
    mark_ = start_ = Clock::now();
  }
  void progress(const std::string& path, uint64_t done) {
    uint64_t& before = files_[path];
    done_ += done - before;                                              // goes back when a file is started again
    if (before == 0 && seconds_since(start_) < 0.5) mark_done_ += done;  // what an earlier run had
    before = done;
    if (const double window = seconds_since(mark_); window >= 1) {
      const double now = static_cast<double>(done_ - std::min(done_, mark_done_)) / window;
      rate_ = rate_ == 0 ? now : 0.7 * rate_ + 0.3 * now;
      mark_ = Clock::now();
      mark_done_ = done_;
    }
  }
  std::string text() const {
    const double left = rate_ > 0 ? static_cast<double>(total_ - std::min(done_, total_)) / rate_ : -1;
    return fmt::format("{} of {} ({}%), {}/s, {} left", human_bytes(done_), human_bytes(total_), percent(),
                       human_bytes(static_cast<uint64_t>(rate_)), duration(left));
  }
  uint64_t percent() const { return total_ == 0 ? 100 : std::min<uint64_t>(done_ * 100 / total_, 100); }
  uint64_t total() const { return total_; }

 private:
  std::map<std::string, uint64_t> files_;
  uint64_t total_ = 0, done_ = 0, mark_done_ = 0;
  Clock::time_point start_, mark_;
  double rate_ = 0;
};

std::string plan_text(const hub::DownloadPlan& plan) {
  return fmt::format("{} from {}, revision {}{}: {} files, {} to fetch", plan.name, plan.source, plan.revision,
                     plan.commit.empty() || plan.commit == plan.revision ? "" : " = " + plan.commit.substr(0, 12),
                     plan.files.size(), human_bytes(plan.bytes_to_fetch));
}

std::string retry_text(const std::string& path, const std::string& reason) {
  return path.empty() ? reason : fmt::format("{}: {}", printable(path), reason);
}

class JsonProgress final : public hub::ProgressSink {
 public:
  explicit JsonProgress(const Cli& cli) : cli_(cli) {}
  void on_plan(const hub::DownloadPlan& plan) override {
    Json files = Json::array();
    for (const auto& file : plan.files) {
      files.push_back({{"path", file.path}, {"bytes", file.bytes}, {"present", file.present}});
    }
    cli_.print_json({{"event", "plan"},
                     {"name", plan.name},
                     {"source", plan.source},
                     {"revision", plan.revision},
                     {"commit", plan.commit},
                     {"path", plan.directory.string()},
                     {"bytes_to_fetch", plan.bytes_to_fetch},
                     {"files", std::move(files)}});
  }
  void on_progress(const std::string& path, uint64_t done, uint64_t total) override {
    auto& last = last_[path];
    if (done < total && seconds_since(last) < 0.5) return;
    last = Clock::now();
    cli_.print_json({{"event", "progress"}, {"path", path}, {"done", done}, {"total", total}});
  }
  void on_retry(const std::string& path, const std::string& reason) override {
    cli_.print_json({{"event", "retry"}, {"path", path}, {"reason", reason}});
  }
  void on_file_done(const std::string& path, const std::string& sha256, uint64_t bytes) override {
    cli_.print_json({{"event", "file_done"}, {"path", path}, {"sha256", sha256}, {"bytes", bytes}});
  }

 private:
  const Cli& cli_;
  std::map<std::string, Clock::time_point> last_;
};

class LineProgress final : public hub::ProgressSink {
 public:
  explicit LineProgress(const Cli& cli) : cli_(cli) {}
  void on_plan(const hub::DownloadPlan& plan) override {
    tally_.plan(plan);
    last_ = Clock::now();
    if (plan.bytes_to_fetch > 0) cli_.note(plan_text(plan));
  }
  void on_progress(const std::string& path, uint64_t done, uint64_t) override {
    tally_.progress(path, done);
    if (seconds_since(last_) < 10) return;
    last_ = Clock::now();
    cli_.note(tally_.text());
  }
  void on_retry(const std::string& path, const std::string& reason) override { cli_.note(retry_text(path, reason)); }

 private:
  const Cli& cli_;
  Tally tally_;
  Clock::time_point last_;
};

// A block of lines at the bottom of the terminal: one per file under way, one in total; redrawn in place.
class BarProgress final : public hub::ProgressSink {
 public:
  explicit BarProgress(const Cli& cli) : cli_(cli) {}
  ~BarProgress() override { erase(); }
  void on_plan(const hub::DownloadPlan& plan) override {
    erase();
    tally_.plan(plan);
    if (plan.bytes_to_fetch > 0) cli_.note(plan_text(plan));
  }
  void on_progress(const std::string& path, uint64_t done, uint64_t total) override {
    tally_.progress(path, done);
    under_way_[path] = {done, total};
    if (seconds_since(drawn_) >= 0.1) draw();
  }
  void on_retry(const std::string& path, const std::string& reason) override {
    erase();
    cli_.note(retry_text(path, reason));
  }
  void on_file_done(const std::string& path, const std::string&, uint64_t) override { under_way_.erase(path); }

 private:
  struct Bytes {
    uint64_t done = 0, total = 0;
  };
  static constexpr size_t kMostFiles = 8;

  void erase() {
    if (lines_ > 0) std::fputs(fmt::format("\x1b[{}A\x1b[J", lines_).c_str(), stderr);
    lines_ = 0;
  }
  static std::string bar(uint64_t done, uint64_t total, size_t width) {
    const size_t full = total == 0 ? width : static_cast<size_t>(done * width / total);
    return "[" + std::string(full, '#') + std::string(width - std::min(full, width), '.') + "]";
  }
  void draw() {
    winsize window{};
    const size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
    erase();
    std::string block;
    const auto add = [&](std::string line) {
      if (line.size() >= columns) line.resize(columns - 1);
      block += line + "\n";
      ++lines_;
    };
    for (const auto& [path, bytes] : under_way_) {
      if (lines_ == kMostFiles) break;
      const std::string name = printable(path, 40);
      add(fmt::format("{:<32} {} {:>3}% of {}", name, bar(bytes.done, bytes.total, 20),
                      bytes.total == 0 ? 100 : bytes.done * 100 / bytes.total, human_bytes(bytes.total)));
    }
    add(fmt::format("total {} {}", bar(tally_.percent(), 100, 20), tally_.text()));
    std::fputs(block.c_str(), stderr);
    std::fflush(stderr);
    drawn_ = Clock::now();
  }

  const Cli& cli_;
  Tally tally_;
  std::map<std::string, Bytes> under_way_;
  int lines_ = 0;
  Clock::time_point drawn_;
};

class QuietProgress final : public hub::ProgressSink {};

}  // namespace

std::unique_ptr<hub::ProgressSink> make_progress(const Cli& cli, bool quiet) {
  if (cli.json()) return std::make_unique<JsonProgress>(cli);
  if (quiet) return std::make_unique<QuietProgress>();
  if (cli.stderr_is_terminal()) return std::make_unique<BarProgress>(cli);
  return std::make_unique<LineProgress>(cli);
}

}  // namespace mhub::apps
