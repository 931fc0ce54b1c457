// SPDX-License-Identifier: Apache-2.0
#include "transfer/downloader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "net/url.h"
#include "store/open_beneath.h"

namespace mhub::hub {
namespace {

constexpr uint64_t kSmallFile = 1u << 20;  // placed together with others
constexpr size_t kMostOpenFiles = 320, kFewestOpenFiles = 16;
constexpr size_t kOtherDescriptors = 160;  // connections, registry, libraries
constexpr auto kLongestBatchWait = std::chrono::milliseconds(500);
constexpr uint64_t kProgressBytes = 64u << 10;  // resets an extent's retry budget
constexpr uint64_t kSmallestSteal = 1u << 20;   // of what remains, for a split in two
constexpr double kSmallestStealSeconds = 2;     // at its rate; what is in its pipe beyond the split is fetched twice
constexpr double kSlowShare = 0.1;              // of the median rate: asked for again on another connection
constexpr uint64_t kRateSample = 1u << 20;      // smaller bodies say little about a connection
constexpr size_t kMaxRecentRates = 16;
constexpr int kGoodToRaiseLimit = 8;  // whole extents before one more connection is tried again
constexpr auto kDurableInterval = std::chrono::seconds(10);
constexpr uint64_t kDurableBytes = 1u << 30;
constexpr auto kLongestPlacing = std::chrono::seconds(1);  // of a run that has failed
constexpr auto kTick = std::chrono::milliseconds(100);

// Each takes two descriptors.
size_t open_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kMostOpenFiles;
  const size_t spare = limit.rlim_cur > kOtherDescriptors ? (limit.rlim_cur - kOtherDescriptors) / 2 : 0;
  return std::clamp(spare, kFewestOpenFiles, kMostOpenFiles);
}

// Refused here, but elsewhere it was only a bad moment.
bool may_come_later(const PendingExtent& part) {
  return std::any_of(part.failed_at.begin(), part.failed_at.end(), [](const auto& failed) { return !failed.second; });
}

int hash_threads() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 8);
}

}  // namespace

Downloader::Downloader(HttpTransport& transport, const HubApi& api, const TransferConfig& config,
                       ProgressSink& progress, SourceSupply more_sources)
    : transport_(transport),
      api_(api),
      config_(config),
      progress_(progress),
      more_sources_(std::move(more_sources)),
      max_open_(open_file_limit()),
      connection_limit_(std::max(1, config.max_workers)),
      durable_at_(Clock::now()),
      queue_(hash_threads(), [&transport] { transport.wake(); }) {}

Downloader::~Downloader() {
  cancel_requests(nullptr);
}

Result<TransferResult> Downloader::run(const std::vector<RemoteFile>& files, int work_fd, int target_fd,
                                       std::stop_token stop) {
  wanted_ = &files;
  work_fd_ = work_fd;
  target_fd_ = target_fd;
  stop_ = stop;
  while (!error_ && (next_to_open_ < files.size() || !open_.empty())) {
    if (stop.stop_requested()) {
      fail({ErrorCode::kInterrupted, "interrupted", "the same command goes on from here", ""});
      break;
    }
    take_new_sources();
    open_files();
    start_requests();
    transport_.poll(wait_time());
    settle_ended();
    queue_.drain();
    place_batch();
    drop_slow_requests();
    mark_durable();
    report_progress();
  }
  cancel_requests(nullptr);  // journals what came
  if (error_) {
    place_what_is_whole();
    return *error_;
  }
  for (const RemoteFile& file : files) result_.files.push_back(placed_.at(file.path));
  return std::move(result_);
}

std::chrono::milliseconds Downloader::wait_time() const {
  if (!ended_.empty()) return std::chrono::milliseconds(0);
  auto next = Clock::now() + kTick;
  for (const PendingExtent& pending : pending_) next = std::min(next, pending.not_before);
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
  return std::max(wait, std::chrono::milliseconds(pending_.empty() ? 0 : 1));
}

