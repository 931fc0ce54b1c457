// SPDX-License-Identifier: Apache-2.0
#include "mhub/formats/gguf.h"

#include <fmt/format.h>

#include <cmath>
#include <unordered_set>

#include "bad_model.h"
#include "gguf_types.h"
#include "header_json.h"
#include "mhub/base/bytes.h"
#include "parse_limits.h"

namespace mhub::formats {
namespace {

enum ValueType : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

// Smallest size of one value in the file; 0 = no such type.
uint64_t min_bytes(uint32_t type) {
  switch (type) {
    case kU8:
    case kI8:
    case kBool:
      return 1;
    case kU16:
    case kI16:
      return 2;
    case kU32:
    case kI32:
    case kF32:
      return 4;
    case kU64:
    case kI64:
    case kF64:
    case kString:
      return 8;
    case kArray:
      return 12;
    default:
      return 0;
  }
}

std::optional<uint64_t> align_up(uint64_t n, uint64_t alignment) {
  const auto sum = checked_add(n, alignment - 1);
  return sum ? std::optional(*sum / alignment * alignment) : std::nullopt;
}

bool has_control_character(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return true;
  }
  return false;
}

// Parses one file front to back. Every method answers nullopt (or false) after `fail` recorded the fault.
class Parser {
 public:
  Parser(std::span<const std::byte> file, const std::filesystem::path& path)
      : reader_(file), size_(file.size()), path_(path) {}

  Result<GgufPart> parse() {
    if (!header() || !metadata() || !tensor_infos() || !place_tensors()) return *error_;
    return std::move(part_);
  }

 private:
  bool fail(const std::string& what, std::string hint = "") {
    if (!error_) error_ = bad_model(path_, what, std::move(hint));
    return false;
  }
  bool cut(std::string_view what) {
    return fail(fmt::format("byte {}: the file ends within {} ({} bytes in all)", reader_.offset(), what, size_),
                "download the file again");
  }

  bool header() {
    const auto magic = reader_.read_bytes(4);
    if (!magic) return cut("the magic number");
    const std::string_view text(reinterpret_cast<const char*>(magic->data()), 4);
    if (text != "GGUF") {
      if (text == "PK\x03\x04") return fail("it is a zip (PyTorch pickle) file; pickle can run code and is refused");
      return fail(fmt::format("byte 0: magic is \"{}\", not \"GGUF\"", printable(text)));
    }
    const auto version = reader_.read<uint32_t>();
    const auto tensors = reader_.read<uint64_t>();
    const auto keys = reader_.read<uint64_t>();
    if (!version || !tensors || !keys) return cut("the header");
    if ((*version & 0xFFFF) == 0 && *version != 0) return fail("byte 4: big-endian GGUF files are not supported");
    if (*version != 2 && *version != 3) {
      return fail(fmt::format("byte 4: version {} is not supported (2 and 3 are)", *version),
                  *version == 1 ? "convert the model again with a current converter" : "");
    }
    // A key takes 8 + 1 + 4 + 1 bytes at least, a tensor 8 + 1 + 4 + 8 + 4 + 8.
    if (!count_fits("tensor count", 8, *tensors, limits::kTensors, 33)) return false;
    if (!count_fits("key count", 16, *keys, limits::kGgufKeys, 14)) return false;
    part_.version = *version;
    num_tensors_ = *tensors;
    num_keys_ = *keys;
    return true;
  }

  bool count_fits(std::string_view what, uint64_t at, uint64_t count, uint64_t limit, uint64_t bytes_each) {
    if (count > limit) return fail(fmt::format("byte {}: {} {} is over the limit of {}", at, what, count, limit));
    if (count > reader_.remaining() / bytes_each) {
      return fail(fmt::format("byte {}: {} {} cannot fit the {} bytes left", at, what, count, reader_.remaining()));
    }
    return true;
  }

  std::optional<std::string_view> string(uint64_t limit, std::string_view what) {
    const uint64_t at = reader_.offset();
    const auto length = reader_.read<uint64_t>();
    if (!length) return cut(what), std::nullopt;
    if (*length > limit) {
      return fail(fmt::format("byte {}: {} of {} bytes is over the limit of {}", at, what, *length, limit)),
             std::nullopt;
    }
    const auto bytes = reader_.read_bytes(*length);
    if (!bytes) return cut(what), std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  }

