// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "mhub/kernels/dtype.h"
#include "mhub/kernels/matrix.h"
#include "mhub/kernels/op_options.h"

namespace mhub::kernels {

// A bug in the caller (shape, dtype) or a lost device. Caught at the top of the engine loop. Expected failures (no
// memory, unsupported format) are null returns with a reason instead.
class BackendError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Borrowed view of device memory, trivially copyable, passed by value. Row-major; stride in elements between rows.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;  // elements between the starts of two rows, >= cols

  float* f32() const { return static_cast<float*>(data); }
  float* f32_row(int64_t r) const { return static_cast<float*>(data) + r * stride; }
  TensorView rows_at(int64_t first, int64_t count) const;
  TensorView cols_at(int64_t first, int64_t count) const;
};

// Owning device allocation, 64-byte aligned. Destroyed before its back end.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual void* data() = 0;
  virtual size_t bytes() const = 0;
};

// A matrix (or several stacked along rows) in the layout its back end multiplies fastest. Immutable.
class PreparedWeight {
 public:
  virtual ~PreparedWeight() = default;
  virtual int64_t rows() const = 0;           // out features, sum over the stacked parts
  virtual int64_t cols() const = 0;           // in features
  virtual size_t resident_bytes() const = 0;  // bytes this weight holds itself (0 when it reads the source in place)
};

// Paged key/value memory of all layers. block_size tokens per block.
class KvCache {
 public:
  virtual ~KvCache() = default;
  virtual int64_t num_blocks() const = 0;
  virtual size_t bytes() const = 0;
};
struct KvShape {
  int64_t layers = 0;
  int64_t num_blocks = 0;
  int64_t block_size = 16;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  // Above 0: one vector of head_dim a token and head is all that is kept (MLA); its last latent_dim elements are the
  // value too.
  int64_t latent_dim = 0;
  int64_t value_dim() const { return latent_dim > 0 ? latent_dim : head_dim; }
  // Bytes that one block of all layers takes in `dtype`: layers * block_size * num_kv_heads * head_dim * size, twice
  // without latent_dim.
  size_t block_bytes(DType dtype) const;
};

// How activations and products are computed.
enum class Compute {
  kFloat32,  // weights as stored, float32 activations and accumulation, no integer path: comparable with references
  kFast,     // the fastest path whose quality is measured: integer products for quantized weights, BF16 where native
};

struct BackendOptions {
  Compute compute = Compute::kFast;
  int num_threads = 0;              // 0 = one per physical core available to the process
  std::string force_isa;            // tests: "scalar", "avx2", "avx512"; empty = best
  DType half_dtype = DType::kBF16;  // what kFast computes in where the device multiplies 16-bit types: BF16 or F16
  // A row's results depend on nothing but its sequence: not on the batch, nor on how the sequence was cut into steps.
  // Slower. The CPU back end does not know it.
  bool batch_invariant = false;
};

struct DeviceFacts {
  std::string name;         // "cpu"
  std::string description;  // "AMD EPYC, 2 cores, avx512 (vnni, bf16)"
  int num_threads = 1;
  uint64_t memory_bytes = 0;            // total usable memory of the device (cgroup limit respected on the CPU)
  uint64_t memory_available_bytes = 0;  // now
};

// How rotary embedding pairs elements of a head.
enum class RopeStyle {
  kHalf,         // (i, i + d/2): Hugging Face checkpoints
  kInterleaved,  // (2i, 2i + 1): GGUF files of the llama family
};

// One step's ragged batch. Sequence s owns query rows [cu_seqlens_q[s], cu_seqlens_q[s+1]); the last of these rows is
// the token at position seq_lens[s] - 1. Host memory; valid during the call.
struct AttentionMetadata {
  std::span<const int32_t> cu_seqlens_q;  // [num_seqs + 1]
  std::span<const int32_t> seq_lens;      // [num_seqs] context length including this step's tokens
  std::span<const int32_t> block_tables;  // [num_seqs, max_blocks] block ids, row-major
  int64_t max_blocks = 0;
};

// What sample() needs of a request: everything whose effect depends on one row of logits alone.
struct SampleSpec {
  float temperature = 0.0f;  // 0 = greedy (lowest id among equals)
  int32_t top_k = 0;         // 0 = off
  float top_p = 1.0f;
  float min_p = 0.0f;
  uint64_t race_key = 0;  // of the exponential race that draws (libserve/model/sampling/race.h)
};

// What a step computes, known before its first operation. Host memory; the same spans are given to the operations.
struct StepInputs {
  std::span<const int32_t> tokens, positions, slot_mapping;  // [T]
  AttentionMetadata attention;
  // [T] or empty: index among what the step before drew, which is the token; -1 = tokens[t] is. Only with
  // draws_ahead().
  std::span<const int32_t> token_sources = {};
  std::span<const int32_t> logit_rows = {};  // for gather_rows()
  std::span<const SampleSpec> samples = {};  // for draw()
};