void Downloader::take_new_sources() {
  if (!more_sources_) return;
  for (TransferSource& found : more_sources_()) {
    choice_.add();
    progress_.on_retry("", fmt::format("{} has the same bytes: fetching from there too", found.name));
    sources_.push_back(std::move(found));
    for (const auto& file : open_) offer_source(*file, sources_.size());
  }
}

// Source `number` for this file, where its endpoint lists the same digest.
void Downloader::offer_source(FileTransfer& file, size_t number) const {
  const TransferSource& source = sources_[number - 1];
  if (const auto found = source.files.find(file.remote().path); found != source.files.end()) {
    file.add_source(number, *source.api, found->second);
  }
}

// Files are opened only as connections need them: a repository may have 200,000.
void Downloader::open_files() {
  while (!error_ && next_to_open_ < wanted_->size() && open_.size() < max_open_ &&
         pending_.size() < static_cast<size_t>(connection_limit_)) {
    auto file = FileTransfer::open(api_, (*wanted_)[next_to_open_++], work_fd_, queue_, stop_);
    if (!file) return fail(file.error());
    open_.push_back(*std::move(file));
    FileTransfer& opened = *open_.back();
    for (size_t number = 1; number <= sources_.size(); ++number) offer_source(opened, number);
    opened.reported = opened.partial().extents().bytes();
    result_.bytes_reused += opened.reported;
    if (opened.reported > 0) progress_.on_progress(opened.remote().path, opened.reported, opened.remote().bytes);
    plan_file(opened);
    advance(opened);
  }
}

void Downloader::plan_file(FileTransfer& file) {
  const uint64_t bytes = file.remote().bytes;
  const auto add = [&](Extent extent) { pending_.push_back({&file, extent, Backoff(config_.retry), {}}); };
  if (file.single_stream()) {
    add({0, bytes});
    return;
  }
  const uint64_t shares = static_cast<uint64_t>(std::max(1, config_.max_workers)) * 4;
  const uint64_t part = std::clamp(bytes / shares, config_.smallest_part, config_.largest_part);
  for (Extent gap : file.partial().extents().missing(bytes)) {
    while (gap.bytes() > part + part / 2) {
      add({gap.begin, gap.begin + part});
      gap.begin += part;
    }
    add(gap);
  }
}

void Downloader::start_requests() {
  const auto now = Clock::now();
  // A stream that has turned out to be the whole file needs no parts beside it.
  std::erase_if(pending_,
                [](const PendingExtent& part) { return part.file->single_stream() && part.extent.begin > 0; });
  while (!error_ && static_cast<int>(active_.size()) < connection_limit_) {
    const auto next = std::find_if(pending_.begin(), pending_.end(),
                                   [&](const PendingExtent& extent) { return extent.not_before <= now; });
    if (next == pending_.end()) {
      if (!pending_.empty() || next_to_open_ < wanted_->size() || !steal()) return;
      continue;
    }
    next->source = choice_.choose(*next->file, next->failed_at);
    if (choice_.opens_at(next->source) > now) {
      next->not_before = choice_.opens_at(next->source);
      continue;
    }
    choice_.started(next->source);
    active_.push_back(std::make_unique<ExtentRequest>(std::move(*next),
                                                      [this](ExtentRequest& request) { ended_.push_back(&request); }));
    pending_.erase(next);
    active_.back()->start(transport_);
  }
}

// Nothing is waiting: half of what the connection with most still to do has becomes an extent of its own.
bool Downloader::steal() {
  ExtentRequest* longest = nullptr;
  for (const auto& request : active_) {
    if (!request->ranged() || request->answer() != Answer::kBody) continue;
    if (request->remaining() < kSmallestSteal || request->seconds_left() < kSmallestStealSeconds) continue;
    if (!longest || request->seconds_left() > longest->seconds_left()) longest = request.get();
  }
  if (!longest) return false;
  const Extent rest = longest->split_off(longest->position() + longest->remaining() / 2);
  pending_.push_back({&longest->file(), rest, Backoff(config_.retry), {}});
  return true;
}