  // A key or tensor name: text that is safe to show and compare.
  std::optional<std::string> name(uint64_t limit, std::string_view what) {
    const uint64_t at = reader_.offset();
    const auto text = string(limit, what);
    if (!text) return std::nullopt;
    if (text->empty()) return fail(fmt::format("byte {}: empty {}", at, what)), std::nullopt;
    if (has_control_character(*text) || first_invalid_utf8(*text)) {
      return fail(fmt::format("byte {}: {} \"{}\" has control characters or is not UTF-8", at, what,
                              printable(*text, 64))),
             std::nullopt;
    }
    return std::string(*text);
  }

  bool metadata() {
    for (uint64_t i = 0; i < num_keys_; ++i) {
      const uint64_t at = reader_.offset();
      auto key = name(limits::kGgufKeyBytes, "key");
      if (!key) return false;
      const auto type = reader_.read<uint32_t>();
      if (!type) return cut("the type of key " + printable(*key, 64));
      context_ = *key;
      auto parsed = *type == kArray ? array() : value(*type);
      if (!parsed) return false;
      if (*key == "general.alignment" && !take_alignment(*type, *parsed)) return false;
      if (!part_.metadata.emplace(std::move(*key), std::move(*parsed)).second) {
        return fail(fmt::format("byte {}: duplicate key {}", at, printable(context_, 64)));
      }
    }
    return true;
  }

  bool take_alignment(uint32_t type, const GgufValue& value) {
    if (type != kU32) return fail("general.alignment is not a u32");
    const auto n = static_cast<uint64_t>(std::get<int64_t>(value));
    if (n < limits::kGgufMinAlignment || n > limits::kGgufMaxAlignment || (n & (n - 1)) != 0) {
      return fail(fmt::format("general.alignment is {}, must be a power of two from {} to {}", n,
                              limits::kGgufMinAlignment, limits::kGgufMaxAlignment));
    }
    alignment_ = n;
    return true;
  }

  template <typename T>
  std::optional<int64_t> integer() {
    const uint64_t at = reader_.offset();
    const auto v = reader_.read<T>();
    if (!v) return cut("the value of key " + printable(context_, 64)), std::nullopt;
    if constexpr (std::is_same_v<T, uint64_t>) {
      if (*v > static_cast<uint64_t>(INT64_MAX)) {
        return fail(fmt::format("byte {}: key {}: {} is 2^63 or more", at, printable(context_, 64), *v)), std::nullopt;
      }
    }
    return static_cast<int64_t>(*v);
  }
  std::optional<int64_t> integer_of(uint32_t type) {
    switch (type) {
      case kU8:
        return integer<uint8_t>();
      case kI8:
        return integer<int8_t>();
      case kU16:
        return integer<uint16_t>();
      case kI16:
        return integer<int16_t>();
      case kU32:
        return integer<uint32_t>();
      case kI32:
        return integer<int32_t>();
      case kU64:
        return integer<uint64_t>();
      default:
        return integer<int64_t>();
    }
  }
  std::optional<double> number_of(uint32_t type) {
    if (type == kF32) {
      if (const auto v = reader_.read<float>()) return *v;
    } else if (const auto v = reader_.read<double>()) {
      return *v;
    }
    return cut("the value of key " + printable(context_, 64)), std::nullopt;
  }
  std::optional<bool> boolean() {
    const uint64_t at = reader_.offset();
    const auto v = reader_.read<uint8_t>();
    if (!v) return cut("the value of key " + printable(context_, 64)), std::nullopt;
    if (*v > 1) {
      return fail(fmt::format("byte {}: key {}: boolean is {}, not 0 or 1", at, printable(context_, 64), *v)),
             std::nullopt;
    }
    return *v == 1;
  }

  std::optional<GgufValue> value(uint32_t type) {
    if (min_bytes(type) == 0) {
      return fail(fmt::format("byte {}: key {}: unknown value type {}", reader_.offset() - 4, printable(context_, 64),
                              type)),
             std::nullopt;
    }
    if (type == kString) {
      const auto text = string(limits::kGgufStringBytes, "the value of key " + printable(context_, 64));
      return text ? std::optional<GgufValue>(std::string(*text)) : std::nullopt;
    }
    if (type == kBool) {
      const auto v = boolean();
      return v ? std::optional<GgufValue>(*v) : std::nullopt;
    }
    if (type == kF32 || type == kF64) {
      const auto v = number_of(type);
      return v ? std::optional<GgufValue>(*v) : std::nullopt;
    }
    const auto v = integer_of(type);
    return v ? std::optional<GgufValue>(*v) : std::nullopt;
  }

