// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "mhub/base/check.h"
#include "mhub/base/kv_blocks.h"
#include "scheduler_state.h"

namespace mhub::sched {
namespace {

// First character of every scope.
constexpr char kScopeOfShort = 's', kScopeOfLong = 'l';

}  // namespace

Scheduler::State::State(const SchedulerConfig& c)
    : config(c),
      cache(c.num_blocks, c.block_size, c.windows, c.hash_seed, c.block_hash),
      pool(c.num_blocks, [this](BlockId block) { cache.forget(block); }),
      running(Precedes{c.policy}),
      waiting(Precedes{c.policy}) {
  MHUB_CHECK(c.num_blocks > 0 && c.block_size > 0 && c.max_model_len > 0 && c.max_num_seqs > 0 &&
             c.max_num_batched_tokens > 0 && !c.windows.empty());
}

Sequence* Scheduler::State::find(SeqId id) const {
  const auto it = sequences.find(id);
  return it == sequences.end() ? nullptr : it->second.get();
}

void Scheduler::State::remove(Sequence& sequence) {
  running.erase(&sequence);
  waiting.erase(&sequence);
  sequences.erase(sequence.id);
}

Scheduler::Scheduler(const SchedulerConfig& config) : state_(std::make_unique<State>(config)) {}
Scheduler::~Scheduler() = default;

namespace {

// Length at which a sequence ends.
int64_t max_total_tokens(const SchedulerConfig& config, int64_t prompt_tokens, int64_t max_tokens) {
  return prompt_tokens + std::min(max_tokens, config.max_model_len - prompt_tokens);
}

}  // namespace

Result<void> check_fits(const SchedulerConfig& config, int64_t prompt_tokens, int64_t max_tokens) {
  if (prompt_tokens == 0) {
    return Error{ErrorCode::kInvalidRequest, "the prompt has no tokens", "send at least one", "prompt"};
  }
  if (prompt_tokens > config.max_model_len - (max_tokens > 0 ? 1 : 0)) {
    return Error{ErrorCode::kContextTooLong,
                 fmt::format("the prompt has {} tokens{}, the model's context has {}", prompt_tokens,
                             max_tokens > 0 ? " and at least 1 is to be generated" : "", config.max_model_len),
                 "shorten the prompt or serve with a larger --max-model-len", "prompt"};
  }
  const int64_t total = max_total_tokens(config, prompt_tokens, max_tokens);
  const int64_t blocks =
      most_blocks_of_sequence(config.windows, config.block_size, config.max_num_batched_tokens, total);
  if (blocks > config.num_blocks) {
    return Error{ErrorCode::kContextTooLong,
                 fmt::format("{} prompt and {} new tokens need {} KV blocks of {}, the cache has {}", prompt_tokens,
                             total - prompt_tokens, blocks, config.block_size, config.num_blocks),
                 "ask for fewer tokens or serve with a larger --kv-cache-memory-bytes", "prompt"};
  }
  return {};
}

Result<void> Scheduler::add(NewSequence sequence) {
  const auto& config = state_->config;
  MHUB_CHECK(!state_->find(sequence.id) && sequence.max_tokens >= 0);
  const auto prompt = static_cast<int64_t>(sequence.prompt.size());
  MHUB_CHECK_OK(check_fits(config, prompt, sequence.max_tokens));
  auto added = std::make_unique<Sequence>(SequenceBlocks(state_->pool, config.windows, config.block_size));
  added->id = sequence.id;
  added->arrival = state_->next_arrival++;
  added->priority = sequence.priority;
  added->scope = kScopeOfShort + std::move(sequence.cache_scope);
  added->read_prefix_cache = sequence.read_prefix_cache && config.enable_prefix_caching;
  added->tokens = std::move(sequence.prompt);
  added->num_prompt = prompt;
  added->max_total = max_total_tokens(config, prompt, sequence.max_tokens);
  state_->waiting.insert(added.get());
  state_->sequences.emplace(sequence.id, std::move(added));
  return {};
}

bool Scheduler::cancel(SeqId id) {
  Sequence* sequence = state_->find(id);
  if (sequence) state_->remove(*sequence);
  return sequence != nullptr;
}

// Decodes come first: one token each, and nobody who is already answering waits for a prompt. Then prompts that have
// begun, then new ones. A preempting step admits nobody, so that freed blocks go to those that were short of them.
const ScheduledBatch& Scheduler::schedule() {
  State& s = *state_;
  MHUB_CHECK(s.num_in_flight < static_cast<int>(s.steps.size()));
  State::InFlight& step = s.steps[(s.oldest_step + static_cast<size_t>(s.num_in_flight)) % s.steps.size()];
  step.rows.clear();
  step.batch.seqs.clear();
  step.batch.num_tokens = 0;
  s.plan_step(step);
  if (!step.batch.empty()) ++s.num_in_flight;
  return step.batch;
}

void Scheduler::State::plan_step(InFlight& step) {
  State& s = *this;
  const ScheduledBatch& batch = step.batch;
  const uint64_t preemptions_before = s.preemptions;
  s.make_rooms();
  for (const bool decoding : {true, false}) {
    for (Sequence* sequence : s.running) {
      if (batch.num_tokens >= s.config.max_num_batched_tokens) break;
      if (sequence->has_room && sequence->decoding() == decoding) s.plan(*sequence, step);
    }
  }
  if (s.preemptions != preemptions_before) return;
  for (auto it = s.waiting.begin(); it != s.waiting.end();) {
    Sequence& sequence = **it++;
    if (batch.num_tokens >= s.config.max_num_batched_tokens) break;
    if (static_cast<int64_t>(s.running.size()) >= s.config.max_num_seqs) break;
    if (s.outgrown(sequence)) s.lengthen(sequence);
    const auto prefix = s.cached_prefix(sequence);
    if (s.worth_waiting(sequence, static_cast<int64_t>(prefix.size) * s.config.block_size)) continue;
    if (!s.admit(sequence, prefix)) break;  // nobody overtakes the first that lacks blocks
    s.plan(sequence, step);
  }
}

void Scheduler::State::plan(Sequence& sequence, InFlight& step) {
  ScheduledBatch& batch = step.batch;
  const int64_t count = std::min(sequence.num_left(), config.max_num_batched_tokens - batch.num_tokens);
  const auto row = static_cast<int32_t>(batch.seqs.size());
  ScheduledSeq scheduled;
  scheduled.id = sequence.id;
  scheduled.start = sequence.num_planned;
  scheduled.sample = count == sequence.num_left() && !sequence.prompt_only();
  const size_t known = sequence.tokens.size();
  if (scheduled.sample) sequence.tokens.push_back(kPendingToken);  // first: it may move the tokens
  const std::span<const TokenId> tokens = sequence.tokens;
  scheduled.tokens = tokens.subspan(static_cast<size_t>(scheduled.start), static_cast<size_t>(count));
  scheduled.block_table = sequence.blocks.groups()[0].blocks();
  scheduled.more_block_tables = sequence.blocks.more_tables();
  scheduled.long_context = sequence.long_context;
  scheduled.prompt = sequence.prompt();
  scheduled.output = tokens.first(known).subspan(static_cast<size_t>(sequence.num_prompt));
  if (scheduled.tokens.back() == kPendingToken) scheduled.pending_row = sequence.pending_row;
  if (scheduled.sample) sequence.pending_row = row;
  sequence.num_planned += count;
  sequence.has_room = false;
  batch.seqs.push_back(scheduled);
  batch.num_tokens += count;
  step.rows.push_back({sequence.id, sequence.num_planned, scheduled.sample, sequence.restarts});
}

// Before anything is planned, so that nobody loses blocks whom the batch counts on.
void Scheduler::State::make_rooms() {
  int64_t decodes = 0, prefills = 0;  // tokens
  // make_room() may take later sequences out of `running`: look up the next one after each turn.
  for (auto it = running.begin(); it != running.end();) {
    Sequence& sequence = **it;
    if (sequence.num_left() > 0 && outgrown(sequence)) {
      it = running.upper_bound(&sequence);
      lengthen(sequence);
      restart(sequence);
      continue;
    }
    int64_t& before = sequence.decoding() ? decodes : prefills;
    const bool turn = sequence.num_left() > 0 && before < config.max_num_batched_tokens;
    sequence.has_room = turn && make_room(sequence);
    if (sequence.has_room) before += sequence.num_left();
    it = running.upper_bound(&sequence);
  }
}

SequenceBlocks::Reach Scheduler::State::reach_of(const Sequence& sequence) const {
  const int64_t all = sequence.num_tokens();
  return {all, std::min(all, sequence.num_planned + config.max_num_batched_tokens)};
}

// The first sequence in order can always preempt all others, and add() made sure that it fits alone: it gets on, ends,
// and so does everyone after it. A sequence that finds nobody behind it keeps its blocks and sits the step out.
bool Scheduler::State::make_room(Sequence& sequence) {
  while (!sequence.blocks.grow(reach_of(sequence))) {
    Sequence* victim = victim_behind(sequence);
    if (!victim) return false;
    preempt(*victim);
  }
  return true;
}

// Of those that go after `sequence`: the one that loses least, among those that give blocks back. Blocks that others
// hold too are neither freed nor lost.
Sequence* Scheduler::State::victim_behind(const Sequence& sequence) const {
  Sequence* best = nullptr;
  int64_t best_loss = 0;
  for (auto it = running.rbegin(); it != running.rend() && *it != &sequence; ++it) {
    const auto alone = [&](const BlockTable& table) {
      const auto held = table.held();
      return std::count_if(held.begin(), held.end(), [&](BlockId b) { return pool.holders(b) == 1; });
    };
    int64_t freed = 0;
    for (const BlockTable& table : (*it)->blocks.groups()) freed += alone(table);
    const BlockTable& first = (*it)->blocks.groups()[0];
    const int64_t shared_tokens = (static_cast<int64_t>(first.held().size()) - alone(first)) * config.block_size;
    const int64_t loss = std::max<int64_t>(0, (*it)->num_computed - shared_tokens);
    if (freed > 0 && (!best || loss < best_loss)) {
      best = *it;
      best_loss = loss;
    }
  }
  // Nobody frees a block alone (they share them among each other): the last one gives way, and the next after it.
  if (!best && !running.empty() && *running.rbegin() != &sequence) best = *running.rbegin();
  return best;
}

bool Scheduler::State::outgrown(const Sequence& sequence) const {
  return config.long_context_from > 0 && !sequence.long_context && sequence.num_tokens() > config.long_context_from;
}

void Scheduler::State::lengthen(Sequence& sequence) {
  sequence.long_context = true;
  sequence.scope.front() = kScopeOfLong;
}

void Scheduler::State::preempt(Sequence& sequence) {
  restart(sequence);
  ++preemptions;
}

void Scheduler::State::restart(Sequence& sequence) {
  sequence.blocks.clear();
  sequence.num_computed = sequence.num_planned = 0;
  sequence.last_sealed = PrefixCache::kRoot;
  sequence.num_sealed = 0;
  ++sequence.restarts;
  running.erase(&sequence);
  waiting.insert(&sequence);
}

// At least one token is left to compute, else there would be no logits to sample from.
PrefixCache::Prefix Scheduler::State::cached_prefix(const Sequence& sequence) const {
  if (!sequence.read_prefix_cache) return {};
  return cache.find(sequence.scope, sequence.tokens,
                    static_cast<size_t>((sequence.num_tokens() - 1) / config.block_size));
}

// True when a running prompt is about to compute most of what this one needs: then it is cheaper to share it a step
// later (n > 1, and many chats with one system prompt arriving together).
bool Scheduler::State::worth_waiting(const Sequence& sequence, int64_t cached_tokens) const {
  if (!sequence.read_prefix_cache) return false;
  return std::any_of(running.begin(), running.end(), [&](const Sequence* other) {
    if (other->num_computed >= other->num_prompt || other->scope != sequence.scope) return false;
    const auto common =
        std::mismatch(sequence.tokens.begin(), sequence.tokens.end() - 1, other->tokens.begin(), other->tokens.end())
            .first -
        sequence.tokens.begin();
    const int64_t shareable = common / config.block_size * config.block_size;
    return shareable > other->num_computed && 2 * (shareable - cached_tokens) >= sequence.num_tokens() - cached_tokens;
  });
}

// Gives a waiting sequence blocks for all its tokens (for its first step where there is a window), and leaves one of
// each group for each running sequence to grow into.
bool Scheduler::State::admit(Sequence& sequence, const PrefixCache::Prefix& prefix) {
  const auto groups = static_cast<int64_t>(config.windows.size()), size = static_cast<int64_t>(prefix.size);
  sequence.num_planned = size * config.block_size;
  const SequenceBlocks::Reach reach = reach_of(sequence);
  const int64_t fresh = sequence.blocks.lacking(reach) - size * groups;
  int64_t revived = 0;
  for (const auto& table : prefix.tables)
    revived += std::count_if(table.begin(), table.end(), [&](BlockId b) { return b >= 0 && pool.holders(b) == 0; });
  if (fresh + revived + static_cast<int64_t>(running.size()) * groups > pool.num_available()) {
    sequence.num_planned = 0;
    return false;
  }
  sequence.blocks.adopt(prefix);
  MHUB_CHECK(sequence.blocks.grow(reach));
  sequence.num_sealed = size;
  sequence.last_sealed = prefix.last;
  sequence.num_computed = sequence.num_planned;
  if (!sequence.ever_scheduled) {
    sequence.ever_scheduled = true;
    sequence.tokens.reserve(static_cast<size_t>(sequence.max_total));  // none of its steps allocates
    sequence.blocks.reserve(sequence.max_total);
    sequence.num_cached_prompt = sequence.num_computed;
    if (sequence.read_prefix_cache) prefix_queries_tokens += static_cast<uint64_t>(sequence.num_prompt);
    prefix_hit_tokens += static_cast<uint64_t>(sequence.num_cached_prompt);
  }
  waiting.erase(&sequence);
  running.insert(&sequence);
  return true;
}

std::span<const SeqUpdate> Scheduler::commit(std::span<const SeqResult> results) {
  State& s = *state_;
  MHUB_CHECK(s.num_in_flight > 0);
  const State::InFlight& step = s.steps[s.oldest_step];
  MHUB_CHECK(results.size() == step.rows.size());
  s.updates.clear();
  for (size_t i = 0; i < results.size(); ++i) {
    if (const auto update = s.apply(step.rows[i], results[i])) s.updates.push_back(*update);
  }
  s.oldest_step = (s.oldest_step + 1) % s.steps.size();
  --s.num_in_flight;
  return s.updates;
}

// A sequence that was preempted since has lost what the row computed; what it sampled is still its next token.
std::optional<SeqUpdate> Scheduler::State::apply(const Planned& row, const SeqResult& result) {
  MHUB_CHECK(result.id == row.id);
  Sequence* sequence = find(row.id);
  if (!sequence) return std::nullopt;  // it ended while the step ran
  SeqUpdate update{row.id, std::nullopt, result.finish};
  if (result.finish == Finish::kError) {
    distrust_blocks(*sequence);
  } else {
    MHUB_CHECK(result.token.has_value() == row.sampled);
    if (result.token) sequence->tokens[static_cast<size_t>(row.end)] = *result.token;
    update.token = result.token;
    if (row.restarts == sequence->restarts) {
      sequence->num_computed = row.end;
      seal_full_blocks(*sequence);
      sequence->blocks.drop_unseen(row.end);
    }
    const bool full = row.end + (row.sampled ? 1 : 0) == sequence->max_total;
    if (!update.finish && full) update.finish = Finish::kLength;
  }
  if (update.finish) remove(*sequence);
  if (!update.token && !update.finish) return std::nullopt;
  return update;
}

int Scheduler::num_in_flight() const {
  return state_->num_in_flight;
}

// Blocks that are full and computed become findable. Where the same prefix was computed twice at the same time, the
// sequence goes over to the block that is already known, so that a prefix is in memory once.
void Scheduler::State::seal_full_blocks(Sequence& sequence) {
  if (!config.enable_prefix_caching) return;
  for (; (sequence.num_sealed + 1) * config.block_size <= sequence.num_computed; ++sequence.num_sealed) {
    const auto index = static_cast<size_t>(sequence.num_sealed);
    const auto size = static_cast<size_t>(config.block_size);
    const auto content = std::span(sequence.tokens).subspan(index * size, size);
    const auto tables = sequence.blocks.groups();
    sealing.clear();
    for (const BlockTable& table : tables) sealing.push_back(table[index]);
    sequence.last_sealed = cache.insert(sequence.scope, sequence.last_sealed, content, sealing);
    if (sequence.last_sealed == PrefixCache::kNoNode) continue;
    for (size_t g = 0; g < tables.size(); ++g) {
      if (sealing[g] == tables[g][index]) {
        pool.set_cached(sealing[g], true);
      } else {
        tables[g].replace(index, sealing[g]);
      }
    }
  }
}

// After logits that were not finite: nobody may find these keys and values again, neither those that the sequence holds
// nor those that it had before its windows passed them or it was preempted.
void Scheduler::State::distrust_blocks(const Sequence& sequence) {
  const auto distrust = [this](BlockId block) {
    cache.forget(block);
    pool.set_cached(block, false);
  };
  for (const BlockTable& table : sequence.blocks.groups()) {
    for (const BlockId block : table.held()) distrust(block);
  }
  for (const BlockId block : cache.known_along(sequence.scope, sequence.tokens)) distrust(block);
}

bool Scheduler::idle() const {
  return state_->sequences.empty();
}

SchedulerStats Scheduler::stats() const {
  SchedulerStats stats;
  stats.running = static_cast<int64_t>(state_->running.size());
  stats.waiting = static_cast<int64_t>(state_->waiting.size());
  stats.blocks_total = state_->pool.total();
  stats.blocks_held = state_->pool.num_held();
  stats.blocks_cached = state_->pool.num_cached();
  stats.preemptions = state_->preemptions;
  stats.prefix_queries_tokens = state_->prefix_queries_tokens;
  stats.prefix_hit_tokens = state_->prefix_hit_tokens;
  return stats;
}

int64_t Scheduler::num_cached_tokens(SeqId id) const {
  const Sequence* sequence = state_->find(id);
  return sequence ? sequence->num_cached_prompt : 0;
}

void Scheduler::reset_prefix_cache() {
  while (const auto block = state_->pool.least_recently_used()) {
    state_->cache.forget(*block);
    state_->pool.set_cached(*block, false);
  }
}

}  // namespace mhub::sched