void Downloader::settle_ended() {
  for (ExtentRequest* ended : std::exchange(ended_, {})) {
    const auto found =
        std::find_if(active_.begin(), active_.end(), [&](const auto& request) { return request.get() == ended; });
    if (found == active_.end()) continue;  // cancelled by what was settled before it
    const std::unique_ptr<ExtentRequest> request = std::move(*found);
    active_.erase(found);
    choice_.ended(request->pending().source);
    result_.bytes_network += request->received();
    received_since_durable_ += request->received();
    if (!error_) settle(*request);
  }
}

void Downloader::settle(ExtentRequest& request) {
  FileTransfer& file = request.file();
  if (request.disk_failure()) return fail(*request.disk_failure());
  if (request.complete()) {
    file.note_progress();
    choice_.note_success(request.pending().source);
    if (request.received() >= kRateSample) {
      recent_rates_.push_back(request.average_rate());
      choice_.note_rate(request.pending().source, request.average_rate());
    }
    if (recent_rates_.size() > kMaxRecentRates) recent_rates_.pop_front();
    if (connection_limit_ < config_.max_workers && ++good_since_limit_ >= kGoodToRaiseLimit) {
      ++connection_limit_;
      good_since_limit_ = 0;
    }
    advance(file);
    return;
  }
  if (request.failure() && !request.failure()->retryable) {
    if (try_elsewhere(request, request.failure()->error.message, true)) return;
    if (may_come_later(request.pending())) return retry(request, request.failure()->error);
    return fail(request.failure()->error);
  }
  if (request.failure()) return retry(request, request.failure()->error);
  settle_answer(request);
}

void Downloader::settle_answer(ExtentRequest& request) {
  FileTransfer& file = request.file();
  const Answer answer = request.answer().value_or(Answer::kBody);
  const HttpHead& head = request.head();
  const std::string said = request.said();
  const std::string reason = describe(answer, head) + (said.empty() ? "" : ": " + printable(said, 300));
  const auto error = [&](ErrorCode code, const std::string& hint) {
    return Error{code, fmt::format("{} from {}: {}", printable(file.remote().path, 1024), redact_url(head.url), reason),
                 hint, ""};
  };
  const bool may_renew = answer == Answer::kDenied || answer == Answer::kGone;
  if (may_renew && request.source().renew_address()) {
    tell_retry(file, reason + "; asking the hub for a new address");
    return requeue(request, 0);
  }
  if (head.status == 429) heed_limit(request.pending().source, head);
  if (answer != Answer::kBody) {
    const bool for_now = answer == Answer::kBusy || answer == Answer::kWrongLength || head.status >= 500;
    if (try_elsewhere(request, error(ErrorCode::kNetwork, "").message, !for_now)) return;
    if (!for_now && may_come_later(request.pending())) {
      return retry(request, error(ErrorCode::kNetwork, "no endpoint gives it now: try again later"));
    }
  }
  switch (answer) {
    case Answer::kWholeFile:
    case Answer::kWrongRange:
      if (file.single_stream()) break;
      tell_retry(file, reason + "; fetching the file as one stream");
      file.use_single_stream();
      return restart_file(file);
    case Answer::kChanged:
      if (!request.source().note_change())
        return fail(error(ErrorCode::kIntegrity, "it keeps changing: try again later"));
      tell_retry(file, reason + "; starting it again");
      return restart_file(file);
    case Answer::kRangeNotThere:
      if (!file.allow_range_restart()) {
        return fail(error(ErrorCode::kIntegrity, "the server's file is shorter than the listing says"));
      }
      tell_retry(file, reason + "; starting it again");
      return restart_file(file);
    case Answer::kGone:
      return fail(
          error(ErrorCode::kHubNotFound, "the listing names it, yet the hub does not have it: try again later"));
    case Answer::kDenied:
      return fail(error(ErrorCode::kHubDenied,
                        "the model may be gated or private: accept its licence on the hub's page, or give --token"));
    case Answer::kBusy:
      if (request.pending().repeated.again(head.status, said)) {
        return fail(error(ErrorCode::kNetwork,
                          "it says the same each time, so waiting does not help: mend that, or "
                          "name another --endpoint"));
      }
      return retry(request,
                   error(ErrorCode::kNetwork, head.status == 429 ? "the hub limits requests: wait and run the "
                                                                   "same command again"
                                                                 : "try again later"),
                   retry_after_seconds(head));
    case Answer::kRefused:
      if (head.status >= 500 && request.pending().backoff.failures() == 0) {
        return retry(request, error(ErrorCode::kNetwork, "try again later"));
      }
      return fail(error(ErrorCode::kNetwork, "check the endpoint"));
    case Answer::kWrongLength:
      return retry(request,
                   error(ErrorCode::kIntegrity,
                         "the hub's bytes do not fit its listing, or something stands between: check the endpoint"));
    case Answer::kBody:
      break;
  }
  retry(request, error(ErrorCode::kNetwork, "check the network"));
}