  template <typename T, typename Read>
  std::optional<GgufValue> elements(uint64_t count, Read read) {
    std::vector<T> out;
    out.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
      const auto v = read();
      if (!v) return std::nullopt;
      out.push_back(*v);
    }
    return GgufValue(std::move(out));
  }

  std::optional<GgufValue> array() {
    const uint64_t at = reader_.offset();
    const auto type = reader_.read<uint32_t>();
    const auto count = reader_.read<uint64_t>();
    const std::string key = printable(context_, 64);
    if (!type || !count) return cut("the array of key " + key), std::nullopt;
    if (*type == kArray)
      return fail(fmt::format("byte {}: key {}: arrays of arrays are refused", at, key)), std::nullopt;
    if (min_bytes(*type) == 0) {
      return fail(fmt::format("byte {}: key {}: unknown element type {}", at, key, *type)), std::nullopt;
    }
    if (*count > limits::kGgufArrayElements) {
      return fail(fmt::format("byte {}: key {}: {} elements, over the limit of {}", at + 4, key, *count,
                              limits::kGgufArrayElements)),
             std::nullopt;
    }
    if (*count > reader_.remaining() / min_bytes(*type)) {
      return fail(fmt::format("byte {}: key {}: {} elements cannot fit the {} bytes left", at + 4, key, *count,
                              reader_.remaining())),
             std::nullopt;
    }
    switch (*type) {
      case kString:
        return elements<std::string_view>(*count,
                                          [&] { return string(limits::kGgufStringBytes, "an element of key " + key); });
      case kBool:
        return elements<bool>(*count, [&] { return boolean(); });
      case kF32:
      case kF64:
        return elements<double>(*count, [&] { return number_of(*type); });
      default:
        return elements<int64_t>(*count, [&] { return integer_of(*type); });
    }
  }

  bool tensor_infos() {
    std::unordered_set<std::string> names;
    part_.tensors.reserve(num_tensors_);
    for (uint64_t i = 0; i < num_tensors_; ++i) {
      const uint64_t at = reader_.offset();
      auto tensor_name = name(limits::kGgufTensorNameBytes, "tensor name");
      if (!tensor_name) return false;
      const std::string shown = printable(*tensor_name, 64);
      if (!names.insert(*tensor_name).second) return fail(fmt::format("byte {}: duplicate tensor {}", at, shown));
      TensorEntry entry;
      entry.name = std::move(*tensor_name);
      if (!dimensions(entry, shown)) return false;
      const uint64_t type_at = reader_.offset();
      const auto type = reader_.read<uint32_t>();
      const auto offset = reader_.read<uint64_t>();
      if (!type || !offset) return cut("the description of tensor " + shown);
      const auto dtype = gguf_dtype(*type);
      if (!dtype) {
        return fail(
            fmt::format("byte {}: tensor {} has element type {} ({}), which this build does not read", type_at, shown,
                        *type, gguf_type_name(*type)),
            "use a file of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS or MXFP4");
      }
      entry.dtype = *dtype;
      entry.offset = *offset;
      if (!size_of(entry, shown)) return false;
      part_.tensors.push_back(std::move(entry));
    }
    return true;
  }

  bool dimensions(TensorEntry& entry, const std::string& shown) {
    const uint64_t at = reader_.offset();
    const auto n_dims = reader_.read<uint32_t>();
    if (!n_dims) return cut("the dimensions of tensor " + shown);
    if (*n_dims < 1 || *n_dims > limits::kGgufDims) {
      return fail(
          fmt::format("byte {}: tensor {} has {} dimensions, not 1 to {}", at, shown, *n_dims, limits::kGgufDims));
    }
    entry.shape.resize(*n_dims);
    for (uint32_t d = 0; d < *n_dims; ++d) {
      const auto n = reader_.read<uint64_t>();
      if (!n) return cut("the dimensions of tensor " + shown);
      if (*n == 0 || *n > static_cast<uint64_t>(INT64_MAX)) {
        return fail(fmt::format("byte {}: tensor {} has a dimension of {}", reader_.offset() - 8, shown,
                                static_cast<int64_t>(*n)));
      }
      entry.shape[*n_dims - 1 - d] = static_cast<int64_t>(*n);
    }
    return true;
  }

