// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mhub/base/result.h"

namespace mhub::sched {

using SeqId = uint64_t;
using BlockId = int32_t;
using TokenId = int32_t;

constexpr BlockId kNoBlock = -1;  // in a table: the window has passed

enum class Policy { kFcfs, kPriority };

// Hash of a full block given the hash of the blocks before it. Only spreads keys: equal hashes never mean equal blocks.
using BlockHash = std::function<uint64_t(uint64_t before, std::span<const TokenId> tokens)>;

struct SchedulerConfig {
  int64_t num_blocks = 0;
  int64_t block_size = 16;
  // Groups of layers with block tables of their own, by the positions that a query sees (mhub/base/kv_blocks.h); 0 =
  // all. A block belongs to one group at a time. Any number of groups, in any order.
  std::vector<int64_t> windows = {0};
  int64_t max_model_len = 0;
  int64_t max_num_seqs = 256;
  int64_t max_num_batched_tokens = 2048;  // tokens computed per step, prefill and decode together
  // Sequences of more tokens are computed as long ones (ScheduledSeq::long_context), from their first token on, and
  // share blocks among each other only; one that grows past it is computed again. 0 = there is no difference.
  int64_t long_context_from = 0;
  bool enable_prefix_caching = true;
  Policy policy = Policy::kFcfs;
  uint64_t hash_seed = 0;  // secret of the process, so that nobody can prepare prompts whose hashes collide
  BlockHash block_hash;    // empty = the built-in one; tests force collisions with it
};

struct NewSequence {
  SeqId id = 0;
  std::vector<TokenId> prompt;
  int64_t max_tokens = 0;         // generated at most (0 = prompt only)
  int priority = 0;               // lower runs earlier (Policy::kPriority)
  std::string cache_scope;        // sequences share prefix blocks only within one scope (API key, salt)
  bool read_prefix_cache = true;  // false: every prompt position must be computed (prompt logprobs)
};

// Whether a sequence can ever run: kInvalidRequest (no tokens), or kContextTooLong with the arithmetic when its prompt
// (+1 when max_tokens > 0) is over max_model_len or it needs more blocks than the pool has.
Result<void> check_fits(const SchedulerConfig& config, int64_t prompt_tokens, int64_t max_tokens);

// Stands in a sequence for a token that a step in flight is sampling.
constexpr TokenId kPendingToken = -1;

// What one sequence computes in a step. Spans stay valid until the next call of a Scheduler member.
struct ScheduledSeq {
  SeqId id = 0;
  int64_t start = 0;                     // num_computed_tokens before the step
  std::span<const TokenId> tokens;       // tokens [start, start + tokens.size()) of prompt + output
  std::span<const BlockId> block_table;  // of the first group of layers
  std::span<const std::span<const BlockId>> more_block_tables;  // of the others
  bool sample = false;  // after this step all tokens are computed: the last one is sampled
  bool long_context = false;
  std::span<const TokenId> prompt, output;
  // Row of the batch before, still in flight, whose sampled token tokens.back() is (kPendingToken); -1 = all are known.
  int32_t pending_row = -1;
};
struct ScheduledBatch {
  std::vector<ScheduledSeq> seqs;
  int64_t num_tokens = 0;
  bool empty() const { return seqs.empty(); }
};

enum class Finish { kStop, kLength, kError };

// What the runner produced for one ScheduledSeq, in order.
struct SeqResult {
  SeqId id = 0;
  std::optional<TokenId> token;  // present iff sample was true and the row was finite
  std::optional<Finish> finish;  // kStop or kError decided outside (stop ids, non-finite logits)
};
// What commit() did to a sequence that the caller must tell the client.
struct SeqUpdate {
  SeqId id = 0;
  std::optional<TokenId> token;
  std::optional<Finish> finish;  // the sequence is gone, its blocks are free
};

struct SchedulerStats {
  int64_t running = 0, waiting = 0;
  int64_t blocks_total = 0, blocks_held = 0, blocks_cached = 0;  // held by sequences / free but still cached
  uint64_t preemptions = 0;
  uint64_t prefix_queries_tokens = 0, prefix_hit_tokens = 0;
};

// Plain C++: no thread, no clock, no device. The engine thread is its only user.
class Scheduler {
 public:
  explicit Scheduler(const SchedulerConfig& config);
  ~Scheduler();
  // Refuses what check_fits() refuses.
  Result<void> add(NewSequence sequence);
  // Idempotent; frees the sequence's blocks at once. False when the id is unknown (already finished).
  bool cancel(SeqId id);
  // Plans one step: running sequences first (decode, then chunked prefill), then waiting ones while budget, seats and
  // blocks last. May preempt (recompute) the sequence whose loss is smallest. Empty when there is nothing to do.
  // The batch before may still be in flight: it is taken to do what it was planned to do. Its steps must run in order.
  // The batch is valid until the second next call.
  const ScheduledBatch& schedule();
  // Applies the results of the oldest batch in flight; empty ones are not. Sequences that ended in between (cancelled,
  // or stopped by the step before) are skipped. Valid until the next call.
  std::span<const SeqUpdate> commit(std::span<const SeqResult> results);
  int num_in_flight() const;  // batches, at most 2
  bool idle() const;
  SchedulerStats stats() const;
  int64_t num_cached_tokens(SeqId id) const;  // prompt tokens taken from the prefix cache when it was first scheduled
  // Asserts the invariants of libserve/README.md (InternalError). For tests and debug builds.
  void check_invariants() const;
  // Forgets all cached (not held) prefix blocks.
  void reset_prefix_cache();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mhub::sched