// One abstract class per device. Thread-compatible: one thread drives it (the engine thread); it may use its own pool.
// Activations are activation_dtype() [T, features]; logits are float32. T may be 0 (no-op). Orders of parameters:
// outputs, inputs, weights, scalars. Operations may run behind the caller's back until copy_to_host() or sample().
class Backend {
 public:
  virtual ~Backend() = default;
  virtual const DeviceFacts& facts() const = 0;
  virtual Compute compute() const = 0;
  virtual DType activation_dtype() const { return DType::kF32; }
  virtual bool host_visible() const { return true; }  // the host reads and writes Buffers and tensors where they are

  // --- memory ---
  // null when the device has not that much memory.
  virtual std::unique_ptr<Buffer> allocate(size_t bytes) = 0;
  virtual void copy_to_device(void* dst, const void* src, size_t bytes) = 0;
  virtual void copy_to_host(void* dst, const void* src, size_t bytes) = 0;
  // null when it does not fit.
  virtual std::unique_ptr<KvCache> make_kv_cache(const KvShape& shape, DType dtype) = 0;
  virtual DType preferred_kv_dtype() const = 0;  // for Compute::kFast; kFloat32 always uses F32

  // --- weights ---
  // Repacks matrices stacked along rows (q,k,v or gate,up: same cols) into one weight. The sources' bytes may go away
  // afterwards, unless keep_source is true: then they outlive the weight and the back end may read them in place.
  // On an unsupported format returns null and sets *why.
  virtual std::unique_ptr<PreparedWeight> prepare(std::span<const MatrixSource> stacked, bool keep_source,
                                                  std::string* why) = 0;
  // A table of rows to look up (token embedding); may also serve as the output matrix of linear() (tied weights).
  virtual std::unique_ptr<PreparedWeight> prepare_embedding(const MatrixSource& table, bool keep_source,
                                                            std::string* why) = 0;

  // prepare() takes stand-ins of random bits (MatrixSource::random_key), so that none cross the bus.
  virtual bool makes_random() const { return false; }
  // Bytes on the device of a matrix that lies in `source_bytes` of a file, for planning. `source` needs no data.
  virtual uint64_t prepared_bytes(const MatrixSource& source, uint64_t source_bytes) const {
    static_cast<void>(source);
    return source_bytes;
  }

  // --- a step as a whole ---
  // Whether layers of one step may be given slots and block tables of their own, beside those that begin_step()
  // announces.
  virtual bool several_block_tables() const { return false; }
  // Announces a step's inputs, so that they are copied once and not by each operation. The arrays stay where they are
  // until the next announcement: operations know them by their place.
  virtual void begin_step(const StepInputs& inputs) { static_cast<void>(inputs); }
  // Rows to which a step of `rows` sequences with one token each should be padded to be recorded once and replayed;
  // 0 = do not pad. Padding rows have slot -1 and a context of 0 tokens.
  virtual int64_t replay_rows(int64_t rows) const {
    static_cast<void>(rows);
    return 0;
  }
  // Runs `operations`, which must issue the same operations on the same memory whenever `shape`, the padded row count
  // and max_blocks of the announced step are the same. A back end may record them and skip the call later on.
  virtual void replay(uint64_t shape, const std::function<void()>& operations) {
    static_cast<void>(shape);
    operations();
  }
  // Steps that wait for nothing: begin_step(), operations, draw(), end_step(); collect_step() later, at most one step
  // behind.
  virtual bool draws_ahead() const { return false; }
  // Draws the announced samples [first, first + logits.rows) as sample() does. They stay on the device.
  virtual void draw(int64_t first, TensorView logits);
  // Starts to bring what was drawn to the host.
  virtual void end_step();
  // Waits for the oldest ended step that was not collected, and gives what it drew.
  virtual void collect_step(std::span<int32_t> out);
  // Steps of row counts with the same number share what is found out at the first of them; that number is the greatest
  // of them. 0 = nothing is.
  virtual int64_t tuned_rows(int64_t rows) const {
    static_cast<void>(rows);
    return 0;
  }
  // Draws a token per row of logits float32 [specs.size(), V]; -1 where a row has no finite maximum. False when this
  // back end leaves sampling to the host.
  virtual bool sample(std::span<int32_t> out, TensorView logits, std::span<const SampleSpec> specs) {
    static_cast<void>(out), static_cast<void>(logits), static_cast<void>(specs);
    return false;
  }