  bool size_of(TensorEntry& entry, const std::string& shown) {
    const auto info = kernels::dtype_info(entry.dtype);
    const auto columns = static_cast<uint64_t>(entry.shape.back());
    if (columns % info.block_elems != 0) {
      return fail(fmt::format("tensor {}: row length {} is no multiple of {}'s block of {}", shown, columns, info.name,
                              info.block_elems));
    }
    auto bytes = kernels::row_bytes(entry.dtype, columns);
    for (size_t d = 0; bytes && d + 1 < entry.shape.size(); ++d)
      bytes = checked_mul(*bytes, static_cast<uint64_t>(entry.shape[d]));
    if (!bytes)
      return fail(fmt::format("tensor {}: the size of shape [{}] overflows", shown, fmt::join(entry.shape, ",")));
    entry.bytes = *bytes;
    return true;
  }

  // Tensors lie in order, each padded to the alignment, and fill the file: no hole, no overlap, nothing behind.
  bool place_tensors() {
    const auto data_begin = align_up(reader_.offset(), alignment_);
    uint64_t expected = 0, end = reader_.offset();
    for (auto& entry : part_.tensors) {
      const std::string shown = printable(entry.name, 64);
      if (entry.offset != expected) {
        return fail(fmt::format("tensor {}: offset {} in the data section, expected {} where the tensor before it ends",
                                shown, entry.offset, expected));
      }
      const auto begin = data_begin ? checked_add(*data_begin, entry.offset) : std::nullopt;
      const auto tensor_end = begin ? checked_add(*begin, entry.bytes) : std::nullopt;
      const auto padded = checked_add(entry.offset, entry.bytes);
      const auto next = padded ? align_up(*padded, alignment_) : std::nullopt;
      if (!tensor_end || !next) return fail(fmt::format("tensor {}: its end overflows", shown));
      if (*tensor_end > size_) {
        return fail(fmt::format("tensor {} needs bytes {} to {}, the file has {}: it is cut", shown, *begin,
                                *tensor_end, size_),
                    "download the file again");
      }
      entry.offset = *begin;
      end = *tensor_end;
      expected = *next;
    }
    const auto padded_end = align_up(end, alignment_);
    if (size_ != end && (!padded_end || size_ != *padded_end)) {
      return fail(fmt::format("the data ends at byte {} (padded {}), but the file has {} bytes", end,
                              padded_end.value_or(end), size_));
    }
    return true;
  }

  ByteReader reader_;
  uint64_t size_;
  const std::filesystem::path& path_;
  GgufPart part_;
  uint64_t num_tensors_ = 0, num_keys_ = 0, alignment_ = 32;
  std::string context_;  // the key being read
  std::optional<Error> error_;
};

}  // namespace

Result<GgufPart> parse_gguf(std::span<const std::byte> file, const std::filesystem::path& path) {
  return Parser(file, path).parse();
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto it = metadata.find(key);
  return it == metadata.end() ? nullptr : &it->second;
}
std::optional<int64_t> GgufFile::integer(std::string_view key) const {
  const auto* value = find(key);
  const auto* n = value ? std::get_if<int64_t>(value) : nullptr;
  return n ? std::optional(*n) : std::nullopt;
}
std::optional<double> GgufFile::number(std::string_view key) const {
  const auto* value = find(key);
  if (const auto* x = value ? std::get_if<double>(value) : nullptr) return *x;
  if (const auto n = integer(key)) return static_cast<double>(*n);
  return std::nullopt;
}
std::optional<bool> GgufFile::boolean(std::string_view key) const {
  const auto* value = find(key);
  const auto* b = value ? std::get_if<bool>(value) : nullptr;
  return b ? std::optional(*b) : std::nullopt;
}
std::optional<std::string> GgufFile::string(std::string_view key) const {
  const auto* value = find(key);
  const auto* text = value ? std::get_if<std::string>(value) : nullptr;
  return text ? std::optional(*text) : std::nullopt;
}

}  // namespace mhub::formats
