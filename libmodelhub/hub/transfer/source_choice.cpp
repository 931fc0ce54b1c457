// SPDX-License-Identifier: Apache-2.0
#include "transfer/source_choice.h"

#include <optional>
#include <tuple>

namespace mhub::hub {
namespace {
constexpr int kMaxFailures = 3;       // without a whole part between them
constexpr int kConnectionsToTry = 2;  // of a source whose rate is not known
constexpr double kNewRateShare = 0.3;
}  // namespace

bool SourceChoice::Source::works() const {
  return !out && failures < kMaxFailures;
}

size_t SourceChoice::choose(const FileTransfer& file, const FailedSources& failed_at) const {
  const auto now = Clock::now();
  // What speaks against it, the worst first.
  const auto flaws = [&](size_t number) {
    const auto failed = failed_at.find(number);
    const Source& source = sources_[number];
    return std::tuple(failed != failed_at.end() && failed->second, !source.works(), failed != failed_at.end(),
                      source.opens > now);
  };
  std::optional<size_t> best;
  for (const FileSource& source : file.sources()) {
    const size_t number = source.source();
    if (sources_[number].out) continue;
    if (!best || flaws(number) < flaws(*best) ||
        (flaws(number) == flaws(*best) && better(sources_[number], sources_[*best]))) {
      best = number;
    }
  }
  return *best;
}

bool SourceChoice::better(const Source& a, const Source& b) const {
  const bool a_known = a.rate > 0, b_known = b.rate > 0;
  if (a_known && b_known && a.rate != b.rate) return a.rate > b.rate;
  if (a_known != b_known) return a_known ? b.active >= kConnectionsToTry : a.active < kConnectionsToTry;
  return a.active < b.active;
}

void SourceChoice::note_rate(size_t source, double bytes_per_second) {
  Source& noted = sources_[source];
  noted.rate = noted.rate == 0 ? bytes_per_second : noted.rate + kNewRateShare * (bytes_per_second - noted.rate);
}

bool SourceChoice::note_failure(size_t source) {
  return ++sources_[source].failures == kMaxFailures;
}

void SourceChoice::give_up_all_but_first() {
  for (size_t i = 1; i < sources_.size(); ++i) sources_[i].out = true;
}

bool SourceChoice::has_other(const FileTransfer& file, const FailedSources& than) const {
  for (const FileSource& source : file.sources()) {
    if (!than.contains(source.source()) && sources_[source.source()].works()) return true;
  }
  return false;
}

}  // namespace mhub::hub
