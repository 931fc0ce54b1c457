// SPDX-License-Identifier: Apache-2.0
#include "support/safetensors_builder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

namespace mhub::test {

SafetensorsBuilder& SafetensorsBuilder::metadata(const std::string& key, const std::string& value) {
  metadata_[key] = value;
  return *this;
}

SafetensorsBuilder& SafetensorsBuilder::add(const std::string& name, const std::string& dtype,
                                            const std::vector<int64_t>& shape, const std::string& data) {
  entries_.push_back(fmt::format(R"("{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", name, dtype,
                                 fmt::join(shape, ","), data_.size(), data_.size() + data.size()));
  data_ += data;
  return *this;
}

SafetensorsBuilder& SafetensorsBuilder::add_f32(const std::string& name, const std::vector<int64_t>& shape,
                                                const std::vector<float>& values) {
  return add(name, "F32", shape,
             std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
}

std::string SafetensorsBuilder::header() const {
  std::vector<std::string> parts;
  if (!metadata_.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : metadata_) pairs.push_back(fmt::format(R"("{}":"{}")", key, value));
    parts.push_back(fmt::format(R"("__metadata__":{{{}}})", fmt::join(pairs, ",")));
  }
  parts.insert(parts.end(), entries_.begin(), entries_.end());
  std::string text = fmt::format("{{{}}}", fmt::join(parts, ","));
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

std::string SafetensorsBuilder::file(std::string_view header, std::string_view data) {
  const uint64_t length = header.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out.append(header).append(data);
}

}  // namespace mhub::test
