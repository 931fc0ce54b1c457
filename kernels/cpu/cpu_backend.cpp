// SPDX-License-Identifier: Apache-2.0
#include "cpu_backend.h"

#include <algorithm>
#include <cstring>

#include "checks.h"
#include "host.h"
#include "select_isa.h"

namespace mhub::kernels::cpu {
namespace {

class CpuBuffer final : public Buffer {
 public:
  explicit CpuBuffer(HostMemory memory, size_t bytes) : memory_(std::move(memory)), bytes_(bytes) {}
  void* data() override { return memory_.data(); }
  size_t bytes() const override { return bytes_; }

 private:
  HostMemory memory_;
  size_t bytes_;
};

}  // namespace

CpuBackend::CpuBackend(const BackendOptions& options, const Isa& isa, std::span<const int> cores)
    : compute_(options.compute),
      isa_(isa),
      pool_(options.num_threads > 0 ? options.num_threads : static_cast<int>(cores.size()), cores),
      linear_(isa, pool_, options.compute),
      attention_(isa, pool_) {
  facts_.name = "cpu";
  facts_.num_threads = pool_.num_threads();
  facts_.description = cpu_model_name() + ", " + std::to_string(facts_.num_threads) +
                       (facts_.num_threads == 1 ? " thread, " : " threads, ") + isa.name;
  if (*isa.extras != '\0') facts_.description += " (" + std::string(isa.extras) + ")";
}

const DeviceFacts& CpuBackend::facts() const {
  const MemoryFacts memory = memory_facts();
  facts_.memory_bytes = memory.total;
  facts_.memory_available_bytes = memory.available;
  return facts_;
}

std::unique_ptr<Buffer> CpuBackend::allocate(size_t bytes) {
  HostMemory memory = HostMemory::allocate(std::max<size_t>(bytes, 1));
  if (!memory) return nullptr;
  return std::make_unique<CpuBuffer>(std::move(memory), bytes);
}

void CpuBackend::copy_to_device(void* dst, const void* src, size_t bytes) {
  if (bytes > 0) std::memcpy(dst, src, bytes);
}

void CpuBackend::copy_to_host(void* dst, const void* src, size_t bytes) {
  if (bytes > 0) std::memcpy(dst, src, bytes);
}

std::unique_ptr<KvCache> CpuBackend::make_kv_cache(const KvShape& shape, DType dtype) {
  require(dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16, "KV caches are F32, F16 or BF16");
  require(shape.layers > 0 && shape.num_blocks > 0 && shape.block_size > 0 && shape.num_kv_heads > 0 &&
              shape.head_dim > 0 && shape.latent_dim >= 0 && shape.latent_dim <= shape.head_dim,
          "a KV cache needs a positive shape");
  size_t bytes = 0;
  if (__builtin_mul_overflow(shape.block_bytes(dtype), static_cast<size_t>(shape.num_blocks), &bytes)) return nullptr;
  HostMemory memory = HostMemory::allocate(bytes);
  if (!memory) return nullptr;
  return std::make_unique<CpuKvCache>(shape, dtype, std::move(memory));
}

std::unique_ptr<PreparedWeight> CpuBackend::prepare(std::span<const MatrixSource> stacked, bool keep_source,
                                                    std::string* why) {
  return make_weight(stacked, keep_source, arena_, pool_, why);
}

std::unique_ptr<PreparedWeight> CpuBackend::prepare_embedding(const MatrixSource& table, bool keep_source,
                                                              std::string* why) {
  return make_weight({&table, 1}, keep_source, arena_, pool_, why);
}

void CpuBackend::embedding(TensorView out, std::span<const int32_t> ids, const PreparedWeight& table) {
  require_f32(out);
  const CpuWeight& weight = as_cpu(table);
  require(weight.parts().size() == 1, "an embedding table is one matrix");
  require(out.rows == static_cast<int64_t>(ids.size()) && out.cols == weight.cols(), "embedding: shapes differ");
  for (int32_t id : ids) require(id >= 0 && id < weight.rows(), "embedding: id past the end of the table");
  for_rows(out.rows, out.cols, [&](int64_t t) {
    std::visit([&](const auto& part) { part.decode_row(ids[static_cast<size_t>(t)], out.f32_row(t)); },
               weight.parts().front());
  });
}

void CpuBackend::rms_norm(TensorView out, TensorView x, const float* weight, float eps) {
  require_same_shape(out, x, "rms_norm: shapes differ");
  for_rows(x.rows, x.cols, [&](int64_t t) { isa_.rms_norm(out.f32_row(t), x.f32_row(t), weight, x.cols, eps); });
}

void CpuBackend::add_rms_norm(TensorView out, TensorView residual, TensorView x, const float* weight, float eps) {
  require_same_shape(out, x, "add_rms_norm: shapes differ");
  require_same_shape(residual, x, "add_rms_norm: shapes differ");
  for_rows(x.rows, x.cols, [&](int64_t t) {
    isa_.add(residual.f32_row(t), x.f32_row(t), x.cols);
    isa_.rms_norm(out.f32_row(t), residual.f32_row(t), weight, x.cols, eps);
  });
}

void CpuBackend::linear(TensorView out, TensorView x, const PreparedWeight& weight, const float* bias) {
  require_f32(out);
  require_f32(x);
  const CpuWeight& w = as_cpu(weight);
  require(x.cols == w.cols() && out.cols == w.rows() && out.rows == x.rows, "linear: shapes differ");
  if (x.rows > 0) linear_.run(out, x, w.parts(), bias);
}

void CpuBackend::silu_mul(TensorView out, TensorView gate_up) {
  require_f32(out);
  require_f32(gate_up);
  require(gate_up.rows == out.rows && gate_up.cols == 2 * out.cols, "silu_mul: shapes differ");
  for_rows(out.rows, out.cols, [&](int64_t t) {
    isa_.silu_mul(out.f32_row(t), gate_up.f32_row(t), gate_up.f32_row(t) + out.cols, out.cols);
  });
}

void CpuBackend::rope_and_write_kv(TensorView q, TensorView k, TensorView v, std::span<const int32_t> positions,
                                   std::span<const int32_t> slot_mapping, const float* cos_sin, int64_t rotary_dim,
                                   RopeStyle style, KvCache& cache, int64_t layer) {
  const CpuKvCache& kv = as_cpu(cache);
  const KvShape& shape = kv.shape();
  const int64_t dim = shape.head_dim, half = rotary_dim / 2, tokens = q.rows;
  if (!kv.latent()) require_same_shape(k, v, "rope: keys and values differ in shape");
  require_f32(q);
  require_f32(k);
  require(k.cols == shape.num_kv_heads * dim && q.cols % dim == 0 && k.rows == tokens, "rope: shapes differ");
  require(static_cast<int64_t>(positions.size()) == tokens && static_cast<int64_t>(slot_mapping.size()) == tokens,
          "rope: one position and one slot per token");
  require(rotary_dim % 2 == 0 && rotary_dim <= dim && layer >= 0 && layer < shape.layers,
          "rope: bad rotary_dim or layer");
  for (int32_t slot : slot_mapping)
    require(slot >= 0 && slot < shape.num_blocks * shape.block_size, "rope: slot past the end of the KV cache");

  for_rows(tokens, q.cols + 2 * k.cols, [&](int64_t t) {
    const size_t i = static_cast<size_t>(t);
    const float* cos = cos_sin + positions[i] * rotary_dim;
    const bool interleaved = style == RopeStyle::kInterleaved;
    for (int64_t c = 0; c < q.cols; c += dim) isa_.rope(q.f32_row(t) + c, cos, cos + half, half, interleaved);
    const int64_t block = slot_mapping[i] / shape.block_size, offset = slot_mapping[i] % shape.block_size;
    for (int64_t h = 0; h < shape.num_kv_heads; ++h) {
      float* key = k.f32_row(t) + h * dim;
      isa_.rope(key, cos, cos + half, half, interleaved);
      uint8_t* to = kv.head_base(layer, h) + block * kv.block_stride();
      if (kv.latent()) {
        isa_.store(to + offset * dim * kv.element_bytes(), kv.dtype(), 1, key, dim);
        continue;
      }
      isa_.store(to + offset * kv.element_bytes(), kv.dtype(), shape.block_size, key, dim);
      isa_.store(to + kv.values_offset() + offset * dim * kv.element_bytes(), kv.dtype(), 1, v.f32_row(t) + h * dim,
                 dim);
    }
  });
}

void CpuBackend::paged_attention(TensorView out, TensorView q, const AttentionMetadata& metadata, float scale,
                                 const KvCache& cache, int64_t layer) {
  attention(out, q, metadata, {.scale = scale}, cache, layer);
}

void CpuBackend::attention(TensorView out, TensorView q, const AttentionMetadata& metadata,
                           const AttentionOptions& options, const KvCache& cache, int64_t layer) {
  const CpuKvCache& kv = as_cpu(cache);
  const KvShape& shape = kv.shape();
  require_f32(out);
  require_f32(q);
  require(out.rows == q.rows && out.cols * shape.head_dim == q.cols * shape.value_dim(),
          "paged_attention: shapes differ");
  require(options.window >= 0 && options.soft_cap >= 0.0f, "paged_attention: negative window or soft cap");
  require(q.cols % (shape.num_kv_heads * shape.head_dim) == 0, "paged_attention: query heads do not divide");
  require(layer >= 0 && layer < shape.layers, "paged_attention: no such layer");
  const size_t sequences = metadata.seq_lens.size();
  require(metadata.cu_seqlens_q.size() == sequences + 1 && metadata.cu_seqlens_q.front() == 0 &&
              metadata.cu_seqlens_q.back() == q.rows,
          "paged_attention: cu_seqlens_q does not cover the rows");
  for (size_t s = 0; s < sequences; ++s) {
    const int64_t tokens = metadata.cu_seqlens_q[s + 1] - metadata.cu_seqlens_q[s];
    require(tokens >= 0 && tokens <= metadata.seq_lens[s], "paged_attention: more queries than context");
    const int64_t blocks = (metadata.seq_lens[s] + shape.block_size - 1) / shape.block_size;
    require(blocks <= metadata.max_blocks &&
                (s + 1) * static_cast<size_t>(metadata.max_blocks) <= metadata.block_tables.size(),
            "paged_attention: block table too short");
    for (int64_t b = 0; b < blocks; ++b) {
      const int32_t id = metadata.block_tables[s * static_cast<size_t>(metadata.max_blocks) + static_cast<size_t>(b)];
      require(id >= 0 && id < shape.num_blocks, "paged_attention: block id past the end of the KV cache");
    }
  }
  if (q.rows > 0) attention_.run(out, q, metadata, options, kv, layer);
}

void CpuBackend::gather_rows(TensorView out, TensorView x, std::span<const int32_t> rows) {
  require_f32(out);
  require_f32(x);
  require(out.rows == static_cast<int64_t>(rows.size()) && out.cols == x.cols, "gather_rows: shapes differ");
  for (int64_t i = 0; i < out.rows; ++i) {
    const int32_t row = rows[static_cast<size_t>(i)];
    require(row >= 0 && row < x.rows, "gather_rows: row past the end");
    std::memcpy(out.f32_row(i), x.f32_row(row), static_cast<size_t>(x.cols) * sizeof(float));
  }
}

}  // namespace mhub::kernels::cpu

namespace mhub::kernels {

std::unique_ptr<Backend> make_cpu_backend(const BackendOptions& options) {
  const std::vector<int> cores = cpu::usable_cores();
  return std::make_unique<cpu::CpuBackend>(options, cpu::select_isa(options.force_isa), cores);
}

}  // namespace mhub::kernels
