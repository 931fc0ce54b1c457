// SPDX-License-Identifier: Apache-2.0
#include "mhub/base/check.h"
#include "mhub/formats/model_config.h"
#include "support/temp_dir.h"

// config.json and generation_config.json from one input (its two parts, split at the first NUL byte).
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const mhub::test::TempDir dir;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const size_t split = text.find('\0');
  mhub::test::write_file(dir / "config.json", text.substr(0, split));
  mhub::test::write_file(dir / "generation_config.json", split == std::string::npos ? "{}" : text.substr(split + 1));
  const auto config = mhub::formats::read_model_config(dir.path());
  (void)mhub::formats::read_generation_defaults(dir.path());
  if (!config) return 0;
  MHUB_CHECK(config->num_attention_heads % config->num_key_value_heads == 0 && config->head_dim % 2 == 0);
  for (const int64_t id : config->eos_token_ids) MHUB_CHECK(id >= 0 && id < config->vocab_size);
  return 0;
}