  // --- operations of a transformer step ---
  virtual void embedding(TensorView out, std::span<const int32_t> ids, const PreparedWeight& table) = 0;
  // out[t] = x[t] / rms(x[t]) * weight; weight float32 [H].
  virtual void rms_norm(TensorView out, TensorView x, const float* weight, float eps) = 0;
  // residual += x; out = rms_norm(residual).
  virtual void add_rms_norm(TensorView out, TensorView residual, TensorView x, const float* weight, float eps) = 0;
  // out[T,N] = x[T,K] * W^T + bias; bias float32 [N] or null.
  virtual void linear(TensorView out, TensorView x, const PreparedWeight& weight, const float* bias) = 0;
  // out[T,I] = silu(gate) * up, gate_up = [T, 2I] with gate first.
  virtual void silu_mul(TensorView out, TensorView gate_up) = 0;
  // Rotates q [T, Hq*D] in place and writes rotated k and v [T, Hkv*D] to the cache at slot_mapping[t]
  // (= block id * block_size + offset). cos_sin: float32 [max_position, rotary_dim]: cos then sin, rotary_dim/2 each;
  // elements of a head past rotary_dim are not rotated. A cache with latent_dim keeps k alone; v is not read.
  virtual void rope_and_write_kv(TensorView q, TensorView k, TensorView v, std::span<const int32_t> positions,
                                 std::span<const int32_t> slot_mapping, const float* cos_sin, int64_t rotary_dim,
                                 RopeStyle style, KvCache& cache, int64_t layer) = 0;
  // Causal attention of every query row over its sequence's cached keys and values. out, q: [T, Hq*D].
  virtual void paged_attention(TensorView out, TensorView q, const AttentionMetadata& metadata, float scale,
                               const KvCache& cache, int64_t layer) = 0;
  // out[i] = x[rows[i]].
  virtual void gather_rows(TensorView out, TensorView x, std::span<const int32_t> rows) = 0;

  // --- operations beyond the Llama graph ---
  // A back end that has not one of them yet inherits a default: the plain case by the operations above, else
  // BackendError "<operation> is not on the <name> back end yet".

  // paged_attention with options. out: [T, Hq * value_dim], q: [T, Hq * head_dim] of the cache's shape.
  virtual void attention(TensorView out, TensorView q, const AttentionMetadata& metadata,
                         const AttentionOptions& options, const KvCache& cache, int64_t layer);
  // Each head's head_dim columns of x by their own root mean square, in place; weight float32 [head_dim].
  virtual void head_rms_norm(TensorView x, int64_t head_dim, const float* weight, float eps);
  // out[T,I] = activation(gate) * up, gate_up = [T, 2I] with gate first.
  virtual void gated_activation(TensorView out, TensorView gate_up, const GatedActivation& activation);
  virtual void scale(TensorView x, float factor);  // x *= factor
  virtual void soft_cap(TensorView x, float cap);  // x = cap * tanh(x / cap)
  virtual void add(TensorView sum, TensorView x);  // sum += x
  // sum[t] += sigmoid(gate[t]) * x[t], gate [T, 1].
  virtual void add_gated(TensorView sum, TensorView x, TensorView gate);
  // out[t][h * out_step + i] = x[t][h * x_step + i] for h < heads, i < width.
  virtual void copy_heads(TensorView out, int64_t out_step, TensorView x, int64_t x_step, int64_t heads, int64_t width);
  // For each head h: columns [h * out_step, + N) of out = columns [h * x_step, + K) of x times heads[h]^T, N x K.
  // Default: linear() head by head.
  virtual void linear_heads(TensorView out, int64_t out_step, TensorView x, int64_t x_step,
                            std::span<const PreparedWeight* const> heads);
  // Chooses options.top_k of rows.experts experts for each row of logits [rows.tokens, rows.experts] and fills `rows`.
  // Of equal scores the lower expert wins.
  virtual void route_experts(const ExpertRows& rows, TensorView logits, const RouterOptions& options);
  // out[i] = x[i] * W_e^T + bias_e for every row i of expert e, where x's row is rows.row_tokens[i] if by_token.
  // `stacked` holds all experts' matrices along its rows, equally many rows each; bias float32 [stacked rows] or null.
  // Experts without rows cost nothing.
  virtual void grouped_linear(TensorView out, TensorView x, const ExpertRows& rows, bool by_token,
                              const PreparedWeight& stacked, const float* bias);
  // out[t] = sum over choices j of choice_weights[t, j] * x[choice_rows[t, j]].
  virtual void combine_experts(TensorView out, TensorView x, const ExpertRows& rows);
  // out[T,I] = gated_activation of x[T,K] * W^T + bias, gate rows of the weight first; what gate_up [T, 2I] then holds
  // is not specified. Default: linear(), gated_activation().
  virtual void gated_linear(TensorView out, TensorView gate_up, TensorView x, const PreparedWeight& weight,
                            const float* bias, const GatedActivation& activation);
};

// The CPU back end; always built. Throws BackendError on an unknown force_isa.
std::unique_ptr<Backend> make_cpu_backend(const BackendOptions& options);

// Looks for libmhub_cuda.so (beside the binary, or in $MHUB_BACKEND_PATH given by the caller) and loads it where a
// driver answers. null with *why (one line) when it cannot.
std::unique_ptr<Backend> load_cuda_backend(const BackendOptions& options, std::string_view search_path,
                                           std::string* why);

}  // namespace mhub::kernels