void Downloader::retry(ExtentRequest& request, const Error& reason, std::optional<double> asked) {
  FileTransfer& file = request.file();
  PendingExtent& pending = request.pending();
  uint64_t progress = request.position() - pending.extent.begin;
  if (file.single_stream()) {
    progress = request.position() - std::min(request.position(), file.stream_high_water);
    file.stream_high_water = std::max(file.stream_high_water, request.position());
  }
  const bool moved_on = progress >= kProgressBytes;
  if (!moved_on && try_elsewhere(request, reason.message, false)) return;
  if (moved_on) {
    pending.backoff.reset();
    std::erase_if(pending.failed_at, [](const auto& failed) { return !failed.second; });
    file.note_progress();
  }
  const auto delay = moved_on ? asked.value_or(0) : pending.backoff.next_delay(asked);
  if (!delay) {
    Error last = reason;
    last.message += asked && *asked > config_.retry.longest_wait_seconds
                        ? fmt::format("; it asks to wait {:.0f} s", *asked)
                        : fmt::format(", after {} tries without progress", pending.backoff.failures() + 1);
    return fail(std::move(last));
  }
  tell_retry(file, fmt::format("{}; again in {:.1f} s", reason.message, *delay));
  requeue(request, *delay);
}

// "Too many requests": fewer at once, and none to that endpoint before it wants some again.
void Downloader::heed_limit(size_t source, const HttpHead& head) {
  connection_limit_ = std::max(1, connection_limit_ / 2);
  good_since_limit_ = 0;
  const double asked = std::min(retry_after_seconds(head).value_or(0), config_.retry.longest_wait_seconds);
  choice_.close_until(source,
                      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(asked)));
}

// The same bytes from another endpoint, at once. False when this part has failed at all that the file has.
bool Downloader::try_elsewhere(ExtentRequest& request, const std::string& reason, bool for_good) {
  PendingExtent& pending = request.pending();
  bool& failed_for_good = pending.failed_at[pending.source];
  failed_for_good = failed_for_good || for_good;
  if (!choice_.has_other(request.file(), pending.failed_at)) return false;
  const bool given_up = choice_.note_failure(pending.source);
  tell_retry(request.file(),
             given_up ? reason + "; fetching only from the other endpoint" : reason + "; asking the other endpoint");
  requeue(request, 0);
  return true;
}

