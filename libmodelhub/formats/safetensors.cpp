// SPDX-License-Identifier: Apache-2.0
#include "mhub/formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_set>

#include "bad_model.h"
#include "header_json.h"
#include "mhub/base/bytes.h"
#include "parse_limits.h"

namespace mhub::formats {
namespace {

struct RawTensor {
  std::string name, dtype;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;
};

// Bits of the dtypes that the format knows and this build has no element type for.
std::optional<uint64_t> unsupported_bits(std::string_view dtype) {
  static constexpr std::array<std::pair<std::string_view, uint64_t>, 7> kBits = {
      {{"C64", 64}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}}};
  for (const auto& [name, bits] : kBits) {
    if (name == dtype) return bits;
  }
  return std::nullopt;
}

std::optional<kernels::DType> element_type(std::string_view name) {
  const auto dtype = kernels::dtype_from_name(name);
  if (!dtype || kernels::is_block_type(*dtype) || *dtype == kernels::DType::kU4) return std::nullopt;
  return dtype;
}

// Reads the header's JSON into raw records; every rule about the text itself is here.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : json_(text) {}
  bool read() {
    if (!json_.expect('{')) return false;
    if (!json_.accept('}')) {
      do {
        if (!member()) return false;
      } while (json_.accept(','));
      if (!json_.expect('}')) return false;
    }
    return json_.only_spaces_left();
  }
  std::vector<RawTensor>& tensors() { return tensors_; }
  std::map<std::string, std::string>& metadata() { return metadata_; }
  const HeaderJson& json() const { return json_; }

 private:
  bool member() {
    std::string name;
    if (!json_.string(name, limits::kSafetensorsNameBytes)) return false;
    if (!names_.insert(name).second) return json_.fail(fmt::format("duplicate key \"{}\"", printable(name, 64)));
    if (!json_.expect(':')) return false;
    if (name == "__metadata__") return metadata_object();
    for (const char c : name) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return json_.fail("control character in a tensor name");
    }
    if (name.empty()) return json_.fail("empty tensor name");
    if (tensors_.size() == limits::kTensors) return json_.fail(fmt::format("more than {} tensors", limits::kTensors));
    return tensor(std::move(name));
  }

  bool metadata_object() {
    if (!json_.expect('{')) return false;
    if (json_.accept('}')) return true;
    do {
      std::string key, value;
      if (!json_.string(key, limits::kSafetensorsHeaderBytes) || !json_.expect(':') ||
          !json_.string(value, limits::kSafetensorsHeaderBytes)) {
        return false;
      }
      if (metadata_.size() == limits::kSafetensorsMetadataEntries) return json_.fail("too many __metadata__ entries");
      if (!metadata_.emplace(std::move(key), std::move(value)).second)
        return json_.fail("duplicate key in __metadata__");
    } while (json_.accept(','));
    return json_.expect('}');
  }

  bool tensor(std::string name) {
    RawTensor raw;
    bool has_dtype = false, has_shape = false, has_offsets = false;
    if (!json_.expect('{')) return false;
    do {
      std::string key;
      if (!json_.string(key, limits::kSafetensorsNameBytes) || !json_.expect(':')) return false;
      bool* seen = key == "dtype"          ? &has_dtype
                   : key == "shape"        ? &has_shape
                   : key == "data_offsets" ? &has_offsets
                                           : nullptr;
      if (!seen)
        return json_.fail(fmt::format("unknown field \"{}\" of \"{}\"", printable(key, 64), printable(name, 64)));
      if (*seen) return json_.fail(fmt::format("duplicate key \"{}\" of \"{}\"", key, printable(name, 64)));
      *seen = true;
      if (seen == &has_dtype ? !json_.string(raw.dtype, 64) : seen == &has_shape ? !shape(raw.shape) : !offsets(raw)) {
        return false;
      }
    } while (json_.accept(','));
    if (!json_.expect('}')) return false;
    if (!has_dtype || !has_shape || !has_offsets) {
      return json_.fail(fmt::format("\"{}\" lacks dtype, shape or data_offsets", printable(name, 64)));
    }
    raw.name = std::move(name);
    tensors_.push_back(std::move(raw));
    return true;
  }

  bool shape(std::vector<int64_t>& out) {
    if (!json_.expect('[')) return false;
    if (json_.accept(']')) return true;
    do {
      uint64_t n = 0;
      if (!json_.integer(n)) return false;
      if (out.size() == limits::kSafetensorsDims) {
        return json_.fail(fmt::format("more than {} dimensions", limits::kSafetensorsDims));
      }
      out.push_back(static_cast<int64_t>(n));
    } while (json_.accept(','));
    return json_.expect(']');
  }

  bool offsets(RawTensor& raw) {
    return json_.expect('[') && json_.integer(raw.begin) && json_.expect(',') && json_.integer(raw.end) &&
           json_.expect(']');
  }

  HeaderJson json_;
  std::unordered_set<std::string> names_;
  std::vector<RawTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Bytes that dtype and shape need; nullopt on overflow or half bytes.
