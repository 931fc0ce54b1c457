// SPDX-License-Identifier: Apache-2.0
#include "mhub/formats/tensor_table.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace {
// A directory with two good shards; the input becomes their index.
struct Shards {
  Shards() {
    using mhub::test::SafetensorsBuilder;
    mhub::test::write_file(dir / "a.safetensors", SafetensorsBuilder().add_f32("x", {1}, {1}).build());
    mhub::test::write_file(dir / "b.safetensors", SafetensorsBuilder().add_f32("y", {1}, {2}).build());
  }
  mhub::test::TempDir dir;
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Shards shards;
  mhub::test::write_file(shards.dir / "model.safetensors.index.json",
                         std::string(reinterpret_cast<const char*>(data), size));
  (void)mhub::formats::open_safetensors_dir(shards.dir.path());
  return 0;
}