void Downloader::requeue(ExtentRequest& request, double delay_seconds) {
  PendingExtent& pending = request.pending();
  FileTransfer& file = request.file();
  if (file.single_stream()) {
    // The stream begins anew, and with it the hash: the bytes may be others.
    if (const auto done = file.start_over(); !done) return fail(done.error());
    pending.extent = {0, file.remote().bytes};
  } else {
    pending.extent.begin = request.position();
  }
  pending.not_before =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(delay_seconds));
  pending_.push_front(std::move(pending));
}

void Downloader::restart_file(FileTransfer& file) {
  cancel_requests(&file);
  std::erase_if(pending_, [&](const PendingExtent& pending) { return pending.file == &file; });
  if (const auto done = file.start_over(); !done) return fail(done.error());
  plan_file(file);
}

void Downloader::cancel_requests(const FileTransfer* file) {
  for (const auto& request : active_) {
    if (file && &request->file() != file) continue;
    const bool has_ended = std::find(ended_.begin(), ended_.end(), request.get()) != ended_.end();
    if (!has_ended) request->cancel(transport_);
    choice_.ended(request->pending().source);
    result_.bytes_network += request->received();
  }
  std::erase_if(active_, [&](const auto& request) {
    if (file && &request->file() != file) return false;
    std::erase(ended_, request.get());
    return true;
  });
}

void Downloader::advance(FileTransfer& file) {
  file.hasher().advance(file.partial().extents().prefix_end(),
                        [this, &file](const Result<FileDigests>& digests) { on_hashed(file, digests); });
}

void Downloader::on_hashed(FileTransfer& file, const Result<FileDigests>& digests) {
  if (!digests) return fail(digests.error());
  if (file.matches(*digests)) return place(file, *digests);
  const std::string expected = file.remote().sha256.empty() ? file.remote().git_sha1 : file.remote().sha256;
  const std::string got = file.remote().sha256.empty() ? digests->git_sha1 : digests->sha256;
  const std::string what = fmt::format("the bytes hash to {}, not to {} as listed", got, expected);
  if (file.allow_refetch()) {
    const bool mixed = file.sources().size() > 1;  // who of them it was cannot be told
    tell_retry(file, what + "; fetching the file once more" + (mixed ? ", from the first endpoint alone" : ""));
    if (mixed) choice_.give_up_all_but_first();
    restart_file(file);
    return file.keep_only_first_source();
  }
  file.partial().remove();
  fail({ErrorCode::kIntegrity, fmt::format("{}: {}, twice", printable(file.remote().path, 1024), what),
        "the hub or something in between damages the file: try another source or endpoint", ""});
}

void Downloader::place(FileTransfer& file, const FileDigests& digests) {
  if (!file.has_hash()) progress_.on_retry(file.remote().path, "the hub gave no hash: only the size was checked");
  cancel_requests(&file);  // a connection whose rest was given away may not have ended yet
  file.placing = true;     // the partial belongs to the queue's thread from here
  PartialFile::Verified verified{&file.partial(), digests};
  if (file.remote().bytes > kSmallFile) return post_placing({std::move(verified)}, {&file});
  if (batch_.empty()) batch_since_ = Clock::now();
  batch_.push_back(std::move(verified));
  batch_files_.push_back(&file);
}

// When there are enough, when the first has waited, or when nothing else is left to do.
void Downloader::place_batch() {
  if (batch_.empty()) return;
  const bool idle = active_.empty() && pending_.empty() && next_to_open_ == wanted_->size();
  const bool enough = batch_.size() >= max_open_ / 3;
  if (!enough && !idle && Clock::now() - batch_since_ < kLongestBatchWait) return;
  post_placing(std::exchange(batch_, {}), std::exchange(batch_files_, {}));
}

// The run has failed; files without a journal that have all their bytes get their names still, so that the next run
// need not fetch them again.
void Downloader::place_what_is_whole() {
  const auto deadline = Clock::now() + kLongestPlacing;
  const auto is_whole = [](const auto& file) { return file->partial().complete() && !file->partial().journalled(); };
  while (Clock::now() < deadline && std::any_of(open_.begin(), open_.end(), is_whole)) {
    queue_.drain();
    if (!batch_.empty()) post_placing(std::exchange(batch_, {}), std::exchange(batch_files_, {}));
    transport_.poll(kTick);
  }
}

