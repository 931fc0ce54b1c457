// SPDX-License-Identifier: Apache-2.0
#include "mhub/kernels/matrix.h"

#include "block_decode.h"
#include "group_codes.h"
#include "mhub/kernels/backend.h"
#include "mhub/kernels/half.h"

namespace mhub::kernels {
namespace {

void decode_plain(const MatrixSource& s, int64_t row, float* out) {
  const uint8_t* bytes = static_cast<const uint8_t*>(s.data);
  switch (s.dtype) {
    case DType::kF32:
      std::memcpy(out, bytes + row * s.cols * 4, static_cast<size_t>(s.cols) * 4);
      return;
    case DType::kF16:
      for (int64_t c = 0; c < s.cols; ++c)
        out[c] = float_from_f16(load_unaligned<uint16_t>(bytes + 2 * (row * s.cols + c)));
      return;
    case DType::kBF16:
      for (int64_t c = 0; c < s.cols; ++c)
        out[c] = float_from_bf16(load_unaligned<uint16_t>(bytes + 2 * (row * s.cols + c)));
      return;
    default:
      throw BackendError("no decoder for a matrix of " + std::string(dtype_info(s.dtype).name));
  }
}

void decode_groups(const MatrixSource& s, int64_t row, float* out) {
  const GroupCodes codes(s);
  for (int64_t c = 0; c < s.cols; ++c) {
    const int64_t group = c / s.group_size;
    out[c] = codes.scale(row, group) * static_cast<float>(codes.code(row, c) - codes.zero(row, group));
  }
}

void decode_f8(const MatrixSource& s, int64_t row, float* out) {
  const GroupCodes grid(s);
  const uint8_t* bytes = static_cast<const uint8_t*>(s.data) + row * s.cols;
  const int64_t scale_row = (s.first_row + row) / s.group_rows;
  for (int64_t first = 0; first < s.cols; first += s.group_size) {
    const float scale = grid.scale(scale_row, first / s.group_size);
    const int64_t end = first + s.group_size < s.cols ? first + s.group_size : s.cols;
    for (int64_t c = first; c < end; ++c) out[c] = scale * float_from_e4m3(bytes[c]);
  }
}

}  // namespace

MatrixSource MatrixSource::rows_at(int64_t first, int64_t count) const {
  if (first < 0 || count < 0 || first + count > rows) throw BackendError("MatrixSource::rows_at: out of range");
  MatrixSource part = *this;
  part.rows = count;
  const auto skip = [](const void* bytes, int64_t offset) -> const void* {
    return bytes == nullptr ? nullptr : static_cast<const uint8_t*>(bytes) + offset;
  };
  part.first_row = first_row + first;
  if (dtype != DType::kU4 && dtype != DType::kI8) {
    part.data = skip(data, first * static_cast<int64_t>(row_bytes(dtype, static_cast<uint64_t>(cols)).value_or(0)));
    return part;
  }
  const int64_t per_word = dtype == DType::kU4 ? 8 : 4, groups = (cols + group_size - 1) / group_size;
  const bool words = dtype == DType::kU4 || packed_i8;
  if (zeros != nullptr && first % per_word != 0) throw BackendError("MatrixSource::rows_at: splits a word of zeros");
  part.data = skip(data, first * (words ? (cols + per_word - 1) / per_word * 4 : cols));
  part.scales = skip(scales, first * groups * dtype_info(scale_dtype).block_bytes);
  part.zeros = skip(zeros, first / per_word * groups * 4);
  return part;
}

void dequantize_rows(const MatrixSource& source, int64_t first_row, int64_t num_rows, float* out) {
  if (first_row < 0 || num_rows < 0 || first_row + num_rows > source.rows)
    throw BackendError("dequantize_rows: rows past the end of the matrix");
  for (int64_t row = first_row; row < first_row + num_rows; ++row, out += source.cols) {
    if (is_block_type(source.dtype)) {
      const auto stride = row_bytes(source.dtype, static_cast<uint64_t>(source.cols));
      if (!stride) throw BackendError("dequantize_rows: columns are no multiple of the block");
      decode_blocks(source.dtype, static_cast<const uint8_t*>(source.data) + row * static_cast<int64_t>(*stride),
                    source.cols, out);
    } else if (source.dtype == DType::kF8E4M3 && source.scales != nullptr) {
      decode_f8(source, row, out);
    } else if (source.dtype == DType::kU4 || source.dtype == DType::kI8) {
      decode_groups(source, row, out);
    } else {
      decode_plain(source, row, out);
    }
  }
}

}  // namespace mhub::kernels
