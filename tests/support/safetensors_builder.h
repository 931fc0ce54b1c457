// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mhub::test {

// Builds a safetensors file in memory: well-formed by default, or with any header text over any data.
class SafetensorsBuilder {
 public:
  SafetensorsBuilder& metadata(const std::string& key, const std::string& value);
  SafetensorsBuilder& add(const std::string& name, const std::string& dtype, const std::vector<int64_t>& shape,
                          const std::string& data);
  SafetensorsBuilder& add_f32(const std::string& name, const std::vector<int64_t>& shape,
                              const std::vector<float>& values);
  std::string header() const;  // the JSON, padded to 8 bytes
  std::string build() const { return file(header(), data_); }

  // Length, header text and data, whatever they say.
  static std::string file(std::string_view header, std::string_view data);

 private:
  std::map<std::string, std::string> metadata_;
  std::vector<std::string> entries_;
  std::string data_;
};

// Bytes of a file held in a string.
inline std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace mhub::test