void Downloader::post_placing(std::vector<PartialFile::Verified> batch, std::vector<FileTransfer*> files) {
  auto placed = std::make_shared<Result<std::vector<registry::FileRecord>>>(Error{});
  queue_.post([this, placed, batch = std::move(batch)] { *placed = PartialFile::place(batch, target_fd_); },
              [this, placed, files = std::move(files)] {
                if (!*placed) return fail(placed->error());
                for (const registry::FileRecord& record : **placed) {
                  progress_.on_file_done(record.path, record.sha256, record.bytes);
                  placed_.emplace(record.path, record);
                }
                std::erase_if(open_, [&](const auto& open) {
                  return std::find(files.begin(), files.end(), open.get()) != files.end();
                });
              });
}

// A connection far below the others is dropped, and what it still owes asked for anew.
void Downloader::drop_slow_requests() {
  const auto now = Clock::now();
  std::vector<std::pair<ExtentRequest*, double>> rates;
  for (const auto& request : active_) {
    if (const auto rate = request->take_rate(now)) rates.emplace_back(request.get(), *rate);
  }
  if (rates.empty()) return;
  std::vector<double> sorted(recent_rates_.begin(), recent_rates_.end());
  for (const auto& [request, rate] : rates) sorted.push_back(rate);
  if (sorted.size() < 4) return;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(sorted.size() / 2), sorted.end());
  const double median = sorted[sorted.size() / 2];
  for (const auto& [slow, rate] : rates) {
    if (rate >= median * kSlowShare || slow->file().single_stream() || !slow->ranged()) continue;
    const auto found =
        std::find_if(active_.begin(), active_.end(), [r = slow](const auto& request) { return request.get() == r; });
    const std::unique_ptr<ExtentRequest> request = std::move(*found);
    active_.erase(found);
    request->cancel(transport_);
    choice_.ended(request->pending().source);
    choice_.note_rate(request->pending().source, rate);
    result_.bytes_network += request->received();
    tell_retry(request->file(), "one connection is far slower than the others; opening another");
    requeue(*request, 0);
  }
}

// What survives a power cut: synced in the background, then marked in the journal.
void Downloader::mark_durable() {
  if (Clock::now() - durable_at_ < kDurableInterval && received_since_durable_ < kDurableBytes) return;
  durable_at_ = Clock::now();
  received_since_durable_ = 0;
  for (const auto& file : open_) {
    if (file->placing) continue;
    auto fd = std::make_shared<UniqueFd>(fcntl(file->partial().fd(), F_DUPFD_CLOEXEC, 0));
    auto synced = std::make_shared<bool>(false);
    const PartialFile::Mark mark = file->partial().mark();
    queue_.post([fd, synced] { *synced = fdatasync(fd->get()) == 0; },
                [this, target = file.get(), synced, mark] {
                  const auto found =
                      std::find_if(open_.begin(), open_.end(), [&](const auto& open) { return open.get() == target; });
                  if (found == open_.end() || (*found)->placing || !*synced) return;
                  if (const auto done = (*found)->partial().mark_durable(mark); !done) fail(done.error());
                });
  }
}

void Downloader::report_progress() {
  for (const auto& file : open_) {
    if (file->placing) continue;
    const uint64_t done = file->partial().extents().bytes();
    if (done == file->reported) continue;
    file->reported = done;
    progress_.on_progress(file->remote().path, done, file->remote().bytes);
    advance(*file);
  }
}

void Downloader::tell_retry(const FileTransfer& file, const std::string& reason) {
  progress_.on_retry(file.remote().path, reason);
}

void Downloader::fail(Error error) {
  if (!error_) error_ = std::move(error);
}

}  // namespace mhub::hub