std::optional<uint64_t> needed_bytes(const RawTensor& raw, uint64_t bits) {
  std::optional<uint64_t> n = 1;
  bool zero = false;
  for (const int64_t d : raw.shape) {
    zero = zero || d == 0;
    n = checked_mul(*n, d == 0 ? 1 : static_cast<uint64_t>(d));  // 0 must not hide an overflow elsewhere
    if (!n) return std::nullopt;
  }
  n = checked_mul(zero ? 0 : *n, bits);
  if (!n || *n % 8 != 0) return std::nullopt;
  return *n / 8;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file, const std::filesystem::path& path) {
  const uint64_t size = file.size();
  if (size < 8) return bad_model(path, fmt::format("{} bytes, a safetensors file has at least 8", size));
  const std::string_view magic(reinterpret_cast<const char*>(file.data()), 4);
  if (magic == "GGUF") return bad_model(path, "it is a GGUF file under a safetensors name", "rename it to *.gguf");
  if (magic == "PK\x03\x04" || (magic[0] == '\x80' && magic[1] >= 2 && magic[1] <= 5 && magic[2] == '}')) {
    return bad_model(path, "it is a pickle (PyTorch) file under a safetensors name; pickle can run code and is refused",
                     "convert it to safetensors with its author's tools on a machine that trusts it");
  }
  const auto length = load_le<uint64_t>(file.data());
  if (length > size - 8) {
    return bad_model(path,
                     fmt::format("header length at byte 0 is {}, but the file has {} bytes after it: it is cut or "
                                 "not safetensors",
                                 length, size - 8),
                     "download the file again");
  }
  if (length > limits::kSafetensorsHeaderBytes) {
    return bad_model(
        path, fmt::format("header of {} bytes is over the limit of {}", length, limits::kSafetensorsHeaderBytes));
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + 8, length);
  if (text.empty() || text[0] != '{') return bad_model(path, "the header at byte 8 does not start with '{'");
  if (const auto bad = first_invalid_utf8(text))
    return bad_model(path, fmt::format("header is not UTF-8 at byte {}", 8 + *bad));
  HeaderReader reader(text);
  if (!reader.read()) {
    return bad_model(path, fmt::format("header at byte {}: {}", 8 + reader.json().position(), reader.json().problem()));
  }

  SafetensorsHeader header;
  header.data_begin = 8 + length;
  header.metadata = std::move(reader.metadata());
  const uint64_t data_bytes = size - header.data_begin;
  auto& raws = reader.tensors();
  std::sort(raws.begin(), raws.end(), [](const RawTensor& a, const RawTensor& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t covered = 0;
  for (auto& raw : raws) {
    const auto at = [&](const std::string& what) {
      return bad_model(path, fmt::format("tensor \"{}\" ({} {}, data_offsets [{},{}]): {}", printable(raw.name, 128),
                                         printable(raw.dtype, 64), shape_text(raw.shape), raw.begin, raw.end, what));
    };
    if (raw.end < raw.begin) return at("its end lies before its begin");
    if (raw.begin != covered) {
      return at(fmt::format("it must begin at {} where the tensor before it ends ({})", covered,
                            raw.begin < covered ? "overlap" : "hole"));
    }
    if (raw.end > data_bytes) return at(fmt::format("the file has only {} data bytes: it is cut", data_bytes));
    covered = raw.end;
    const auto dtype = element_type(raw.dtype);
    const auto bits =
        dtype ? std::optional<uint64_t>(kernels::dtype_info(*dtype).block_bytes * 8) : unsupported_bits(raw.dtype);
    if (bits) {
      const auto need = needed_bytes(raw, *bits);
      if (!need) return at("the size of this shape is not a whole number of bytes below 2^64");
      if (*need != raw.end - raw.begin)
        return at(fmt::format("the shape needs {} bytes, the offsets give {}", *need, raw.end - raw.begin));
    }
    if (!dtype) {
      header.unsupported.emplace(std::move(raw.name), std::move(raw.dtype));
      continue;
    }
    header.tensors.push_back(
        {std::move(raw.name), *dtype, std::move(raw.shape), 0, header.data_begin + raw.begin, raw.end - raw.begin});
  }
  if (covered != data_bytes) {
    return bad_model(path, fmt::format("{} bytes after the last tensor, which ends at data byte {} of {}",
                                       data_bytes - covered, covered, data_bytes));
  }
  return header;
}

}  // namespace mhub::formats
